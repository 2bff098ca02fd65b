"""Members of a consumer group that share the entries of streams, in no order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from diator.events.message_brokers.redis_streams_dead_letters import Command
from diator.events.message_brokers.redis_streams_entries import Entry, pairs
from diator.events.message_brokers.redis_streams_subscription import (
    BLOCK_SECONDS,
    Membership,
    StreamSubscription,
    entry_ids,
    pending_one,
    to_bytes,
)
from diator.events.message_brokers.subscription import Delivery

CLAIM_PAUSE_SECONDS = 1.0
"""How often each member looks for what others left behind."""

# What was given back has been idle for so long, a day, that every member may claim it.
GIVEN_BACK = (b"IDLE", b"86400000")

# How many entries are given back at once.
LEAVING_PAGE = b"1000"

BEGINNING = b"0-0"

# A member that holds nothing is of no use any more; to delete one that does would
# make its entries vanish, so nothing must come in between.
DELETE_IDLE_MEMBER = b"""
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
    return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
"""


class CompetingSubscription(StreamSubscription):
    """
    A member that gets whatever no other member has.

    An entry that was neither acknowledged nor extended for the claim time goes to
    another member, or to this one again.

    Args:
        membership: Who reads what.
        claim_seconds: The claim time.

    """

    def __init__(self, membership: Membership, *, claim_seconds: float) -> None:
        super().__init__(membership)
        self._claim_seconds = claim_seconds
        self._next_claim = 0.0
        self._cursors = dict.fromkeys(self._streams, BEGINNING)

    async def nack(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Give messages back, to be delivered to whichever member asks first.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        claimed = await self._claim_own(deliveries, GIVEN_BACK)
        by_stream = entry_ids(deliveries)
        for stream, ids in by_stream.items():
            held = claimed.get(stream, ())
            await self._tell_deleted(stream, [each for each in ids if each not in held])
        self._let_go(by_stream)
        self._cursors = dict.fromkeys(self._streams, BEGINNING)
        self._next_claim = 0.0

    async def extend(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Say that messages are still being handled: their claim time begins anew.

        What another member has claimed already remains its.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        now = asyncio.get_running_loop().time()
        claimed = await self._claim_own(deliveries, ())
        for stream, ids in claimed.items():
            held = self._held[stream]
            held.update((entry_id, now) for entry_id in ids if entry_id in held)

    def _lose_touch(self) -> None:
        """Leave it to whoever looks for what others left behind."""

    def _is_behind(self) -> bool:
        return False

    async def _take_up(self, limit: int) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next_claim:
            return
        claims: list[Command] = [
            (
                *(b"XAUTOCLAIM", stream, self._group, self._member),
                *(to_bytes(self._claim_seconds * 1_000), self._cursors[stream]),
                *(b"COUNT", to_bytes(limit)),
            )
            for stream in self._streams
        ]
        claimed: list[tuple[bytes, list[Any]]] = []
        replies = await self._ask_line(claims)
        for stream, (cursor, entries, deleted) in zip(
            self._streams, replies, strict=True
        ):
            self._cursors[stream] = cursor
            self._tell_lost(stream, deleted)
            if entries:
                claimed.append((stream, entries))
        if all(cursor == BEGINNING for cursor in self._cursors.values()):
            self._next_claim = now + CLAIM_PAUSE_SECONDS
        if claimed:
            self._buffer.extend(await self._deliver_again(claimed))

    async def _deliver_again(
        self, claimed: Sequence[tuple[bytes, list[Any]]]
    ) -> list[Delivery]:
        counts = await self._ask_line(
            [
                pending_one(stream, self._group, entry_id)
                for stream, entries in claimed
                for entry_id, _ in entries
            ]
        )
        deliveries: list[Delivery] = []
        answers = iter(counts)
        for stream, entries in claimed:
            attempts = {row[0]: row[3] for _ in entries for row in next(answers)}
            # Who was thought lost may have acknowledged one meanwhile.
            pending = [entry for entry in entries if entry[0] in attempts]
            deliveries += self._deliver(stream, pending, attempts)
        return deliveries

    async def _read_new(self, count: int) -> list[Delivery]:
        # Not at all, where there is more to claim.
        pause = self._next_claim - asyncio.get_running_loop().time()
        seconds = max(0.0, min(BLOCK_SECONDS, pause))
        [reply] = await self._ask_line(
            [self._read_command(count, seconds)], patience=seconds
        )
        return [
            delivery
            for stream, entries in pairs(reply)
            for delivery in self._deliver(stream, entries)
        ]

    async def _claim_own(
        self, deliveries: Sequence[Delivery], options: tuple[bytes, ...]
    ) -> dict[bytes, set[bytes]]:
        """
        Claim entries that this member has, without counting that as a delivery.

        Those that it still had are returned, by their streams. What has been idle for
        less time than passed since this member touched it, but for half of the claim
        time, has been claimed by another one.
        """
        now = asyncio.get_running_loop().time()
        commands: list[Command] = []
        by_age: dict[tuple[bytes, int], list[bytes]] = {}
        for delivery in deliveries:
            entry: Entry = delivery.receipt
            touched = self._held[entry.stream].get(entry.entry_id, now)
            idle = max(0.0, now - touched - self._claim_seconds / 2)
            by_age.setdefault((entry.stream, int(idle * 1_000)), []).append(
                entry.entry_id
            )
        for (stream, idle_ms), ids in by_age.items():
            commands.append(
                (
                    *(b"XCLAIM", stream, self._group, self._member),
                    *(to_bytes(idle_ms), *ids, *options, b"JUSTID"),
                )
            )
        replies = await self._ask_twice(commands)
        claimed: dict[bytes, set[bytes]] = {}
        for (stream, _), reply in zip(by_age, replies, strict=True):
            claimed.setdefault(stream, set()).update(reply)
        return claimed

    async def _tell_deleted(self, stream: bytes, ids: Sequence[bytes]) -> None:
        """Tell which of those that were not there to be claimed are not anywhere."""
        # Redis silently drops those that are not in the stream any more.
        found = await self._ask_twice([(b"XRANGE", stream, each, each) for each in ids])
        self._tell_lost(
            stream, [each for each, entry in zip(ids, found, strict=True) if not entry]
        )

    async def _leave(self) -> None:
        for stream in self._streams:
            await self._leave_stream(stream)

    async def _leave_stream(self, stream: bytes) -> None:
        start = b"-"
        while True:
            page = (start, b"+", LEAVING_PAGE, self._member)
            [rows] = await self._ask_twice([(b"XPENDING", stream, self._group, *page)])
            if not rows:
                break
            ids = [row[0] for row in rows]
            claiming = (b"XCLAIM", stream, self._group, self._member, b"0", *ids)
            [claimed] = await self._ask_twice([(*claiming, *GIVEN_BACK, b"JUSTID")])
            # Redis silently drops those that are not in the stream any more.
            self._tell_lost(stream, [each for each in ids if each not in claimed])
            start = b"(" + ids[-1]
        arguments = (stream, self._group, self._member)
        await self._ask_twice([(b"EVAL", DELETE_IDLE_MEMBER, b"1", *arguments)])

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
    counting,
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
    another member. The one that holds it never gets it a second time, however late it
    is.

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

        The attempts that they were delivered for do not count.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        claimed = await self._claim_own(deliveries, GIVEN_BACK, uncounted=1)
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

        The attempts that they were delivered for count from now on. What another
        member has claimed already remains its.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        now = asyncio.get_running_loop().time()
        claimed = await self._claim_own(deliveries, ())
        for delivery in deliveries:
            entry: Entry = delivery.receipt
            held = self._held[entry.stream]
            if entry.entry_id in held and entry.entry_id in claimed[entry.stream]:
                attempt = max(held[entry.entry_id][1], delivery.attempt)
                held[entry.entry_id] = (now, attempt)

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
                # Not to be handed the entries, and be counted as if handling them.
                *(b"COUNT", to_bytes(max(1, limit // len(self._streams))), b"JUSTID"),
            )
            for stream in self._streams
        ]
        claimed: list[tuple[bytes, list[bytes]]] = []
        replies = await self._ask_line(claims)
        for stream, (cursor, ids, deleted) in zip(self._streams, replies, strict=True):
            self._cursors[stream] = cursor
            self._tell_lost(stream, deleted)
            held = self._held[stream]
            # To find what is held here has extended it, as its holder was too late to.
            held.update((each, (now, held[each][1])) for each in ids if each in held)
            others = [each for each in ids if each not in held]
            if others:
                claimed.append((stream, others))
        if all(cursor == BEGINNING for cursor in self._cursors.values()):
            self._next_claim = now + CLAIM_PAUSE_SECONDS
        if claimed:
            self._fetcher.buffer.extend(await self._deliver_again(claimed))

    async def _deliver_again(
        self, claimed: Sequence[tuple[bytes, Sequence[bytes]]]
    ) -> list[Delivery]:
        answers = iter(
            await self._ask_line(
                [
                    command
                    for stream, ids in claimed
                    for entry_id in ids
                    for command in (
                        pending_one(stream, self._group, entry_id),
                        (b"XRANGE", stream, entry_id, entry_id),
                    )
                ]
            )
        )
        found: list[tuple[bytes, list[Any], dict[bytes, int]]] = []
        first: list[Command] = []
        for stream, ids in claimed:
            attempts: dict[bytes, int] = {}
            entries: list[Any] = []
            for _ in ids:
                attempts.update((row[0], row[3] + 1) for row in next(answers))
                entries += next(answers)
            # Who was thought lost may have acknowledged one meanwhile.
            pending = [entry for entry in entries if entry[0] in attempts]
            found.append((stream, pending, attempts))
            # It counts as when Redis gives an entry for the first time.
            uncounted = [each for each, attempt in attempts.items() if attempt == 1]
            if uncounted:
                claiming = (b"XCLAIM", stream, self._group, self._member, b"0")
                first.append((*claiming, *uncounted, *counting(1), b"JUSTID"))
        if first:
            await self._ask_line(first)
        return [
            delivery
            for stream, entries, attempts in found
            for delivery in self._deliver(stream, entries, attempts)
        ]

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
        self,
        deliveries: Sequence[Delivery],
        options: tuple[bytes, ...],
        *,
        uncounted: int = 0,
    ) -> dict[bytes, set[bytes]]:
        """
        Claim entries that this member has, and say how many attempts count.

        Those that it still had are returned, by their streams. What has been idle for
        less time than passed since this member touched it, but for half of the claim
        time, has been claimed by another one.
        """
        now = asyncio.get_running_loop().time()
        commands: list[Command] = []
        alike: dict[tuple[bytes, int, int], list[bytes]] = {}
        for delivery in deliveries:
            entry: Entry = delivery.receipt
            touched, _ = self._held[entry.stream].get(entry.entry_id, (now, 1))
            idle = max(0.0, now - touched - self._claim_seconds / 2)
            count = delivery.attempt - uncounted
            alike.setdefault((entry.stream, int(idle * 1_000), count), []).append(
                entry.entry_id
            )
        for (stream, idle_ms, count), ids in alike.items():
            commands.append(
                (
                    *(b"XCLAIM", stream, self._group, self._member),
                    *(to_bytes(idle_ms), *ids, *options, *counting(count), b"JUSTID"),
                )
            )
        replies = await self._ask_twice(commands)
        claimed: dict[bytes, set[bytes]] = {}
        for (stream, _, _), reply in zip(alike, replies, strict=True):
            claimed.setdefault(stream, set()).update(reply)
        return claimed

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
            alike: dict[int, list[bytes]] = {}
            for entry_id, _, _, counted in rows:
                # Of what never came here, nobody began to handle anything.
                _, attempt = self._held[stream].get(entry_id, (0.0, counted + 1))
                alike.setdefault(attempt - 1, []).append(entry_id)
            claiming = (b"XCLAIM", stream, self._group, self._member, b"0")
            replies = await self._ask_twice(
                [
                    (*claiming, *ids, *GIVEN_BACK, *counting(count), b"JUSTID")
                    for count, ids in alike.items()
                ]
            )
            claimed = {entry_id for reply in replies for entry_id in reply}
            # Redis silently drops those that are not in the stream any more.
            self._tell_lost(stream, [row[0] for row in rows if row[0] not in claimed])
            start = b"(" + rows[-1][0]
        arguments = (stream, self._group, self._member)
        await self._ask_twice([(b"EVAL", DELETE_IDLE_MEMBER, b"1", *arguments)])

"""The one member of a consumer group that reads some partitions, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from diator.events.message_brokers.redis_streams_dead_letters import Command
from diator.events.message_brokers.redis_streams_entries import Entry, pairs, position
from diator.events.message_brokers.redis_streams_ownership import Ownership
from diator.events.message_brokers.redis_streams_subscription import (
    BLOCK_SECONDS,
    Membership,
    StreamSubscription,
    counting,
    entry_ids,
    pending,
)
from diator.events.message_brokers.subscription import Delivery

OWNER = "owner"
"""What every owner of a partition is called, to take up where the last one left."""


PAGE = 1_000
"""How many entries are taken up at once."""


class OrderedSubscription(StreamSubscription):
    """
    The owner of some partitions.

    Nothing new is delivered before all that is older: what an owner before this one
    left, what was given back, and what Redis gave in answers that were lost. Redis
    tells of those, by the number of pending entries, with everything that it gives.

    They are owned by a key in Redis that expires, see `Ownership`: another member waits
    until it does. An owner that was paused for so long begins nothing more of what it
    had read; but what it was handling may be handled by the next one at the same time.

    Args:
        membership: Who reads what.

    """

    def __init__(self, membership: Membership) -> None:
        super().__init__(membership)
        self._behind = set(self._streams)
        self._begun: set[tuple[bytes, bytes]] = set()
        self._ownership = Ownership(self._ask_once, self._streams, self._group)
        # What was dealt with while Redis was being asked, and may be counted by it.
        self._dealt_with: set[tuple[bytes, bytes]] = set()

    async def nack(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Give messages back, to be delivered again before everything else.

        Those with the same key that were delivered later have to be given back too, or
        else they overtake. The attempts that they were delivered for do not count.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        by_stream = entry_ids(deliveries)
        await self._count(
            (each.receipt.stream, each.receipt.entry_id, each.attempt - 1)
            for each in deliveries
        )
        super()._let_go(by_stream)
        self._begun -= {
            (stream, each) for stream in by_stream for each in by_stream[stream]
        }
        self._behind.update(by_stream)

    async def extend(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Say that messages are being handled: the attempts count from now on.

        First ones do so already. There is no other member that could take them.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        again = [each for each in deliveries if each.attempt > 1]
        await self._count(
            (each.receipt.stream, each.receipt.entry_id, each.attempt) for each in again
        )
        for delivery in again:
            entry: Entry = delivery.receipt
            held = self._held[entry.stream]
            if entry.entry_id in held:
                touched, attempt = held[entry.entry_id]
                held[entry.entry_id] = (touched, max(attempt, delivery.attempt))

    def begin(self, delivery: Delivery, /) -> bool:
        """
        Tell whether a message is still this member's to handle, as it begins to.

        If not, it is forgotten here, and delivered again, to whomever it belongs.
        """
        entry: Entry = delivery.receipt
        known_by = (entry.stream, entry.entry_id)
        is_begun = known_by in self._begun
        # What was begun was not read anew when all else was.
        oldest = self._ownership.since if is_begun else self._ownership_number
        if self._ownership.holds() and entry.ownership >= oldest:
            self._begun.add(known_by)
            return True
        if is_begun:
            # What came after it was read already, and would overtake.
            self._ownership.lose()
            super()._let_go({entry.stream: [entry.entry_id]})
            self._begun.discard(known_by)
            self._behind.add(entry.stream)
        return False

    async def _leave(self) -> None:
        """Leave everything to the next owner, to whom no attempt counts."""
        try:
            if self._ownership.holds():
                await self._count(
                    (stream, entry_id, attempt - 1)
                    for stream, held in self._held.items()
                    for entry_id, (_, attempt) in held.items()
                )
        finally:
            await self._ownership.aclose()

    async def _own(self) -> None:
        """Wait until the partitions are this member's; then all is read anew."""
        if self._ownership.holds():
            return
        await self._ownership.win(self._ask_line)
        self._ownership_number = self._ownership.number
        self._fetcher.buffer.clear()
        for stream, held in self._held.items():
            for entry_id in [
                each for each in held if (stream, each) not in self._begun
            ]:
                del held[entry_id]
        self._lose_touch()

    async def _count(self, entries: Iterable[tuple[bytes, bytes, int]]) -> None:
        """Have Redis know how many attempts count, of entries that are held."""
        alike: dict[tuple[bytes, int], list[bytes]] = {}
        for stream, entry_id, count in entries:
            if entry_id in self._held[stream]:
                alike.setdefault((stream, count), []).append(entry_id)
        replies = await self._ask_twice(
            [
                (
                    *(b"XCLAIM", stream, self._group, self._member, b"0", *ids),
                    *(*counting(count), b"JUSTID"),
                )
                for (stream, count), ids in alike.items()
            ]
        )
        for ((stream, _), ids), reply in zip(alike.items(), replies, strict=True):
            await self._tell_deleted(
                stream, [each for each in ids if each not in reply]
            )

    def _is_behind(self) -> bool:
        return bool(self._behind) or not self._ownership.holds()

    def _lose_touch(self) -> None:
        self._behind.update(self._streams)

    def _let_go(self, by_stream: Mapping[bytes, Iterable[bytes]]) -> None:
        super()._let_go(by_stream)
        ours = {(stream, each) for stream, ids in by_stream.items() for each in ids}
        self._dealt_with |= ours
        self._begun -= ours

    async def _take_up(self, limit: int) -> None:  # noqa: ARG002  # all or none of it
        await self._own()
        taken: list[Delivery] = []
        try:
            while self._behind:
                streams = self._behind
                self._behind = set[bytes]()
                try:
                    taken += await self._take_up_page(sorted(streams))
                except BaseException:
                    self._lose_touch()
                    raise
        finally:
            # Also where more of it could not be had: nothing else brings it again.
            if taken:
                # What was read afterwards comes after it.
                buffer = self._fetcher.buffer
                taken += buffer
                buffer.clear()
                buffer.extend(sorted(taken, key=_position_of))

    async def _take_up_page(self, streams: Sequence[bytes]) -> list[Delivery]:
        self._dealt_with.clear()
        attempts: dict[bytes, dict[bytes, int]] = {}
        answers = await self._ask_line(
            [
                self._pending(stream, len(self._held[stream]) + PAGE)
                for stream in streams
            ]
        )
        for stream, rows in zip(streams, answers, strict=True):
            lost = self._not_held(stream, rows)[:PAGE]
            if lost:
                attempts[stream] = {row[0]: row[3] + 1 for row in lost}
            if len(lost) == PAGE:
                self._behind.add(stream)  # There may be more.
        alike: dict[tuple[bytes, int], list[bytes]] = {}
        for stream, numbered in attempts.items():
            for entry_id, attempt in numbered.items():
                alike.setdefault((stream, attempt), []).append(entry_id)
        # Only what is begun counts, as does the first time that Redis gives an entry.
        claims: list[Command] = [
            (
                *(b"XCLAIM", stream, self._group, self._member, b"0", *ids),
                *counting(max(1, attempt - 1)),
            )
            for (stream, attempt), ids in alike.items()
        ]
        deliveries: list[Delivery] = []
        claimed = await self._ask_line(claims) if claims else []
        for ((stream, _), ids), entries in zip(alike.items(), claimed, strict=True):
            found = {entry[0] for entry in entries}
            self._tell_lost(stream, [each for each in ids if each not in found])
            deliveries += self._deliver(stream, entries, attempts[stream])
        return deliveries

    async def _read_new(self, count: int) -> list[Delivery]:
        self._dealt_with.clear()
        reading = self._read_command(count, BLOCK_SECONDS)
        counting = [(b"XPENDING", stream, self._group) for stream in self._streams]
        reply, *summaries = await self._ask_line(
            [reading, *counting], patience=BLOCK_SECONDS
        )
        read = dict(pairs(reply))
        complete: list[bytes] = []
        for stream, summary in zip(self._streams, summaries, strict=True):
            entries = read.get(stream, ())
            expected = len(self._held[stream]) + len(entries)
            if summary[0] > expected and await self._is_missing(stream, entries):
                # What was read just now comes after what is missing, with it.
                self._behind.add(stream)
            else:
                complete.append(stream)
        # Not before all was asked: what is held is not taken up if that fails.
        return [
            delivery
            for stream in complete
            for delivery in self._deliver(stream, read.get(stream, ()))
        ]

    async def _is_missing(self, stream: bytes, entries: Sequence[Any]) -> bool:
        """Tell whether entries are pending that did not come here."""
        read = {entry[0] for entry in entries}
        count = len(self._held[stream]) + len(read) + len(self._dealt_with) + 1
        [rows] = await self._ask_line([self._pending(stream, count)])
        return any(row[0] not in read for row in self._not_held(stream, rows))

    def _pending(self, stream: bytes, count: int) -> Command:
        return pending(stream, self._group, count)

    def _not_held(self, stream: bytes, rows: Sequence[Any]) -> list[Any]:
        held = self._held[stream]
        return [
            row
            for row in rows
            if row[0] not in held and (stream, row[0]) not in self._dealt_with
        ]


def _position_of(delivery: Delivery) -> tuple[int, int]:
    entry: Entry = delivery.receipt
    return position(entry.entry_id)

"""Messages that were put aside, in Redis Streams."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from diator.events.message_brokers.redis_streams_entries import (
    Entry,
    StreamNames,
    to_delivery,
    to_text,
)
from diator.events.message_brokers.subscription import Delivery
from diator.exceptions import DeadLetterNotFoundError
from diator.messages.dead_letters import DeadLetter

# The fields of a dead letter are those of the entry, and these.
OURS = b"dead:"
CAUSE = OURS + b"cause"
ATTEMPTS = OURS + b"attempts"
STREAM = OURS + b"stream"
ENTRY = OURS + b"entry"

# Only who deletes it publishes it, of those who replay it at the same time. To publish
# comes first, because it may be refused. A script takes no more than some thousands of
# values out of a table at once, and a message has a few.
REPLAY = b"""
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
return redis.call('XDEL', KEYS[1], ARGV[1])
"""

_ENTRY_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")

MAX_CAUSE_BYTES = 10_000  # A message's whole payload may stand in an error's text.

Command = tuple[bytes, ...]
Ask = Callable[[Sequence[Command]], Awaitable[Sequence[Any]]]
"""Sends commands and gives the replies, or raises."""


class StreamDeadLetters:
    """
    What a consumer group could not handle of a topic.

    Args:
        ask: Asks Redis.
        names: The names of streams.
        topic: The topic.
        group: The group.
        check: Refuses where others have another number of partitions.

    Raises:
        ConfigurationError: The name of the topic or group is not safe.

    """

    def __init__(
        self,
        ask: Ask,
        names: StreamNames,
        topic: str,
        group: str,
        check: Callable[[], Awaitable[None]],
    ) -> None:
        self._ask = ask
        self._names = names
        self._topic = topic
        self._check = check
        self._stream = names.dead(topic, group)

    async def list(
        self, limit: int = 100, *, after: DeadLetter | None = None
    ) -> Sequence[DeadLetter]:
        """
        Give the oldest ones.

        Args:
            limit: How many at most.
            after: The last one that was given before, to go on from there.

        Raises:
            ConnectionError: Redis cannot be reached.

        """
        start = b"-" if after is None else b"(" + after.letter_id.encode()
        entries = await self._range(start, b"+", limit)
        return [self._letter(letter_id, fields) for letter_id, fields in entries]

    async def get(self, letter_id: str) -> DeadLetter:
        """
        Give one.

        Raises:
            DeadLetterNotFoundError: There is none with this id.
            ConnectionError: Redis cannot be reached.

        """
        for found_id, fields in await self._find(letter_id):
            return self._letter(found_id, fields)
        msg = (
            f"there is no dead letter {letter_id!r} of {self._topic!r}, or there is "
            "none any more"
        )
        raise DeadLetterNotFoundError(msg)

    async def replay(self, letter_ids: Sequence[str]) -> int:
        """
        Publish some again, to all groups, under their own ids.

        They go to the end of their streams, behind what came later. Groups that have an
        inbox know what they have handled.

        Returns:
            How many there were; the others are gone already.

        Raises:
            ConfigurationError: Others have another number of partitions.
            ConnectionError: Redis cannot be reached.

        """
        await self._check()
        number = 0
        for letter_id in letter_ids:
            for found_id, fields in await self._find(letter_id):
                number += await self._replay(found_id, fields)
        return number

    async def drop(self, letter_ids: Sequence[str]) -> int:
        """
        Delete some for good.

        Returns:
            How many there were; the others are gone already.

        Raises:
            ConnectionError: Redis cannot be reached.

        """
        ids = [each.encode() for each in letter_ids if _ENTRY_ID.fullmatch(each)]
        if not ids:
            return 0
        [dropped] = await self._ask([(b"XDEL", self._stream, *ids)])
        number: int = dropped
        return number

    async def _replay(self, letter_id: bytes, fields: Sequence[bytes]) -> int:
        theirs, _ = _taken_apart(fields)
        # Its partition may be another one by now.
        values = to_delivery(self._topic, Entry(b"", b"", theirs), 1)
        stream = self._names.one_of(self._topic, values.key, values.message_id)
        keys = (b"2", self._stream, stream)
        [number] = await self._ask([(b"EVAL", REPLAY, *keys, letter_id, *theirs)])
        replayed: int = number
        return replayed

    async def _find(self, letter_id: str) -> Sequence[Any]:
        if _ENTRY_ID.fullmatch(letter_id) is None:
            return ()
        return await self._range(letter_id.encode(), letter_id.encode(), 1)

    async def _range(self, start: bytes, end: bytes, limit: int) -> Sequence[Any]:
        count = str(limit).encode()
        reading = (b"XRANGE", self._stream, start, end, b"COUNT", count)
        [entries] = await self._ask([reading])
        found: Sequence[Any] = entries
        return found

    def _letter(self, letter_id: bytes, fields: Sequence[bytes]) -> DeadLetter:
        theirs, ours = _taken_apart(fields)
        delivery = to_delivery(self._topic, Entry(b"", b"", theirs), 1)
        milliseconds, _, _ = letter_id.partition(b"-")
        return DeadLetter(
            letter_id=letter_id.decode(),
            topic=self._topic,
            message_name=delivery.message_name,
            message_id=delivery.message_id,
            key=delivery.key,
            # Others may have written the entry, and whatever they liked.
            cause=to_text(ours.get(CAUSE, b"")),
            attempts=_number(ours.get(ATTEMPTS, b"")),
            died_at=datetime.fromtimestamp(int(milliseconds) / 1_000, UTC),
            headers=delivery.headers,
            body=delivery.body,
        )


def _taken_apart(fields: Sequence[bytes]) -> tuple[list[bytes], dict[bytes, bytes]]:
    """Give the fields that the message had, and those that were added."""
    pairs = list(zip(fields[::2], fields[1::2], strict=True))
    theirs = [part for pair in pairs if not pair[0].startswith(OURS) for part in pair]
    return theirs, dict(pairs)


def _number(value: bytes) -> int:
    return int(value) if value.isdigit() else 0


def burying(stream: bytes, delivery: Delivery, cause: str) -> Command:
    """
    Make the command that puts a delivery aside.

    Args:
        stream: The stream of the dead letters.
        delivery: What `to_delivery` made.
        cause: Why it cannot be handled.

    """
    entry: Entry = delivery.receipt
    return (
        *(b"XADD", stream, b"*"),
        *entry.fields,
        *(CAUSE, cause.encode(errors="replace")[:MAX_CAUSE_BYTES]),
        *(ATTEMPTS, str(delivery.attempt).encode()),
        *(STREAM, entry.stream),
        *(ENTRY, entry.entry_id),
    )

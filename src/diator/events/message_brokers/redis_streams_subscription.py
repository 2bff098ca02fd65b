"""What members of consumer groups of Redis Streams have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import ResponseError

from diator.events.message_brokers.redis_exchange import OwnConnection, exchange, pack
from diator.events.message_brokers.redis_fetching import Fetcher
from diator.events.message_brokers.redis_streams_dead_letters import Command, burying
from diator.events.message_brokers.redis_streams_entries import (
    Entry,
    StreamNames,
    to_delivery,
    to_text,
)
from diator.events.message_brokers.subscription import Delivery
from diator.logger import get_logger

BLOCK_SECONDS = 1.0
"""
How long Redis waits for new entries before it says that there are none.

What else there is to do, such as to look for what other members left behind, is done
in between.
"""

# How many of those that were lost are named in the log.
MAX_TOLD = 10

# So do answers begin that tell of a group that is gone, with its stream or alone.
GROUP_GONE = ("NOGROUP", "UNBLOCKED")


class GroupGoneError(Exception):
    """Somebody deleted the consumer group, perhaps with its stream."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """
    Who reads what.

    Attributes:
        pool: Where connections come from.
        names: The names of streams.
        topics: The topic of each stream that is read.
        group: The name of the consumer group.
        member: The name of this member of it.
        timeout: After how many seconds Redis counts as silent.
        prepare: Is called once, before anything else is done.

    """

    pool: ConnectionPool
    names: StreamNames
    topics: Mapping[bytes, str]
    group: str
    member: str
    timeout: float
    prepare: Callable[[], Awaitable[None]]


class StreamSubscription(ABC):
    """
    A member of a consumer group.

    What is read is on record here, stream by stream, until it is acknowledged, put
    aside or given back.

    Args:
        membership: Who reads what.

    """

    def __init__(self, membership: Membership) -> None:
        self._pool = membership.pool
        self._names = membership.names
        self._topics = membership.topics
        self._streams = list(membership.topics)
        self._group_name = membership.group
        self._group = membership.group.encode()
        self._member = membership.member.encode()
        self._timeout = membership.timeout
        self._prepare = membership.prepare
        self._is_prepared = False
        self._ownership_number = 0
        self._line = OwnConnection(membership.pool, membership.timeout)
        self._fetcher = Fetcher(self._fetch, self._is_behind)
        # When each entry was delivered or extended, in the time of the event loop, and
        # which attempt to handle it that was for.
        self._held: dict[bytes, dict[bytes, tuple[float, int]]] = {
            stream: {} for stream in self._streams
        }

    async def open(self) -> None:
        """
        Make the consumer groups, if Redis can be reached.

        Raises:
            ConfigurationError: Redis cannot do what is asked of it.

        """
        with suppress(ConnectionError):
            await self._prepare_once()

    async def receive(self, limit: int, /) -> Sequence[Delivery]:
        """
        Wait for messages, and give some of them.

        To cancel the waiting loses none. One task at a time may wait.

        Args:
            limit: How many at most.

        Returns:
            At least one.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.
            ConfigurationError: Redis cannot do what is asked of it.

        """
        return await self._fetcher.receive(limit)

    async def ack(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Say that messages were handled, in one round trip.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        by_stream = entry_ids(deliveries)
        await self._ask_twice(
            [(b"XACK", stream, self._group, *ids) for stream, ids in by_stream.items()]
        )
        self._let_go(by_stream)

    @abstractmethod
    async def nack(self, deliveries: Sequence[Delivery], /) -> None:
        """Give messages back, to be delivered again as the same attempt."""

    @abstractmethod
    async def extend(self, deliveries: Sequence[Delivery], /) -> None:
        """Say that messages are still being handled, and by which attempt."""

    def begin(self, delivery: Delivery, /) -> bool:  # noqa: ARG002  # all are
        """Tell that a message is this member's to handle."""
        return True

    async def dead_letter(self, delivery: Delivery, cause: str, /) -> None:
        """
        Put a message aside, in a stream of its topic and group.

        Args:
            delivery: The message.
            cause: Why it cannot be handled.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        entry: Entry = delivery.receipt
        dead = self._names.dead(delivery.topic, self._group_name)
        commands: list[Command] = [
            (b"MULTI",),
            burying(dead, delivery, cause),
            (b"XACK", entry.stream, self._group, entry.entry_id),
            (b"EXEC",),
        ]
        try:
            replies = await self._ask_once(commands)
            raise_refusal(replies[-1])
        except ConnectionError:
            # Where only the answer was lost, a second time would make two of it.
            if await self._is_pending(entry):
                raise
        self._let_go({entry.stream: [entry.entry_id]})

    async def aclose(self) -> None:
        """Give back what is neither acknowledged nor put aside, and disconnect."""
        await self._fetcher.aclose()
        await self._line.aclose()
        # What cannot be given back now is found by the other members all the same.
        with suppress(ConnectionError):
            await self._leave()

    @abstractmethod
    async def _leave(self) -> None:
        """Let others have what was read."""

    @abstractmethod
    def _is_behind(self) -> bool:
        """Tell whether older entries have to be taken up before others are given."""

    @abstractmethod
    async def _take_up(self, limit: int) -> None:
        """Put what was delivered before, and came to nothing, into the buffer."""

    @abstractmethod
    async def _read_new(self, count: int) -> list[Delivery]:
        """Wait a while for new entries, so many of each stream at most."""

    @abstractmethod
    def _lose_touch(self) -> None:
        """Note that Redis may have given entries that did not come here."""

    async def _fetch(self, limit: int) -> None:
        """Fill the buffer."""
        try:
            await self._prepare_once()
            await self._take_up(limit)
            if not self._fetcher.buffer:
                count = max(1, limit // len(self._streams))
                self._fetcher.buffer.extend(await self._read_new(count))
        except GroupGoneError:
            get_logger().warning(
                "group_recreated",
                group=self._group_name,
                topics=sorted(set(self._topics.values())),
            )
            await self._create_groups()
        except ConnectionError:
            self._lose_touch()
            raise

    async def _prepare_once(self) -> None:
        if not self._is_prepared:
            await self._prepare()
            await self._create_groups()
            self._is_prepared = True

    async def _create_groups(self) -> None:
        # From the beginning: what was published before the first member came counts.
        creating = [
            pack(b"XGROUP", b"CREATE", stream, self._group, b"0", b"MKSTREAM")
            for stream in self._streams
        ]
        for reply in await self._line.ask(creating):
            if not (isinstance(reply, ResponseError) and "BUSYGROUP" in str(reply)):
                raise_refusal(reply)

    async def _ask_line(
        self, commands: Sequence[Command], *, patience: float = 0.0
    ) -> list[Any]:
        packed = [pack(*command) for command in commands]
        replies = await self._line.ask(packed, patience=patience)
        for reply in replies:
            if isinstance(reply, ResponseError) and str(reply).startswith(GROUP_GONE):
                raise GroupGoneError
            raise_refusal(reply)
        return replies

    def _read_command(self, count: int, seconds: float) -> Command:
        return (
            *(b"XREADGROUP", b"GROUP", self._group, self._member),
            *(b"COUNT", to_bytes(count)),
            *(b"BLOCK", to_bytes(max(1, seconds * 1_000))),
            *(b"STREAMS", *self._streams),
            *(b">" for _ in self._streams),
        )

    def _deliver(
        self,
        stream: bytes,
        entries: Iterable[tuple[bytes, Sequence[bytes]]],
        attempts: Mapping[bytes, int] | None = None,
    ) -> list[Delivery]:
        """Make deliveries of entries, and hold them."""
        topic = self._topics[stream]
        held = self._held[stream]
        now = asyncio.get_running_loop().time()
        deliveries: list[Delivery] = []
        for entry_id, fields in entries:
            attempt = 1 if attempts is None else attempts[entry_id]
            held[entry_id] = (now, attempt)
            entry = Entry(stream, entry_id, fields, self._ownership_number)
            deliveries.append(to_delivery(topic, entry, attempt))
        return deliveries

    def _let_go(self, by_stream: Mapping[bytes, Iterable[bytes]]) -> None:
        for stream, ids in by_stream.items():
            held = self._held[stream]
            for entry_id in ids:
                held.pop(entry_id, None)

    def _tell_lost(self, stream: bytes, ids: Sequence[bytes]) -> None:
        if ids:
            get_logger().error(
                "messages_lost",
                reason="they were trimmed or deleted before they were acknowledged",
                stream=stream.decode(),
                group=self._group_name,
                number=len(ids),
                ids=to_text(b" ".join(ids[:MAX_TOLD])),
            )

    async def _tell_deleted(self, stream: bytes, ids: Sequence[bytes]) -> None:
        """Tell which of those that were not there to be claimed are not anywhere."""
        # Redis silently drops those that are not in the stream any more.
        found = await self._ask_twice([(b"XRANGE", stream, each, each) for each in ids])
        self._tell_lost(
            stream, [each for each, entry in zip(ids, found, strict=True) if not entry]
        )

    async def _is_pending(self, entry: Entry) -> bool:
        asking = pending_one(entry.stream, self._group, entry.entry_id)
        [rows] = await self._ask_twice([asking])
        return bool(rows)

    async def _ask_twice(self, commands: Sequence[Command]) -> list[Any]:
        """Ask what can be asked again without harm, where the answer is lost."""
        try:
            return await self._ask_once(commands)
        except ConnectionError:
            return await self._ask_once(commands)

    async def _ask_once(self, commands: Sequence[Command]) -> list[Any]:
        return await ask(self._pool, commands, self._timeout)


async def ask(
    pool: ConnectionPool, commands: Sequence[Command], seconds: float
) -> list[Any]:
    """
    Send commands in one round trip, and give the replies.

    Args:
        pool: Where a connection is taken from.
        commands: What to send, in this order.
        seconds: After how many the replies count as lost.

    Raises:
        ConnectionError: Redis was not reached, did not answer, or refused one.

    """
    if not commands:
        return []
    deadline = asyncio.get_running_loop().time() + seconds
    packed = [pack(*command) for command in commands]
    replies = await exchange(pool, packed, deadline, seconds)
    for reply in replies:
        raise_refusal(reply)
    return replies


def raise_refusal(reply: Any) -> None:
    """Raise what Redis answered with, or within a transaction, if it is an error."""
    inner: Any = reply
    for error in inner if isinstance(reply, list) else [reply]:
        if isinstance(error, ConnectionError):
            raise error
        if isinstance(error, Exception):
            raise ConnectionError(str(error)) from error


def entry_ids(deliveries: Iterable[Delivery]) -> dict[bytes, list[bytes]]:
    """Give the ids of deliveries, by the streams that they came from."""
    by_stream: dict[bytes, list[bytes]] = {}
    for delivery in deliveries:
        entry: Entry = delivery.receipt
        by_stream.setdefault(entry.stream, []).append(entry.entry_id)
    return by_stream


def counting(count: int) -> tuple[bytes, bytes]:
    """Make the options by which claiming an entry says how many attempts began."""
    return (b"RETRYCOUNT", to_bytes(count))


def pending(stream: bytes, group: bytes, count: int) -> Command:
    """Make the command that asks for the oldest pending entries of a group."""
    return (b"XPENDING", stream, group, b"-", b"+", to_bytes(count))


def pending_one(stream: bytes, group: bytes, entry_id: bytes) -> Command:
    """Make the command that asks whether an entry is pending, and since when."""
    return (b"XPENDING", stream, group, entry_id, entry_id, b"1")


def to_bytes(number: float) -> bytes:
    """Write a number as Redis takes it."""
    return str(int(number)).encode()

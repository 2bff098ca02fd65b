"""Publish through Redis Streams, and receive what others published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from diator.events.message_brokers.batching import LoopBatchers, Outcomes
from diator.events.message_brokers.holding_back import HeldBackKeys
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis_client import check_timeout, make_client
from diator.events.message_brokers.redis_exchange import exchange, pack
from diator.events.message_brokers.redis_replies import nothing_written, without_frames
from diator.events.message_brokers.redis_requirements import problem_of
from diator.events.message_brokers.redis_streams_agreement import PartitionAgreement
from diator.events.message_brokers.redis_streams_appending import (
    Appending,
    AppendingBatch,
)
from diator.events.message_brokers.redis_streams_competing import CompetingSubscription
from diator.events.message_brokers.redis_streams_dead_letters import (
    Command,
    StreamDeadLetters,
)
from diator.events.message_brokers.redis_streams_entries import (
    StreamNames,
    check_name,
    to_appending,
)
from diator.events.message_brokers.redis_streams_lag import lag_of
from diator.events.message_brokers.redis_streams_ordered import (
    OWNER,
    OrderedSubscription,
)
from diator.events.message_brokers.redis_streams_subscription import (
    Membership,
    StreamSubscription,
    ask,
    raise_refusal,
    to_bytes,
)
from diator.events.message_brokers.redis_streams_trimming import trim_stream
from diator.events.message_brokers.subscription import (
    Capabilities,
    Lag,
    Subscription,
)
from diator.exceptions import ConfigurationError, EncodingError

# Replicas that are too late must not keep Redis's own answers from coming in time.
WAIT_SHARE = 0.8


class RedisStreamsBroker:
    """
    Append messages to Redis Streams, and share them among consumer groups.

    Messages wait for every group until it has acknowledged them, at least once each.
    A topic is one stream, `<prefix>:<topic>`, whose messages the members of a group
    share in no order; or, where order matters, it has partitions,
    `<prefix>:<topic>:<number>`, and those with the same key, which are in the same
    one, stay in order. Which member reads which partitions is a matter of
    configuration; nothing moves by itself.

    Redis keeps what it has acknowledged only with `appendonly yes`, and after a
    failover only what the replica had been sent.

    Args:
        client: A client, whose pool is used and which is never closed, or the URL of
            a Redis, 7.0 or later, to connect to.
        prefix: The beginning of the streams' names.
        partitions: How many partitions topics have, for those that are ordered, as in
            `{"events": 4}`. Once there are messages the number has to stay: it is noted
            in Redis, and who comes with another one is refused.
        timeout: After how many seconds a message counts as not taken, and Redis as
            not reachable.
        claim_seconds: After how many seconds a message that was neither acknowledged
            nor extended goes to another member, where there are no partitions.
        require_durable: Whether to refuse a Redis that forgets in a crash what it
            acknowledged, or is a replica.
        replicas: How many replicas must have a message before it counts as taken.

    Raises:
        ConfigurationError: One of the arguments cannot work.

    """

    def __init__(  # noqa: PLR0913  # each is about something else
        self,
        client: Redis | str,
        *,
        prefix: str = "diator",
        partitions: Mapping[str, int] | None = None,
        timeout: float = 5.0,
        claim_seconds: float = 30.0,
        require_durable: bool = False,
        replicas: int = 0,
    ) -> None:
        check_timeout(timeout)
        _check_claim_seconds(claim_seconds)
        _check_replicas(replicas)
        self._names = StreamNames(prefix, {} if partitions is None else partitions)
        self._agreement = PartitionAgreement(self._exchange, self._names)
        self._owns_client = isinstance(client, str)
        self._client = make_client(client)
        self._timeout = timeout
        self._claim_seconds = claim_seconds
        self._require_durable = require_durable
        self._is_known_durable = False
        self._replicas = replicas
        self._batchers = LoopBatchers(self._send, timeout)

    @property
    def capabilities(self) -> Capabilities:
        """What it promises: order only for topics with partitions."""
        return Capabilities(
            acknowledges=True,
            keeps=True,
            groups=True,
            headers=True,
            ordered=bool(self._names.partitions),
            counts=True,
            leases=True,
            dead_letters=True,
        )

    async def check(self) -> None:
        """
        Find out whether Redis can do what is asked of it.

        Subscribing does so, and publishing too where durability is required.

        Raises:
            ConfigurationError: It is too old, or may not be asked; or durability is
                required and it has no AOF, or is a replica.
            ConnectionError: It cannot be reached.

        """
        [reply] = await exchange(
            self._client.connection_pool,
            [pack(b"INFO")],
            asyncio.get_running_loop().time() + self._timeout,
            self._timeout,
        )
        if isinstance(reply, ResponseError):
            msg = f"Redis has to be asked what it can do: allow INFO; it says: {reply}"
            raise ConfigurationError(msg) from reply
        raise_refusal(reply)
        problem = problem_of(reply, durable=self._require_durable)
        if problem is not None:
            raise ConfigurationError(problem)
        self._is_known_durable = self._require_durable

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """
        Publish messages, all in one round trip.

        Args:
            messages: What to publish, in this order.

        Returns:
            None for each message that Redis has taken, else what kept it from doing
            so: an `EncodingError`, a `ConfigurationError` or Redis's own answer, where
            it is about this message; where Redis is out of reach, or would take no
            other message either, a `ConnectionError` or `TimeoutError` that says
            whether the message may have been sent. What comes after a message with the
            same key that is not even sent is not sent either; in topics with
            partitions, nor is it written after one that Redis refuses.

        """
        appendings: list[Appending] = []
        refusals: list[tuple[int, Exception]] = []
        held_back = HeldBackKeys()
        for place, message in enumerate(messages):
            try:
                held_back.check(message)
                appendings.append(to_appending(message, self._names))
            except (ConfigurationError, ConnectionError, EncodingError) as error:
                held_back.add(message)
                refusals.append((place, without_frames(error)))
        outcomes: list[Exception | None] = []
        if appendings:
            outcomes += await self._batchers.of_this_loop().send(appendings)
        for place, refusal in refusals:
            outcomes.insert(place, refusal)
        return outcomes

    def subscribe(
        self,
        topics: Sequence[str],
        /,
        *,
        group: str,
        partitions: Sequence[int] | None = None,
    ) -> AbstractAsyncContextManager[Subscription]:
        """
        Become a member of a consumer group for as long as the context lasts.

        A group begins with the oldest message that there is. Leaving it gives back
        what was neither acknowledged nor put aside. If Redis cannot be reached at
        first, receiving tells.

        Args:
            topics: What is received: topics with partitions, or others.
            group: Each message goes to one member of each group.
            partitions: The numbers of those that are read, in each of the topics; all,
                if left out. A member that wants those of another waits until that has
                ended, or 6 seconds after it crashed.

        Raises:
            ConfigurationError: That cannot work, or Redis cannot do it.

        """
        check_name("group", group)
        streams = self._streams_to_read(topics, partitions)
        is_ordered = any(topic in self._names.partitions for topic in topics)
        membership = Membership(
            pool=self._client.connection_pool,
            names=self._names,
            topics=streams,
            group=group,
            member=OWNER if is_ordered else uuid4().hex,
            timeout=self._timeout,
            prepare=partial(self._prepare, topics),
        )
        if is_ordered:
            return _opened(OrderedSubscription(membership))
        return _opened(
            CompetingSubscription(membership, claim_seconds=self._claim_seconds)
        )

    def dead_letters(self, topic: str, group: str, /) -> StreamDeadLetters:
        """
        Give access to what a group could not handle of a topic.

        It is kept in the stream `<prefix>:<topic>:dead:<group>`.
        """
        check = partial(self._agreement.check, [topic])
        return StreamDeadLetters(self._ask, self._names, topic, group, check)

    async def lag(self, topic: str, group: str) -> Lag:
        """
        Tell how far a group is behind, over all partitions of a topic.

        Args:
            topic: The topic.
            group: The group.

        Raises:
            ConfigurationError: Others have another number of partitions.
            ConnectionError: Redis cannot be reached.

        """
        streams = self._names.all_of(topic)
        await self._agreement.check([topic])
        return await lag_of(self._ask, streams, group)

    async def trim(self, topic: str) -> int:
        """
        Remove messages that all groups have acknowledged, and tell their number.

        Do so now and then, since nothing else removes them. A group that is not used
        any more holds everything back, and a new one does not get what was removed.

        Args:
            topic: The topic.

        Raises:
            ConfigurationError: Others have another number of partitions.
            ConnectionError: Redis cannot be reached.

        """
        streams = self._names.all_of(topic)
        await self._agreement.check([topic])
        return sum([await trim_stream(self._ask, stream) for stream in streams])

    async def aclose(self) -> None:
        """Wait for what is being published, and close the client that a URL made."""
        await self._batchers.of_this_loop().drain()
        if self._owns_client:
            await self._client.aclose()

    def _streams_to_read(
        self, topics: Sequence[str], partitions: Sequence[int] | None
    ) -> dict[bytes, str]:
        if isinstance(topics, str) or not topics:
            msg = f"topics must be a list of at least one topic, not {topics!r}"
            raise ConfigurationError(msg)
        counts = {self._names.partitions.get(topic) for topic in topics}
        if None in counts and len(counts) > 1:
            msg = (
                "topics with partitions and topics without are read in different ways: "
                "subscribe to them apart"
            )
            raise ConfigurationError(msg)
        read: dict[bytes, str] = {}
        for topic in topics:
            streams = self._names.all_of(topic)
            if partitions is not None:
                _check_partitions(topic, partitions, self._names.partitions.get(topic))
                streams = [streams[number] for number in partitions]
            read.update(dict.fromkeys(streams, topic))
        return read

    async def _send(self, appendings: Sequence[Appending], deadline: float) -> Outcomes:
        if self._require_durable and not self._is_known_durable:
            try:
                await self.check()
            except (ConfigurationError, ConnectionError) as error:
                return [nothing_written(error)] * len(appendings)
        topics = {each.topic for each in appendings}
        refusals = await self._agreement.reach(topics, deadline)
        if not refusals:
            return await self._append(appendings, deadline)
        allowed = [each for each in appendings if each.topic not in refusals]
        appended = iter(await self._append(allowed, deadline) if allowed else ())
        return [
            refusals[each.topic] if each.topic in refusals else next(appended)
            for each in appendings
        ]

    async def _append(
        self, appendings: Sequence[Appending], deadline: float
    ) -> Outcomes:
        batch = AppendingBatch(appendings)
        pool = self._client.connection_pool
        waiting: list[bytes] = []
        if self._replicas:
            seconds = deadline - asyncio.get_running_loop().time()
            milliseconds = max(1, int(seconds * WAIT_SHARE * 1_000))
            waiting = [pack(b"WAIT", to_bytes(self._replicas), to_bytes(milliseconds))]
        replies = await exchange(
            pool, [*batch.commands, *waiting], deadline, self._timeout
        )
        outcomes = batch.outcomes(replies)
        if waiting:
            doubt = self._doubt(replies[-1])
            if doubt is not None:
                return [doubt if outcome is None else outcome for outcome in outcomes]
        return outcomes

    def _doubt(self, confirmed: Any) -> Exception | None:
        if isinstance(confirmed, ConnectionError | TimeoutError):
            return confirmed
        if isinstance(confirmed, Exception):
            msg = f"it was sent, but Redis does not tell of its replicas: {confirmed}"
            return ConnectionError(msg)
        if confirmed >= self._replicas:
            return None
        msg = (
            f"it was sent, but only {confirmed} of {self._replicas} replicas say in "
            "time that they have it"
        )
        return ConnectionError(msg)

    async def _prepare(self, topics: Sequence[str]) -> None:
        await self.check()
        await self._agreement.reach(topics)
        await self._agreement.check(topics)

    async def _exchange(
        self, commands: Sequence[Command], deadline: float | None
    ) -> list[Any]:
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + self._timeout
        packed = [pack(*command) for command in commands]
        pool = self._client.connection_pool
        return await exchange(pool, packed, deadline, self._timeout)

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        return await ask(self._client.connection_pool, commands, self._timeout)


@asynccontextmanager
async def _opened(subscription: StreamSubscription) -> AsyncGenerator[Subscription]:
    try:
        await subscription.open()
        yield subscription
    finally:
        await subscription.aclose()


def _check_claim_seconds(claim_seconds: Any) -> None:
    if not (isinstance(claim_seconds, int | float) and claim_seconds > 0):
        msg = f"claim_seconds must be a number above 0, not {claim_seconds!r}"
        raise ConfigurationError(msg)


def _check_replicas(replicas: Any) -> None:
    if not (isinstance(replicas, int) and replicas >= 0):
        msg = f"replicas must be an int of at least 0, not {replicas!r}"
        raise ConfigurationError(msg)


def _check_partitions(topic: str, partitions: Sequence[int], count: int | None) -> None:
    if count is None:
        msg = f"{topic!r} has no partitions: say to the broker how many it has"
        raise ConfigurationError(msg)
    if not partitions or not set(partitions) <= set(range(count)):
        msg = (
            f"{topic!r} has the partitions 0 to {count - 1}, of which some are to be "
            f"read, not {list(partitions)}"
        )
        raise ConfigurationError(msg)

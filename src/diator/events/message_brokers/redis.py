"""Publish through Redis Pub/Sub."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from redis.asyncio import Redis

from diator.events.message_brokers.batching import LoopBatchers, Outcomes
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis_client import check_timeout, make_client
from diator.events.message_brokers.redis_exchange import exchange
from diator.events.message_brokers.redis_pubsub import PubSubSubscription
from diator.events.message_brokers.subscription import Capabilities, Subscription
from diator.exceptions import ConfigurationError, EncodingError

CHANNEL_PREFIX = "python_diator_channel"

# These have a meaning in the patterns of PSUBSCRIBE and of access control lists.
PATTERN_CHARACTERS = frozenset("*?[]\\")

PUBLISH = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
"""
The command in Redis's protocol, with a channel and a body after their lengths.

Redis-py packs any command, which takes eight times as long: almost as long as all else
that is done for one message of a batch.
"""


class RedisMessageBroker:
    """
    Publish messages to Redis channels, for whoever listens at that moment.

    Messages that are published at the same time share one connection and one round
    trip. The client's own retries stay off, because they publish twice where a reply
    is lost: only connecting is tried again, while nothing has been sent.

    Args:
        client: A client, whose pool is used and which is never closed, or the URL of
            a Redis to connect to.
        channel_prefix: The beginning of the channels' names, which go on with the
            type and the id of the message.
        timeout: After how many seconds a message counts as not taken.

    Raises:
        ConfigurationError: One of the arguments cannot work.

    """

    def __init__(
        self,
        client: Redis | str,
        *,
        channel_prefix: str = CHANNEL_PREFIX,
        timeout: float = 5.0,
    ) -> None:
        _check_prefix(channel_prefix)
        check_timeout(timeout)
        self._owns_client = isinstance(client, str)
        self._client = make_client(client)
        self._prefix = channel_prefix
        self._timeout = timeout
        self._batchers = LoopBatchers(self._send, timeout)

    @property
    def capabilities(self) -> Capabilities:
        """What it promises: nothing, because Redis keeps no messages."""
        return Capabilities()

    @asynccontextmanager
    async def subscribe(
        self,
        topics: Sequence[str],  # noqa: ARG002  # channels have none
        /,
        *,
        group: str,  # noqa: ARG002  # everybody gets everything
    ) -> AsyncGenerator[Subscription]:
        """
        Listen for as long as the context lasts.

        Every subscriber gets every message of the prefix that is published meanwhile,
        at most once, whatever its group: what it cannot take in time, or fails to
        handle, is lost. If Redis cannot be reached at first, receiving tells.

        Args:
            topics: Not used, because channels have none.
            group: Not used.

        """
        subscription = PubSubSubscription(
            self._client.connection_pool, self._prefix, self._timeout
        )
        try:
            await subscription.open()
            yield subscription
        finally:
            await subscription.aclose()

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """
        Publish messages, all in one round trip.

        Args:
            messages: What to publish, in this order.

        Returns:
            None for each message that Redis has taken, else what kept it from doing
            so: an `EncodingError`, Redis's own answer, or a `ConnectionError` or
            `TimeoutError` that says whether the message may have been sent.

        """
        commands: list[bytes] = []
        refusals: list[tuple[int, EncodingError]] = []
        try:
            for message in messages:
                try:
                    commands.append(self._pack(message))
                except EncodingError as error:
                    refusals.append((len(commands) + len(refusals), error))
            outcomes: Outcomes = []
            if commands:
                outcomes = await self._batchers.of_this_loop().send(commands)
            return _insert(refusals, outcomes) if refusals else outcomes
        finally:
            # An error leads to this frame, which must not lead to the error.
            del refusals

    async def aclose(self) -> None:
        """Wait for what is being published, and close the client that a URL made."""
        await self._batchers.of_this_loop().drain()
        if self._owns_client:
            await self._client.aclose()

    def _pack(self, message: Message) -> bytes:
        body = encode(message)
        # The same as `str` of an id, which costs more than to encode the message.
        message_id = msgspec.to_builtins(message.message_id)
        channel = f"{self._prefix}:{message.message_type}:{message_id}".encode()
        return PUBLISH % (len(channel), channel, len(body), body)

    async def _send(self, commands: Sequence[bytes], deadline: float) -> Outcomes:
        pool = self._client.connection_pool
        replies = await exchange(pool, commands, deadline, self._timeout)
        return [reply if isinstance(reply, Exception) else None for reply in replies]


def _insert(refusals: Sequence[tuple[int, Exception]], outcomes: Outcomes) -> Outcomes:
    """Put what was refused to the places that it had among the messages."""
    merged = [*outcomes]
    for place, refusal in refusals:
        merged.insert(place, refusal)
    return merged


def _check_prefix(prefix: Any) -> None:
    if not (
        isinstance(prefix, str)
        and prefix
        and prefix.isprintable()
        and " " not in prefix
        and PATTERN_CHARACTERS.isdisjoint(prefix)
    ):
        msg = (
            "channel_prefix must be a str without spaces, control characters and "
            f"{''.join(sorted(PATTERN_CHARACTERS))}, not {prefix!r}"
        )
        raise ConfigurationError(msg)

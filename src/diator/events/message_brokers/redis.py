"""Publish through Redis Pub/Sub."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import msgspec
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from diator.events.message_brokers.batching import Batcher, Outcomes
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message
from diator.exceptions import ConfigurationError, EncodingError

CHANNEL_PREFIX = "python_diator_channel"

# These have a meaning in the patterns of PSUBSCRIBE and of access control lists.
PATTERN_CHARACTERS = frozenset("*?[]\\")

# Who cannot connect in this time has time left to try again before the deadline.
CONNECT_TIMEOUT_SECONDS = 2.0

# Enough to get over a connection that is refused while Redis starts anew, and few
# enough that a wrong address is told at once.
CONNECT_ATTEMPTS = 3
CONNECT_PAUSE_SECONDS = 0.1

# A connection of the pool is in use for a round trip, about a millisecond.
POOL_PAUSE_SECONDS = 0.005

NO_RETRIES = Retry(NoBackoff(), 0)

PUBLISH = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
"""
The command in Redis's protocol, with a channel and a body after their lengths.

Redis-py packs any command, which takes eight times as long: more than all else that
one message of a batch costs.
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
        _check_timeout(timeout)
        self._owns_client = isinstance(client, str)
        self._client = _client(client)
        self._prefix = channel_prefix
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batcher = Batcher(self._send, timeout)

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
        for place, message in enumerate(messages):
            try:
                commands.append(self._pack(message))
            except EncodingError as error:
                refusals.append((place, error))
        outcomes: list[Exception | None] = []
        if commands:
            outcomes += await self._batcher_of_this_loop().send(commands)
        for place, refusal in refusals:
            outcomes.insert(place, refusal)
        return outcomes

    async def aclose(self) -> None:
        """Wait for what is being published, and close the client that a URL made."""
        await self._batcher_of_this_loop().drain()
        if self._owns_client:
            await self._client.aclose()

    def _pack(self, message: Message) -> bytes:
        body = encode(message)
        # Faster than `str` of an id, which would cost more than to encode the message.
        message_id = msgspec.to_builtins(message.message_id)
        channel = f"{self._prefix}:{message.message_type}:{message_id}".encode()
        return PUBLISH % (len(channel), channel, len(body), body)

    def _batcher_of_this_loop(self) -> Batcher[bytes]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._batcher = Batcher(self._send, self._timeout)
        return self._batcher

    async def _send(self, commands: Sequence[bytes], deadline: float) -> Outcomes:
        pool = self._client.connection_pool
        connection: AbstractConnection | None = None
        told, lacking = "nothing was sent", "connection"
        outcomes: list[Exception | None] = []
        lost: list[Exception | None] = []
        try:
            async with asyncio.timeout_at(deadline):
                connection = await _connect(pool)
                told, lacking = "it may have been sent", "answer"
                await _exchange(connection, commands, outcomes)
        except Exception as error:  # noqa: BLE001  # credentials may be anybody's code
            unanswered = commands[len(outcomes) :]
            lost += [self._failure(told, lacking, error) for _ in unanswered]
        finally:
            if connection is not None:
                if len(outcomes) < len(commands):
                    # The next user would take what is missing for its own answers.
                    await _disconnect(connection)
                await _give_back(connection, pool)
        return outcomes + lost

    def _failure(self, told: str, lacking: str, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            msg = f"{told}: Redis gave no {lacking} within {self._timeout:g} s"
            return TimeoutError(msg)
        failure = ConnectionError(f"{told}: {str(error) or type(error).__name__}")
        failure.__cause__ = _without_frames(error)
        return failure


async def _connect(pool: ConnectionPool) -> AbstractConnection:
    """Take a connection that works; where that fails, nothing has been sent yet."""
    for attempt in range(1, CONNECT_ATTEMPTS):
        try:
            return await _take(pool)
        except (AuthenticationError, ResponseError):
            # Redis answered: asking again does not help, and may lock an account.
            raise
        except (RedisError, OSError):
            pause = CONNECT_PAUSE_SECONDS * attempt
        await _pause(pause)
    return await _take(pool)


async def _take(pool: ConnectionPool) -> AbstractConnection:
    # `get_connection` is not used because it connects with the client's own retries.
    while not pool.can_get_connection():
        await _pause(POOL_PAUSE_SECONDS)
    connection: AbstractConnection
    connection = pool.get_available_connection()  # type: ignore[no-untyped-call]
    retry, connection.retry = connection.retry, NO_RETRIES
    ready = False
    try:
        await _make_ready(connection, pool)
        ready = True
    finally:
        connection.retry = retry
        if not ready:
            await _disconnect(connection)
            await _give_back(connection, pool)
    return connection


async def _make_ready(connection: AbstractConnection, pool: ConnectionPool) -> None:
    if connection.is_connected:
        if not await _is_stale(connection):
            return
        await _disconnect(connection)
    await pool.ensure_connection(connection)


async def _is_stale(connection: AbstractConnection) -> bool:
    """
    Tell whether a connection that was idle is of no use any more.

    Redis-py misses a connection that was reset, or opened in another event loop: then
    sending would fail in ways that leave open whether something was sent.
    """
    # The loop has to look at its sockets, and then to tell what it saw: where it was
    # busy since the connection was closed, nobody knows of that yet.
    for _ in range(2):
        await asyncio.sleep(0)
    # Nothing is to be read now, so reading is begun and given up by hand; a timeout of
    # 0 would cost more, and hide that the connection waits in another event loop.
    reading = cast("Any", connection.read_response(disconnect_on_error=False))
    try:
        awaited = reading.send(None)
    except Exception:  # noqa: BLE001  # a broken socket raises many things
        return True
    reading.close()
    return (
        asyncio.isfuture(awaited)
        and awaited.get_loop() is not asyncio.get_running_loop()
    )


async def _exchange(
    connection: AbstractConnection,
    commands: Sequence[bytes],
    outcomes: list[Exception | None],
) -> None:
    """Send commands, and add what Redis answers to each of them to the outcomes."""
    # One deadline for all replies costs less than redis-py's for each of them.
    timeout, connection.socket_timeout = connection.socket_timeout, None
    try:
        await connection.send_packed_command(b"".join(commands), check_health=False)
        for _ in commands:
            try:
                await connection.read_response()
            except ResponseError as error:
                outcomes.append(_without_frames(error))
            else:
                outcomes.append(None)
    finally:
        connection.socket_timeout = timeout


def _without_frames(error: Exception) -> Exception:
    # Its traceback leads to frames that hold what was made of the error: a cycle.
    return error.with_traceback(None)


async def _disconnect(connection: AbstractConnection) -> None:
    # A socket of an event loop that was closed cannot even be closed without an error.
    with suppress(Exception):
        await connection.disconnect(nowait=True)


async def _give_back(connection: AbstractConnection, pool: ConnectionPool) -> None:
    # A failure, as of the renewal of a login, says nothing about the messages.
    with suppress(Exception):
        await pool.release(connection)


async def _pause(seconds: float) -> None:
    # Many processes must not come back all at once.
    await asyncio.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311  # no secret


def _client(client: Any) -> Redis:
    if isinstance(client, Redis):
        return client
    if not isinstance(client, str):
        msg = f"a redis.asyncio.Redis or a URL is needed, not {type(client).__name__}"
        raise ConfigurationError(msg)
    made = _client_of_url(client)
    if made is None:
        # It may hold a password, and so may the error of who could not read it.
        msg = (
            "the URL of Redis is not valid: it looks like redis://host:6379/0, and "
            "characters such as / and @ in a password are written as %2F and %40"
        )
        raise ConfigurationError(msg)
    return made


def _client_of_url(url: str) -> Redis | None:
    try:
        client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, socket_connect_timeout=CONNECT_TIMEOUT_SECONDS
        )
        # Not before now are unknown options of the URL found.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, RedisError):
        return None
    return client


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


def _check_timeout(timeout: Any) -> None:
    if not (
        isinstance(timeout, int | float) and math.isfinite(timeout) and timeout > 0
    ):
        msg = f"timeout must be a number of seconds above 0, not {timeout!r}"
        raise ConfigurationError(msg)

"""Ask Redis, over connections that are known to work before anything is sent."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from diator.exceptions import ConfigurationError

# Who cannot connect in this time has time left to try again before the deadline.
CONNECT_TIMEOUT_SECONDS = 2.0

# Enough to get over a connection that is refused while Redis starts anew, and few
# enough that a wrong address is told at once.
CONNECT_ATTEMPTS = 3
CONNECT_PAUSE_SECONDS = 0.1

# A connection of the pool is in use for a round trip, about a millisecond.
POOL_PAUSE_SECONDS = 0.005

NO_RETRIES = Retry(NoBackoff(), 0)

# Answers that say nothing about the message: Redis would refuse any other as well. For
# the last of them redis-py has no classes, and leaves their names in the text.
OF_THE_BROKER = (
    AskError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
OF_THE_BROKER_BY_NAME = ("MISCONF ", "NOREPLICAS ", "BUSY ", "UNKILLABLE ")


async def exchange(
    pool: ConnectionPool, commands: Sequence[bytes], deadline: float, seconds: float
) -> list[Any]:
    """
    Send commands in one round trip, on a connection of a pool, and read the replies.

    Args:
        pool: Where a connection is taken from.
        commands: What to send, in this order, each as `pack` makes it.
        deadline: Until when, in the time of the event loop.
        seconds: How long that was from the beginning, to be told where it is not met.

    Returns:
        A reply for each command, of bytes: Redis's own error where it refused one, and
        a `ConnectionError` or `TimeoutError`, which says whether the command may have
        been sent, where there is no answer.

    """
    connection: AbstractConnection | None = None
    told, lacking = "nothing was sent", "connection"
    replies: list[Any] = []
    lost: list[Any] = []
    try:
        async with asyncio.timeout_at(deadline):
            connection = await connect(pool)
            told, lacking = "it may have been sent", "answer"
            await _exchange(connection, commands, replies)
    except Exception as error:  # noqa: BLE001  # credentials may be anybody's code
        unanswered = commands[len(replies) :]
        lost += [_failure(told, lacking, error, seconds) for _ in unanswered]
    finally:
        if connection is not None:
            if len(replies) < len(commands):
                # The next user would take what is missing for its own answers.
                await disconnect(connection)
            await give_back(connection, pool)
    return replies + lost


async def _exchange(
    connection: AbstractConnection, commands: Sequence[bytes], replies: list[Any]
) -> None:
    """Send commands, and add what Redis answers to each of them to the replies."""
    # One deadline for all replies costs less than redis-py's for each of them.
    timeout, connection.socket_timeout = connection.socket_timeout, None
    # Not typed well.
    read: Any = connection.read_response
    try:
        await connection.send_packed_command(b"".join(commands), check_health=False)
        for _ in commands:
            try:
                replies.append(await read(disable_decoding=True))
            except ResponseError as error:
                replies.append(without_frames(error))
    finally:
        connection.socket_timeout = timeout


def outcome_of(reply: Any) -> Exception | None:
    """
    Make of a reply what is said of a message that was to be published.

    Args:
        reply: What `exchange` gave for it.

    Returns:
        None if Redis has taken it; a `ConnectionError` where Redis takes none for the
        time being; else Redis's own answer, which is about this message.

    """
    if not isinstance(reply, Exception):
        return None
    if isinstance(reply, OF_THE_BROKER) or str(reply).startswith(OF_THE_BROKER_BY_NAME):
        return nothing_written(reply)
    return reply


def nothing_written(reason: Exception) -> ConnectionError:
    """Say that the broker takes no messages, for what reason."""
    failure = ConnectionError(f"nothing was written: {reason}")
    failure.__cause__ = without_frames(reason)
    return failure


def pack(*parts: bytes) -> bytes:
    """Write a command in Redis's protocol, which redis-py takes longer for."""
    command = [b"*%d\r\n" % len(parts)]
    command += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(command)


def _failure(told: str, lacking: str, error: Exception, seconds: float) -> Exception:
    if isinstance(error, TimeoutError):
        return TimeoutError(f"{told}: Redis gave no {lacking} within {seconds:g} s")
    failure = ConnectionError(f"{told}: {str(error) or type(error).__name__}")
    failure.__cause__ = without_frames(error)
    return failure


class OwnConnection:
    """
    A connection apart from the pool, for who waits long for answers.

    It is opened when it is first needed, and anew after every failure. One task at a
    time may use it.

    Args:
        pool: Says how to connect.
        timeout: After how many seconds an answer counts as lost.

    """

    def __init__(self, pool: ConnectionPool, timeout: float) -> None:
        self._pool = pool
        self._timeout = timeout
        self._connection: AbstractConnection | None = None

    async def ask(
        self, commands: Sequence[bytes], *, patience: float = 0.0
    ) -> list[Any]:
        """
        Send commands in one round trip, and read the replies.

        Args:
            commands: What to send, in this order, each as `pack` makes it.
            patience: How many seconds Redis was asked to wait before it answers.

        Returns:
            A reply for each command, of bytes: Redis's own error where it refused one.

        Raises:
            ConnectionError: Redis was not reached, or did not answer.

        """
        replies: list[Any] = []
        connection = self._connection
        if connection is None:
            connection = await open_connection(self._pool, self._timeout)
            self._connection = connection
        try:
            async with asyncio.timeout(self._timeout + patience):
                await _exchange(connection, commands, replies)
        except Exception as error:
            raise _in_vain(error, self._timeout + patience) from error
        finally:
            if len(replies) < len(commands):
                # The next answers would be taken for those that are missing.
                await self.aclose()
        return replies

    async def aclose(self) -> None:
        """Close the connection, as often as one likes."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await disconnect(connection)


async def open_connection(pool: ConnectionPool, seconds: float) -> AbstractConnection:
    """
    Open a connection apart from a pool, without deadlines of its own.

    Args:
        pool: Says how to connect.
        seconds: After how many to give up.

    Raises:
        ConnectionError: Redis was not reached.

    """
    connection: AbstractConnection
    connection = pool.make_connection()  # type: ignore[no-untyped-call]
    connection.retry = NO_RETRIES
    is_open = False
    try:
        async with asyncio.timeout(seconds):
            await _heed_cancellation(connection.connect())  # type: ignore[no-untyped-call]
            is_open = True
    except Exception as error:
        raise _in_vain(error, seconds) from error
    finally:
        if not is_open:
            await disconnect(connection)
    connection.socket_timeout = None
    return connection


def _in_vain(error: Exception, seconds: float) -> ConnectionError:
    told = _failure("Redis was asked in vain", "answer", error, seconds)
    return ConnectionError(str(told))


async def connect(pool: ConnectionPool) -> AbstractConnection:
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
            await disconnect(connection)
            await give_back(connection, pool)
    return connection


async def _make_ready(connection: AbstractConnection, pool: ConnectionPool) -> None:
    if connection.is_connected:
        if not await _is_stale(connection):
            return
        await disconnect(connection)
    await _heed_cancellation(pool.ensure_connection(connection))


async def _heed_cancellation(connecting: Awaitable[None]) -> None:
    """Pass a cancellation on that redis-py swallows while it connects."""
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    cancelled_before = task.cancelling()
    await connecting
    if task.cancelling() > cancelled_before:
        raise asyncio.CancelledError


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
    # 0 would cost more, and hide that the connection waits in another event loop. The
    # connection's own one, set only to be given up, would cost a lone message a tenth.
    timeout, connection.socket_timeout = connection.socket_timeout, None
    reading = cast("Any", connection.read_response(disconnect_on_error=False))
    try:
        awaited = reading.send(None)
    except Exception:  # noqa: BLE001  # a broken socket raises many things
        return True
    finally:
        connection.socket_timeout = timeout
    reading.close()
    return (
        asyncio.isfuture(awaited)
        and awaited.get_loop() is not asyncio.get_running_loop()
    )


def without_frames(error: Exception) -> Exception:
    """Cut an error off from the frames that it came through."""
    # Its traceback leads to frames that hold what was made of the error: a cycle.
    return error.with_traceback(None)


async def disconnect(connection: AbstractConnection) -> None:
    """Close a connection at once, in whatever state it is."""
    # A socket of an event loop that was closed cannot even be closed without an error.
    with suppress(Exception):
        await connection.disconnect(nowait=True)


async def end_task(task: asyncio.Future[Any]) -> None:
    """Cancel a task, and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # nobody waits for it any more


async def give_back(connection: AbstractConnection, pool: ConnectionPool) -> None:
    """Give a connection back to its pool."""
    # A failure, as of the renewal of a login, says nothing about the messages.
    with suppress(Exception):
        await pool.release(connection)


async def _pause(seconds: float) -> None:
    # Many processes must not come back all at once.
    await asyncio.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311  # no secret


def make_client(client: Any) -> Redis:
    """
    Make a client of a URL, or take one that is there.

    Raises:
        ConfigurationError: It is neither, or the URL is not valid.

    """
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


def check_timeout(timeout: Any) -> None:
    """Refuse what is no number of seconds, with a `ConfigurationError`."""
    if not (
        isinstance(timeout, int | float) and math.isfinite(timeout) and timeout > 0
    ):
        msg = f"timeout must be a number of seconds above 0, not {timeout!r}"
        raise ConfigurationError(msg)

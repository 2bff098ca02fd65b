"""Connections to Redis that are known to work before anything is sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, cast

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from diator.events.message_brokers.redis_replies import in_vain

# Enough to get over a connection that is refused while Redis starts anew, and few
# enough that a wrong address is told at once.
CONNECT_ATTEMPTS = 3
CONNECT_PAUSE_SECONDS = 0.1

# A connection of the pool is in use for a round trip, about a millisecond.
POOL_PAUSE_SECONDS = 0.005

NO_RETRIES = Retry(NoBackoff(), 0)


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
        raise in_vain(error, seconds) from error
    finally:
        if not is_open:
            await disconnect(connection)
    connection.socket_timeout = None
    return connection


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

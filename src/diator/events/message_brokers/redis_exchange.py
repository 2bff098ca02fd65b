"""Send commands to Redis in one round trip, and read the replies."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from diator.events.message_brokers.redis_connections import (
    connect,
    disconnect,
    give_back,
    open_connection,
)
from diator.events.message_brokers.redis_replies import (
    in_vain,
    no_reply,
    without_frames,
)


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
        lost += [no_reply(told, lacking, error, seconds) for _ in unanswered]
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


def pack(*parts: bytes) -> bytes:
    """Write a command in Redis's protocol, which redis-py takes longer for."""
    command = [b"*%d\r\n" % len(parts)]
    command += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(command)


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
            raise in_vain(error, self._timeout + patience) from error
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

"""Receive what is published through Redis Pub/Sub at that moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection

from diator.events.message_brokers.redis_connections import (
    disconnect,
    end_task,
    open_connection,
)
from diator.events.message_brokers.redis_exchange import pack
from diator.events.message_brokers.redis_fetching import Fetcher
from diator.events.message_brokers.subscription import Delivery
from diator.logger import get_logger

PING_SECONDS = 2.0
"""
After how long a silence Redis is asked whether it is there.

Without, a connection that leads nowhere any more goes unnoticed for ever.
"""


class PubSubSubscription:
    """
    Hears every message of a prefix, at most once.

    What is published while nobody listens is lost, and so is what comes too fast.

    Args:
        pool: Says how to connect.
        prefix: The beginning of the channels' names.
        timeout: After how many seconds without an answer Redis counts as gone.

    """

    def __init__(self, pool: ConnectionPool, prefix: str, timeout: float) -> None:
        self._pool = pool
        self._pattern = f"{prefix}:*"
        self._timeout = timeout
        self._connection: AbstractConnection | None = None
        self._fetcher = Fetcher(self._fetch)
        self._reading: asyncio.Task[Any] | None = None

    async def receive(self, limit: int, /) -> Sequence[Delivery]:
        """
        Wait for messages, and give some of them.

        To cancel the waiting loses none. One task at a time may wait. Where the
        connection is lost, another one is opened, and a warning is logged.

        Args:
            limit: How many at most.

        Returns:
            At least one.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        return await self._fetcher.receive(limit)

    async def ack(self, deliveries: Sequence[Delivery], /) -> None:
        """Do nothing: Redis keeps no messages."""

    async def nack(self, deliveries: Sequence[Delivery], /) -> None:
        """Do nothing: Redis does not deliver again."""

    def begin(self, delivery: Delivery, /) -> bool:  # noqa: ARG002  # all are
        """Tell that a message is this member's to handle."""
        return True

    async def extend(self, deliveries: Sequence[Delivery], /) -> None:
        """Do nothing: Redis gives messages to all at once."""

    async def dead_letter(self, delivery: Delivery, cause: str, /) -> None:
        """
        Log what kind of cause it is, and forget the message: there is no place for it.

        The rest of the cause is left out, because a part of the message may be in it.

        Args:
            delivery: The message.
            cause: Why it cannot be handled.

        """
        get_logger().error(
            "message_dropped",
            channel=delivery.topic,
            message_name=delivery.message_name,
            message_id=delivery.message_id,
            cause=cause.partition(":")[0],
        )

    async def open(self) -> None:
        """
        Begin to listen, if Redis can be reached.

        What is published afterwards is heard.
        """
        with suppress(ConnectionError):
            await self._listen()

    async def aclose(self) -> None:
        """Listen no more."""
        await self._fetcher.aclose()
        await self._hang_up()

    async def _fetch(self, limit: int) -> None:
        """Fill the buffer."""
        if self._connection is None:
            await self._listen()
        try:
            while not self._fetcher.buffer:
                self._take(await self._read())
            # What came with it is here already, so that nobody has to be waited for.
            while len(self._fetcher.buffer) < limit and await self._has_come():
                self._take(await self._read())
        except Exception as error:  # noqa: BLE001  # a broken socket raises many things
            get_logger().warning(
                "messages_missed", channels=self._pattern, reason=str(error)
            )
            await self._hang_up()
            await self._listen()

    async def _listen(self) -> None:
        self._connection = await open_connection(self._pool, self._timeout)
        try:
            await self._send(b"PSUBSCRIBE", self._pattern.encode())
            self._take(await self._read())
        except BaseException as error:
            await self._hang_up()
            if isinstance(error, Exception):
                raise ConnectionError(str(error)) from error
            raise

    async def _read(self) -> Any:
        """Read the next reply; ask whether Redis is there when none comes."""
        reading = self._reading = self._reading or self._start_reading()
        done, _ = await asyncio.wait([reading], timeout=PING_SECONDS)
        if not done:
            await self._send(b"PING")
            done, _ = await asyncio.wait([reading], timeout=self._timeout)
        if not done:
            msg = f"Redis said nothing for {self._timeout:g} s"
            raise ConnectionError(msg)
        self._reading = None
        return reading.result()

    async def _has_come(self) -> bool:
        self._reading = self._reading or self._start_reading()
        await asyncio.sleep(0)
        return self._reading.done()

    def _start_reading(self) -> asyncio.Task[Any]:
        # Only a task of its own can be left alone while its reader is cancelled.
        connection: Any = self._connection
        return asyncio.create_task(
            connection.read_response(disable_decoding=True, push_request=True)
        )

    async def _send(self, *command: bytes) -> None:
        connection: Any = self._connection
        await connection.send_packed_command(pack(*command), check_health=False)

    async def _hang_up(self) -> None:
        if self._reading is not None:
            await end_task(self._reading)
            self._reading = None
        connection, self._connection = self._connection, None
        if connection is not None:
            await disconnect(connection)

    def _take(self, reply: Any) -> None:
        # Others confirm the subscription, or answer to PING.
        message: Any = reply
        if not isinstance(reply, list) or message[0] != b"pmessage":
            return
        channel: str = message[2].decode(errors="replace")
        kind, _, message_id = channel.removeprefix(self._pattern[:-1]).rpartition(":")
        self._fetcher.buffer.append(
            Delivery(
                topic=channel, body=message[3], message_id=message_id, message_type=kind
            )
        )

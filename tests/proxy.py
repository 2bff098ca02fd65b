"""A connection to a server that can be broken at will."""

from __future__ import annotations

import asyncio
import socket
import struct
from urllib.parse import urlsplit


class Proxy:
    """
    Stands between a client and Redis, looks on and does harm.

    Attributes:
        round_trips: How often the client began to speak after Redis had.
        accepted: How many connections there were.
        swallows_answers: Set, the client is cut off instead of being answered.
        truncates_answers: Set, it is cut off in the middle of the answer.
        refuses: Set, whoever connects is cut off.
    """

    def __init__(self, url) -> None:
        self._target = urlsplit(url)
        self._clients = []
        self._tasks = set()
        self.round_trips = 0
        self.accepted = 0
        self.swallows_answers = False
        self.truncates_answers = False
        self.refuses = False

    async def start(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"redis://{host}:{port}/0"

    async def aclose(self):
        self._server.close()
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def reset(self):
        """Reset all connections, as a firewall does with idle ones."""
        for client in self._clients:
            if client.is_closing():
                continue
            connection = client.get_extra_info("socket")
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.transport.abort()
        self._clients.clear()

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.accepted += 1
        if self.refuses:
            writer.close()
            return
        self._clients.append(writer)
        redis_reader, redis_writer = await asyncio.open_connection(
            self._target.hostname, self._target.port
        )
        self._speaker = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, redis_writer, "client"))
                group.create_task(self._pass(redis_reader, writer, "redis"))
        except* OSError:
            pass
        finally:
            redis_writer.close()
            writer.close()

    async def _pass(self, reader, writer, speaker):
        while data := await reader.read(65_536):
            if speaker == "client" != self._speaker:
                self.round_trips += 1
            self._speaker = speaker
            if speaker == "redis" and self.swallows_answers:
                self.reset()
                return
            if speaker == "redis" and self.truncates_answers:
                writer.write(data[: len(data) // 2])
                await writer.drain()
                self.reset()
                return
            writer.write(data)
        raise ConnectionResetError

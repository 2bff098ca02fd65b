from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn


@pytest.fixture(autouse=True)
def folder_of_its_own(monkeypatch, tmp_path):
    """Have the shop keep its orders where only this test sees them."""
    monkeypatch.chdir(tmp_path)


class Server(uvicorn.Server):
    """Serves an application from a port that nobody else has."""

    def __init__(self, app):
        super().__init__(
            # `wsproto` and `websockets` are no matter of these examples.
            uvicorn.Config(app, port=0, log_level="warning", ws="none", lifespan="on")
        )
        self.is_ready = asyncio.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.is_ready.set()

    @property
    def url(self):
        port = self.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def served(app):
    """Serve an application over a real socket, and give a client of it."""
    server = Server(app)
    serving = asyncio.create_task(server._serve())
    try:
        async with asyncio.timeout(30):
            await server.is_ready.wait()
        async with httpx.AsyncClient(base_url=server.url) as client:
            yield client
    finally:
        server.should_exit = True
        await serving

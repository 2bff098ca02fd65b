"""Connections to a real Redis."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from diator.events.message_brokers.redis_exchange import OwnConnection, exchange, pack

PATIENCE = 30  # seconds
AWAITS = 40  # more than it takes to connect and to be answered


async def cancel_after(steps, coroutine):
    """Cancel something in the middle, and tell whether that came in time."""
    task = asyncio.create_task(coroutine)
    for _ in range(steps):
        await asyncio.sleep(0)
    in_time = task.cancel()
    await asyncio.wait([task], timeout=PATIENCE)
    assert task.cancelled() == in_time
    return in_time


class TestCancellation:
    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_of_an_exchange(self, redis_url, redis_client, protocol):
        """A cancellation is never swallowed, also while it connects."""
        outcomes = []
        for steps in range(AWAITS):
            async with Redis.from_url(f"{redis_url}?protocol={protocol}") as client:
                pool = client.connection_pool
                deadline = asyncio.get_running_loop().time() + PATIENCE
                asking = exchange(pool, [pack(b"PING")], deadline, PATIENCE)

                outcomes.append(await cancel_after(steps, asking))

                assert await client.echo(f"{steps}") == f"{steps}".encode()
                assert not pool._in_use_connections
        assert outcomes[0]

    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_of_a_connection_of_its_own(self, redis_url, redis_client, protocol):
        """The same holds for a connection apart, which is of use afterwards."""
        async with Redis.from_url(f"{redis_url}?protocol={protocol}") as client:
            for steps in range(AWAITS):
                line = OwnConnection(client.connection_pool, PATIENCE)

                await cancel_after(steps, line.ask([pack(b"PING")]))

                echo = pack(b"ECHO", f"{steps}".encode())
                assert await line.ask([echo]) == [f"{steps}".encode()]
                await line.aclose()

"""The servers that the other integration tests rely on."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import TimeoutError as NoAnswerError


def connect_once(url, timeout=1.0):
    """Return a client that tells of every failure at once."""
    return Redis.from_url(url, socket_timeout=timeout, retry=Retry(NoBackoff(), 0))


class TestSharedRedis:
    async def test_answers(self, redis_client):
        """The shared Redis answers."""
        assert await redis_client.ping()

    @pytest.mark.parametrize("test", ["first", "second"])
    async def test_starts_empty(self, redis_client, test):
        """What one test writes is gone for the next one."""
        assert await redis_client.dbsize() == 0

        await redis_client.set("left by", test)

    def test_is_local(self, redis_url):
        """Nothing outside of this machine can reach it."""
        assert redis_url.startswith("redis://127.0.0.1:")


class TestOwnRedis:
    async def test_outage(self, own_redis):
        """After a crash and a new start it is where it was, with what it knew."""
        async with connect_once(own_redis.url) as client:
            await client.set("answer", 42)

            own_redis.kill()
            with pytest.raises(NoConnectionError):
                await client.ping()

            own_redis.start()
            assert await client.get("answer") == b"42"

    async def test_silence(self, own_redis):
        """While it is paused nothing answers, afterwards all is as before."""
        async with connect_once(own_redis.url, timeout=0.05) as client:
            await client.ping()

            own_redis.pause()
            with pytest.raises(NoAnswerError):
                await client.ping()

            own_redis.resume()
        async with connect_once(own_redis.url) as client:
            assert await client.ping()

    async def test_is_apart(self, own_redis, redis_client):
        """It is not the Redis that the other tests share."""
        await redis_client.set("shared", 1)

        async with connect_once(own_redis.url) as client:
            assert await client.get("shared") is None

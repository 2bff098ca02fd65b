"""Brokers on real servers do what every broker has to do."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from diator.events.message_brokers.redis import RedisMessageBroker
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.testing.conformance import BrokerConformance

CLAIM_SECONDS = 0.5
PARTITIONS = 4


class OnRedis(BrokerConformance):
    @pytest.fixture(autouse=True)
    def server(self, redis_url):
        self.url = redis_url

    async def interrupt(self):
        async with Redis.from_url(self.url) as client:
            await client.client_kill_filter(_type="normal", skipme=True)
            await client.client_kill_filter(_type="pubsub")


class TestPubSub(OnRedis):
    def make_broker(self, topic):
        return RedisMessageBroker(f"{self.url}?protocol=2", channel_prefix=topic)


class TestPubSubWithRESP3(OnRedis):
    def make_broker(self, topic):
        return RedisMessageBroker(f"{self.url}?protocol=3", channel_prefix=topic)


class OnStreams(OnRedis):
    async def delete(self, topic):
        async with Redis.from_url(self.url) as client:
            await client.delete(*await client.keys(f"diator:{topic}*"))

    async def retain(self, broker, topic):
        assert await broker.trim(topic) == 0


class TestStreams(OnStreams):
    def make_broker(self, topic):
        url = f"{self.url}?protocol=2"
        return RedisStreamsBroker(url, claim_seconds=CLAIM_SECONDS)


class TestStreamsWithRESP3(OnStreams):
    def make_broker(self, topic):
        url = f"{self.url}?protocol=3&decode_responses=True"
        return RedisStreamsBroker(url, claim_seconds=CLAIM_SECONDS)


class TestPartitionedStreams(OnStreams):
    def make_broker(self, topic):
        return RedisStreamsBroker(self.url, partitions={topic: PARTITIONS})

    def subscribe(self, broker, topics, *, group, member, of):
        partitions = range(member, PARTITIONS, of)
        return broker.subscribe(topics, group=group, partitions=partitions)

    async def crash(self, subscription):
        # Its key expires after some seconds, which the tests need not wait for.
        await subscription._ownership.aclose()

"""A relay from PostgreSQL to Redis Streams, beside bare commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.comparison import Case
from benchmarks.conftest import ROUNDS_DISABLED, ROUNDS_SHOWN, Compare
from diator import Mediator
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay
from diator.outbox.tables import BUCKETS, Tables

WORK = 5_000
PIPELINE = 500
KEYS = 200
PAYLOAD = b'{"event_id":"%s","user":"Ada"}' % str(UUID(int=0)).encode()

# Those before the rounds are included.
BACKLOG = WORK * (ROUNDS_DISABLED + ROUNDS_SHOWN + 10)

tables = Tables()

# As many rows as are needed cannot be sent one by one in a reasonable time.
FILL = text("""
    INSERT INTO diator_outbox (
        message_id, bucket, message_type, message_name, topic, key, payload, created_at
    )
    SELECT
        gen_random_uuid(), number % :keys % :buckets, 'notification_event', 'Joined',
        'events', 'key ' || number % :keys, :payload, now()
    FROM generate_series(1, :backlog) AS number
""")


@pytest.fixture
def engine(postgresql: str, runner: asyncio.Runner) -> Iterator[AsyncEngine]:
    engine = create_async_engine(postgresql)

    async def fill() -> None:
        await tables.create_all(engine)
        async with engine.begin() as connection:
            await connection.execute(
                FILL,
                {
                    "payload": PAYLOAD,
                    "keys": KEYS,
                    "buckets": BUCKETS,
                    "backlog": BACKLOG,
                },
            )
        # As PostgreSQL does by itself within a minute; it makes other plans then.
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as (
            connection
        ):
            await connection.execute(text("VACUUM ANALYZE"))

    runner.run(fill())
    yield engine
    runner.run(engine.dispose())


class Counting:
    """A broker that tells when enough was published."""

    def __init__(self, broker: RedisStreamsBroker) -> None:
        self._broker = broker
        self._published = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        results = await self._broker.publish(messages)
        self._published += results.count(None)
        if self._published >= self._wanted:
            self._reached.set()
        return results

    async def have_published(self, more: int) -> None:
        """Wait for more; what was too much the last time counts."""
        self._wanted += more
        if self._published < self._wanted:
            self._reached.clear()
        await self._reached.wait()


def test_relay_to_streams(
    compare: Compare, runner: asyncio.Runner, engine: AsyncEngine, redis_url: str
) -> None:
    """A relay that has a backlog, over many keys."""
    client: Any = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]  # not typed well
    broker = Counting(RedisStreamsBroker(client, partitions={"events": 8}))
    relay = Relay(Outbox(engine, Mediator().event_emitter.registry), broker)
    fields = {
        "id": str(UUID(int=0)),
        "type": "notification_event",
        "name": "Joined",
        "key": "key 100",
        "body": PAYLOAD,
    }

    async def append_by_hand(_request: object) -> None:
        for _ in range(WORK // PIPELINE):
            pipeline = client.pipeline(transaction=False)
            for _ in range(PIPELINE):
                pipeline.xadd("by hand", fields)
            await pipeline.execute()

    async def publish(_request: object) -> None:
        async with relay:
            await broker.have_published(WORK)

    compare(
        Case(
            name=f"relay from PostgreSQL beside XADD, {PIPELINE} each",
            request=None,
            sends=1,
            rounds=30,
            work=WORK,
            is_throughput=True,
            speed_target=0.65,
        ),
        by_hand=append_by_hand,
        diator=publish,
    )
    runner.run(client.aclose(close_connection_pool=True))

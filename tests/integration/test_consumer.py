"""From the commit in one process to the commit in another, through a real Redis."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    AsyncSessionTransaction,
    async_sessionmaker,
    create_async_engine,
)

from diator import Command, EventEmitter, Mediator, NotificationEvent, collect
from diator.backoff import Backoff
from diator.consumer.consumer import Consumer
from diator.container.lagom import LagomContainer
from diator.events.event import Event
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.messages.cloud_events import CloudEventsBroker
from diator.messages.headers import outgoing_headers
from diator.messages.registry import MessageRegistry
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay
from diator.outbox.tables import Tables
from tests.redis_server import make_redis

PATIENCE = 60  # seconds
KEYS = 10
AT_ONCE = Backoff(first=0.001, longest=0.01)

metadata = MetaData()
effects = Table(
    "effects",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("what", String, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Ordered(NotificationEvent):
    customer: int
    number: int


@dataclass(frozen=True, kw_only=True)
class Order(Command):
    customer: int
    numbers: list[int]


@dataclass(frozen=True, kw_only=True)
class Ship(Command):
    number: int


@pytest.fixture(scope="module")
def streams_url():
    """Return the URL of a Redis that has the commands of 7.0."""
    with closing(make_redis("server", "container")) as server:
        server.start()
        yield server.url


@pytest.fixture
async def client(streams_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(streams_url) as client:
        await client.flushall()
        yield client


@asynccontextmanager
async def database(path: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    try:
        await Tables().create_all(engine)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield engine
    finally:
        await engine.dispose()


def begin(session: AsyncSession) -> AsyncSessionTransaction:
    return session.begin()


def make_mediator(engine: AsyncEngine, registry: MessageRegistry) -> Mediator:
    """Make one with a transaction, an inbox and an outbox in both pipelines."""
    container = LagomContainer()
    container.scoped(AsyncSession, async_sessionmaker(engine))
    mediator = Mediator(
        container=container, event_emitter=EventEmitter(registry=registry)
    )
    transaction = TransactionMiddleware(begin)
    outbox = OutboxMiddleware(Outbox(engine, registry))
    for use in (mediator.use, mediator.event_emitter.use):
        use(transaction, only=(Command, Event))
        use(InboxMiddleware())
        use(outbox)
    return mediator


def make_registry() -> MessageRegistry:
    registry = MessageRegistry()
    registry.add(
        Ordered,
        name="ordered.v1",
        key=lambda event: str(event.customer),
        topic="orders",
    )
    registry.add(Order)
    registry.add(Ship)
    return registry


async def effects_of(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        rows = await connection.execute(select(effects.c.what).order_by("number"))
        return [what for (what,) in rows]


class Shop:
    """Takes orders: what is sent to it leaves through its outbox."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.registry = make_registry()
        self.engine = engine
        self.mediator = make_mediator(engine, self.registry)

        @self.mediator.handles(Order)
        async def order(request: Order) -> None:
            for number in request.numbers:
                collect(Ordered(customer=request.customer, number=number))

    def relay(self, broker: Any) -> Relay:
        return Relay(Outbox(self.engine, self.registry), broker)


class Warehouse:
    """Ships what was ordered, and fails now and then."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.mediator = make_mediator(engine, make_registry())
        self.fails: Any = lambda event: False
        self.headers: list[dict[str, str]] = []

        @self.mediator.handles(Ordered)
        async def pack(event: Ordered, session: AsyncSession) -> None:
            await session.execute(
                insert(effects).values(what=f"{event.customer}:{event.number}")
            )
            if self.fails(event):
                raise OSError

        @self.mediator.handles(Ship)
        async def ship(request: Ship, session: AsyncSession) -> None:
            self.headers.append(outgoing_headers())
            await session.execute(insert(effects).values(what=f"ship {request.number}"))


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await is_so():  # noqa: ASYNC110  # neither database nor Redis tells
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("mode", [None, "structured", "binary"])
async def test_from_commit_to_commit(client: Redis, tmp_path: Path, mode: Any):
    """What one process commits has its effect in another, in any format."""
    broker = RedisStreamsBroker(client)
    publishing: Any = broker
    if mode is not None:
        publishing = CloudEventsBroker(broker, source="/shop", mode=mode)
    async with (
        database(tmp_path / "shop") as shop_db,
        database(tmp_path / "warehouse") as warehouse_db,
    ):
        shop, warehouse = Shop(shop_db), Warehouse(warehouse_db)
        consumer = Consumer(warehouse.mediator, broker, group="warehouse")
        async with shop.relay(publishing), consumer:
            await shop.mediator.send(Order(customer=1, numbers=[1, 2, 3]))
            command_id = await shop.mediator.post(Ship(number=1))

            async def is_done() -> bool:
                return (await consumer.health())["handled"] == 4

            await until(is_done)

        assert sorted(await effects_of(warehouse_db)) == ["1:1", "1:2", "1:3", "ship 1"]
        # Of CloudEvents, only the source and the id together tell which it is.
        cause = str(command_id) if mode is None else f"/shop {command_id}"
        assert warehouse.headers == [{"correlation_id": cause, "causation_id": cause}]


async def test_failures(client: Redis, tmp_path: Path):
    """Whatever fails and is stopped, each order is packed once and in its turn."""
    broker = RedisStreamsBroker(client, partitions={"orders": 4})
    poison = {7, 77, 177}
    failed: Counter[int] = Counter()
    count = 300
    async with (
        database(tmp_path / "shop") as shop_db,
        database(tmp_path / "warehouse") as warehouse_db,
    ):
        shop, warehouse = Shop(shop_db), Warehouse(warehouse_db)

        def fails(event: Ordered) -> bool:
            failed[event.number] += 1
            return event.number in poison or (
                event.number % 20 == 0 and failed[event.number] < 3
            )

        warehouse.fails = fails
        for customer in range(KEYS):
            numbers = list(range(customer, count, KEYS))
            await shop.mediator.send(Order(customer=customer, numbers=numbers))
        letters = broker.dead_letters("orders", "warehouse")

        async def is_done() -> bool:
            packed = len(await effects_of(warehouse_db))
            return packed == count - len(poison) and len(await letters.list()) == 3

        def make_consumer(partitions: list[int]) -> Consumer:
            return Consumer(
                warehouse.mediator,
                broker,
                group="warehouse",
                topics=["orders"],
                partitions=partitions,
                concurrency=4,
                backoff=AT_ONCE,
            )

        async def consume(partitions: list[int], restarts: int) -> None:
            """Consume, and start anew now and then, as for another version."""
            for _ in range(restarts):
                consumer = make_consumer(partitions)
                running = asyncio.create_task(consumer.run())

                async def is_busy(consumer: Consumer = consumer) -> bool:
                    return (await consumer.health())["handled"] >= 15

                await until(is_busy)
                consumer.stop()
                await running
            async with make_consumer(partitions):
                await until(is_done)

        async with shop.relay(broker), asyncio.TaskGroup() as group:
            group.create_task(consume([0, 1], 4))
            group.create_task(consume([2, 3], 3))

        packed = await effects_of(warehouse_db)
        assert len(packed) == len(set(packed)) == count - len(poison)
        per_customer = defaultdict(list)
        for what in packed:
            customer, _, number = what.partition(":")
            per_customer[customer].append(int(number))
        assert all(numbers == sorted(numbers) for numbers in per_customer.values())
        dead = await letters.list()
        assert all("OSError" in letter.cause for letter in dead)

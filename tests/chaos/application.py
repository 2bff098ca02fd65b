"""
The application whose processes are killed.

A command records facts, which have a key and a number that counts upwards with each
key, and raises an event for each of them. Who consumes the events takes note of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
)
from sqlalchemy import event as events_of_sqlalchemy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from diator import Command, EventEmitter, Mediator, NotificationEvent, collect
from diator.backoff import Backoff
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.messages.registry import MessageRegistry
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay
from diator.outbox.tables import Tables

TOPIC = "facts"
GROUP = "clerks"
READY = "ready to be killed"

logger = logging.getLogger("application")

metadata = MetaData()
tables = Tables(metadata)
facts = Table(
    "facts",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("poisonous", Boolean, nullable=False),
)
# Without a key that would keep duplicates out.
effects = Table(
    "effects",
    metadata,
    Column("seq", BigInteger, Identity(), primary_key=True),
    Column("key", String(20), nullable=False),
    Column("number", Integer, nullable=False),
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the processes of a scenario have in common, and what sets them apart.

    Attributes:
        database: The URL of the database.
        redis: The URL of Redis.
        facts: How many there are of each key, in the end.
        keys: How many keys there are.
        poisonous: How many events no handler can handle.
        partitions: How many partitions the topic has, None for no order.
        owned: Which of them are this consumer's, None for all.
        failing: Which part of attempts to handle an event fails.
        claim_seconds: After how long another consumer may have what one holds.
        pause: For how many seconds a writer rests after each command.

    """

    database: str
    redis: str
    facts: int
    keys: int
    poisonous: int = 0
    partitions: int | None = None
    owned: tuple[int, ...] | None = None
    failing: float = 0.0
    claim_seconds: float = 3.0
    pause: float = 0.0

    def owning(self, number: int, among: int) -> Settings:
        """Give those of one of several consumers, with its share of the partitions."""
        if self.partitions is None:
            return self
        owned = tuple(range(self.partitions))[number::among]
        return msgspec.structs.replace(self, owned=owned)


@dataclass(frozen=True, kw_only=True)
class Record(Command):
    key: str
    numbers: range
    poisonous: bool


@dataclass(frozen=True, kw_only=True)
class Recorded(NotificationEvent):
    key: str
    number: int
    poisonous: bool


FACTS_TOGETHER = 10
"""How many facts a command records, in one transaction."""

WRITERS = 4
CONCURRENCY = 16
BATCH = 200
PAUSE_SECONDS = 0.1


class Application:
    def __init__(self, settings):
        self.settings = settings
        # As many as are at work at once, for to connect takes longer than most work.
        self.engine = create_async_engine(settings.database, pool_size=CONCURRENCY)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            events_of_sqlalchemy.listen(self.engine.sync_engine, "connect", set_pragmas)
        partitions = settings.partitions
        self.broker = RedisStreamsBroker(
            settings.redis,
            partitions=None if partitions is None else {TOPIC: partitions},
            claim_seconds=settings.claim_seconds,
            require_durable=True,
        )
        registry = MessageRegistry()
        registry.add(
            Recorded, name="fact.recorded.v1", topic=TOPIC, key=lambda event: event.key
        )
        self.outbox = Outbox(self.engine, registry, tables=tables)
        emitter = EventEmitter(message_broker=self.broker, registry=registry)
        self.mediator = Mediator(event_emitter=emitter)
        self.mediator.container.scoped(AsyncSession, async_sessionmaker(self.engine))
        transaction = TransactionMiddleware(begin)
        self.mediator.use(transaction)
        self.mediator.use(OutboxMiddleware(self.outbox))
        emitter.use(transaction)
        emitter.use(InboxMiddleware(tables))
        self.mediator.handles(Record)(record)
        self.mediator.handles(Recorded)(self.take_note)

    async def take_note(self, event: Recorded, session: AsyncSession):
        row = {"key": event.key, "number": event.number}
        await session.execute(insert(effects), row)
        if event.poisonous:
            msg = f"no handler survives {event.number} of {event.key}"
            raise ValueError(msg)
        if random.random() < self.settings.failing:
            msg = "the network is down"
            raise ConnectionError(msg)

    def relay(self):
        return Relay(self.outbox, self.broker, batch_size=BATCH, poll_seconds=0.1)

    def consumer(self):
        return Consumer(
            self.mediator,
            self.broker,
            group=GROUP,
            partitions=self.settings.owned,
            concurrency=CONCURRENCY,
            backoff=Backoff(first=0.02, longest=0.1),
            heartbeat=self.settings.claim_seconds / 4,
        )

    async def write(self):
        """Record what is missing of the facts."""
        writers = 1 if self.is_sqlite else WRITERS
        keys = [f"key-{number}" for number in range(self.settings.keys)]
        async with asyncio.TaskGroup() as group:
            for number in range(writers):
                group.create_task(self.write_facts_of(keys[number::writers]))

    async def write_facts_of(self, keys):
        poisonous = {f"key-{number}" for number in range(self.settings.poisonous)}
        following = dict.fromkeys(keys, 0)
        unknown = True
        while following:
            try:
                if unknown:
                    following.update(await self.read_following(following))
                    unknown = False
                for key, first in list(following.items()):
                    end = min(first + FACTS_TOGETHER, self.settings.facts)
                    if first >= end:
                        del following[key]
                        continue
                    await self.mediator.send(
                        Record(
                            key=key,
                            numbers=range(first, end),
                            poisonous=first == 0 and key in poisonous,
                        )
                    )
                    following[key] = end
                    await asyncio.sleep(self.settings.pause)
            except DBAPIError as error:
                logger.warning(
                    "nobody knows what was committed: %s", type(error).__name__
                )
                unknown = True
                await asyncio.sleep(PAUSE_SECONDS)

    async def read_following(self, keys):
        last = (
            select(facts.c.key, (func.max(facts.c.number) + 1).label("following"))
            .where(facts.c.key.in_(keys))
            .group_by(facts.c.key)
        )
        async with self.engine.connect() as connection:
            rows = await connection.execute(last)
            return {row.key: row.following for row in rows}


def begin(session: AsyncSession):
    return session.begin()


async def record(command: Record, session: AsyncSession):
    rows = [
        {
            "key": command.key,
            "number": number,
            "poisonous": command.poisonous and number == 0,
        }
        for number in command.numbers
    ]
    await session.execute(insert(facts), rows)
    for row in rows:
        collect(Recorded(**row))


def set_pragmas(connection, _record):
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def stop_on_sigterm(stop):
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)


def tell_ready():
    logger.warning(READY)


async def serve(service):
    stop_on_sigterm(service.stop)
    tell_ready()
    await service.run()


def run(role: str, settings: Settings, log: Path) -> None:
    """Be a process of the application: `write`, `relay`, `both` or `consume`."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    logging.basicConfig()
    asyncio.run(main(role, settings))


async def main(role, settings):
    application = Application(settings)
    try:
        match role:
            case "relay":
                await serve(application.relay())
            case "consume":
                await serve(application.consumer())
            case "write":
                stop_on_sigterm(asyncio.current_task().cancel)
                tell_ready()
                with suppress(asyncio.CancelledError):
                    await application.write()
            case "both":
                async with application.relay():
                    tell_ready()
                    await application.write()
    finally:
        await application.broker.aclose()
        await application.engine.dispose()

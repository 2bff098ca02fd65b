"""What an outbox costs a send, and how much a relay publishes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
    delete,
    event,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    AsyncSessionTransaction,
    async_sessionmaker,
    create_async_engine,
)

from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from diator import Command, Mediator, NotificationEvent, RequestHandler
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay
from diator.outbox.tables import BUCKETS, Tables

pytestmark = pytest.mark.benchmark(timer=time.thread_time)

BATCH = 500
KEYS = 200

metadata = MetaData()
tables = Tables(metadata)
meetings = Table(
    "meetings",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("user", String(50), nullable=False),
)
# What somebody would write who needs it in one place.
own_outbox = Table(
    "own_outbox",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("message_id", Uuid, nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("payload", LargeBinary, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Join(Command):
    user: str


@dataclass(frozen=True, kw_only=True)
class Joined(NotificationEvent):
    user: str


class JoinHandler(RequestHandler[Join, None]):
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def handle(self, request: Join) -> None:
        await self.session.execute(insert(meetings), {"user": request.user})
        self.events.append(Joined(user=request.user))


encode = msgspec.json.Encoder().encode
insert_by_hand = insert(own_outbox)


class JoinHandlerByHand(RequestHandler[Join, None]):
    """Writes the row itself, in the same transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def handle(self, request: Join) -> None:
        await self.session.execute(insert(meetings), {"user": request.user})
        joined = Joined(user=request.user)
        row = {
            "message_id": joined.event_id,
            "name": "Joined",
            "payload": encode(joined),
        }
        await self.session.execute(insert_by_hand, [row])


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(
    database: str,
    tmp_path: Path,
    runner: asyncio.Runner,
    request: pytest.FixtureRequest,
) -> Iterator[AsyncEngine]:
    if database == "SQLite":
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'bench.sqlite'}")

        @event.listens_for(engine.sync_engine, "connect")
        def connect(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
    else:
        engine = create_async_engine(request.getfixturevalue("postgresql"))

    async def create() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
            await connection.run_sync(metadata.create_all)
        await tables.create_all(engine)

    runner.run(create())
    yield engine
    runner.run(engine.dispose())


def begin(session: AsyncSession) -> AsyncSessionTransaction:
    return session.begin()


@pytest.fixture
def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine)


@pytest.fixture
def mediator(
    engine: AsyncEngine, sessions: async_sessionmaker[AsyncSession]
) -> Mediator:
    mediator = Mediator()
    outbox = Outbox(engine, mediator.event_emitter.registry, tables=tables)
    mediator.container.scoped(AsyncSession, sessions)
    mediator.use(TransactionMiddleware(begin))
    mediator.use(OutboxMiddleware(outbox))
    mediator.bind(Join, JoinHandler)
    return mediator


def test_send(
    compare: Compare,
    mediator: Mediator,
    sessions: async_sessionmaker[AsyncSession],
    database: str,
) -> None:
    by_hand = Mediator()
    by_hand.container.scoped(AsyncSession, sessions)
    by_hand.use(TransactionMiddleware(begin))
    by_hand.bind(Join, JoinHandlerByHand)

    # SQLAlchemy's greenlets keep profilers from counting calls.
    compare(
        Case(
            name=f"outbox beside an INSERT in the handler, {database}",
            request=Join(user="Ada"),
            sends=5,
            rounds=200,
            target=1.15,
        ),
        by_hand=by_hand.send,
        diator=mediator.send,
    )


def test_send_without_diator(
    compare: Compare,
    mediator: Mediator,
    sessions: async_sessionmaker[AsyncSession],
    database: str,
) -> None:
    async def send_by_hand(request: Join) -> None:
        async with sessions() as session, session.begin():
            await JoinHandlerByHand(session).handle(request)

    compare(
        Case(
            name=f"outbox and all else beside SQLAlchemy alone, {database}",
            request=Join(user="Ada"),
            sends=5,
            rounds=200,
        ),
        by_hand=send_by_hand,
        diator=mediator.send,
    )


class Counting:
    """A broker that takes everything."""

    def __init__(self) -> None:
        self.taken = 0

    async def publish(self, messages: Any, /) -> list[None]:
        self.taken += len(messages)
        return [None] * len(messages)


def test_relay(compare: Compare, engine: AsyncEngine, database: str) -> None:
    outbox = Outbox(engine, Mediator().event_emitter.registry, tables=tables)
    broker = Counting()
    relay = Relay(outbox, broker, batch_size=BATCH)
    table = tables.outbox

    # Both sides begin with writing what they publish.
    async def fill() -> None:
        rows = [_row(number) for number in range(BATCH)]
        async with engine.begin() as connection:
            await connection.execute(insert(table), rows)

    async def relay_by_hand(_request: object) -> None:
        await fill()
        async with engine.begin() as connection:
            query = select(table).order_by(table.c.seq).limit(BATCH)
            rows = (await connection.execute(query)).all()
            await broker.publish(rows)
            gone = table.c.seq.in_([row.seq for row in rows])
            await connection.execute(delete(table).where(gone))

    async def relay_batch(_request: object) -> None:
        await fill()
        await relay._work.relay(relay._publish)  # noqa: SLF001  # one batch

    compare(
        Case(
            name=f"write and relay {BATCH} messages, {database}",
            request=None,
            sends=1,
            rounds=30,
            work=BATCH,
            is_throughput=True,
        ),
        by_hand=relay_by_hand,
        diator=relay_batch,
    )


BUCKET = BUCKETS // 2
PAYLOAD = b'{"event_id":"%s","user":"Ada"}' % str(UUID(int=0)).encode()


def _row(number: int) -> dict[str, Any]:
    return {
        "message_id": uuid4(),
        "bucket": BUCKET,
        "message_type": "notification_event",
        "message_name": "Joined",
        "topic": "events",
        "key": str(number % KEYS),
        "payload": PAYLOAD,
        "created_at": datetime.now(UTC),
    }

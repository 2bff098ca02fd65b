"""Sessions and transactions of SQLAlchemy, in a file, with both containers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass

import pytest
from dishka import Provider, Scope, make_async_container
from sqlalchemy import ForeignKey, event, select, text
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import AsyncAdaptedQueuePool

from diator import DomainEvent, Mediator, NotificationEvent, Request, collect
from diator.container.dishka import DishkaContainer
from diator.container.lagom import LagomContainer
from diator.container.scope import current_scope
from diator.exceptions import EventsError, ValidationError
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.logging import LoggingMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.middlewares.validation import ValidationMiddleware


class Base(DeclarativeBase):
    pass


class Member(Base):
    """A member, who may have been invited by another one."""

    __tablename__ = "members"

    name: Mapped[str] = mapped_column(primary_key=True)
    # Only looked at by the commit.
    invited_by: Mapped[str | None] = mapped_column(
        ForeignKey("members.name", deferrable=True, initially="DEFERRED")
    )


class Members:
    """The members, as the handlers of one send see them."""

    def __init__(self, session: AsyncSession):
        self.session = session

    async def add(self, name, *, invited_by=None):
        self.session.add(Member(name=name, invited_by=invited_by))
        await self.session.flush()

    async def names(self):
        return list(await self.session.scalars(select(Member.name).order_by("name")))


@dataclass(frozen=True)
class Join(Request[object]):
    name: str
    invited_by: str | None = None


@dataclass(frozen=True)
class JoinTogether(Request[object]):
    """Has another one join as well."""

    name: str
    other: str


@dataclass(frozen=True)
class Joined(DomainEvent):
    name: str


@dataclass(frozen=True, kw_only=True)
class Announced(NotificationEvent):
    name: str


class FailedError(Exception):
    """What tests fail with on purpose."""


class Hearing:
    """A message broker that tells what was committed when a message came."""

    def __init__(self, committed):
        self.committed = committed
        self.heard = []

    async def publish(self, messages, /):
        self.heard += [(message.payload.name, self.committed()) for message in messages]
        return [None for _ in messages]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "members.sqlite"


@pytest.fixture
async def engine(path):
    """An engine whose transactions begin where SQLAlchemy says so."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        connect_args={"timeout": 60},
        # Older releases keep no count of the connections to a file.
        poolclass=AsyncAdaptedQueuePool,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection, record):
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN")

    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    # Whatever a test does, every session gives its connection back.
    assert engine.pool.checkedout() == 0
    await engine.dispose()


@pytest.fixture
def committed(path):
    """What others see of the database."""

    def names():
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT name FROM members ORDER BY name")
            return [name for (name,) in rows]

    return names


def in_lagom(sessions):
    container = LagomContainer()
    container.scoped(AsyncSession, sessions)
    return container


def in_dishka(sessions):
    async def open_session():
        async with sessions() as session:
            yield session

    provider = Provider(scope=Scope.REQUEST)
    provider.provide(open_session, provides=AsyncSession)
    provider.provide(Members)
    return DishkaContainer(make_async_container(provider))


@pytest.fixture(params=[in_lagom, in_dishka])
def mediator(request, engine, committed):
    """A mediator that lets members join, of each name one."""
    mediator = Mediator(
        container=request.param(async_sessionmaker(engine)),
        message_broker=Hearing(committed),
    )

    @mediator.handles(Join)
    async def join(request, members: Members):
        await members.add(request.name, invited_by=request.invited_by)
        collect(Joined(request.name))
        collect(Announced(name=request.name))
        return await members.names()

    return mediator


def begin(session: AsyncSession):
    return session.begin()


@asynccontextmanager
async def begin_and_insist(session: AsyncSession):
    """Commit, or say that it was impossible, where `session.begin()` says nothing."""
    try:
        yield
    except BaseException:
        await session.rollback()
        raise
    await session.commit()


def begin_nested(session: AsyncSession):
    return session.begin_nested()


class TestScope:
    async def test_shared(self, mediator, engine, committed):
        """One session, on one connection, serves all that belongs to a send."""
        seen = []

        async def look(request, handle):
            seen.append(await current_scope().get(AsyncSession))
            return await handle(request)

        @mediator.handles(JoinTogether)
        async def join(request, session: AsyncSession, members: Members):
            seen.extend([session, members.session])
            await members.add(request.name)
            names = await mediator.send(Join(request.other))
            seen.append(engine.pool.checkedout())
            return names

        mediator.use(look)
        mediator.use(TransactionMiddleware(begin))

        names = await mediator.send(JoinTogether("Ada", "Grace"))

        session = seen[0]
        assert names == ["Ada", "Grace"]
        assert seen == [session, session, session, session, 1]
        assert committed() == ["Ada", "Grace"]

    async def test_apart(self, mediator, committed):
        """Concurrent sends have a session each, and fail alone."""
        mediator.use(TransactionMiddleware(begin))
        names = [f"member {number}" for number in range(8)]

        answers = await asyncio.gather(
            *(mediator.send(Join(name)) for name in names),
            *(mediator.send(Join(name)) for name in names[::2]),
            return_exceptions=True,
        )

        failures = [answer for answer in answers if isinstance(answer, Exception)]
        assert [type(failure) for failure in failures] == [IntegrityError] * 4
        assert committed() == names

    async def test_without_a_transaction(self, mediator, engine, committed):
        """What nobody commits is gone with its session."""
        assert await mediator.send(Join("Ada")) == ["Ada"]

        assert committed() == []
        assert engine.pool.checkedout() == 0


class TestTransaction:
    async def test_exception(self, mediator, engine, committed):
        """A failure rolls back what was flushed, and gives the connection back."""

        @mediator.handles(JoinTogether)
        async def fail(request, members: Members):
            await members.add(request.name)
            await mediator.send(Join(request.other))
            assert engine.pool.checkedout() == 1
            raise FailedError

        mediator.use(TransactionMiddleware(begin))

        with pytest.raises(FailedError):
            await mediator.send(JoinTogether("Ada", "Grace"))
        assert committed() == []
        assert engine.pool.checkedout() == 0
        assert mediator.event_emitter.message_broker.heard == []

    async def test_cancellation(self, mediator, engine, committed):
        """So does a cancellation."""
        inside = asyncio.Event()

        @mediator.handles(JoinTogether)
        async def wait(request, members: Members):
            await members.add(request.name)
            inside.set()
            await asyncio.Event().wait()

        mediator.use(TransactionMiddleware(begin))

        task = asyncio.create_task(mediator.send(JoinTogether("Ada", "Grace")))
        await inside.wait()
        assert engine.pool.checkedout() == 1
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert committed() == []
        assert engine.pool.checkedout() == 0

    async def test_cancellation_of_a_statement(self, mediator, engine, committed):
        """So does a cancellation while the database is at work."""
        loop = asyncio.get_running_loop()
        running = asyncio.Event()
        may_end = threading.Event()

        def run():
            loop.call_soon_threadsafe(running.set)
            may_end.wait()

        @event.listens_for(engine.sync_engine, "connect")
        def connect(connection, record):
            connection.create_function("run", 0, run)

        # The connection that is there knows no `run`.
        await engine.dispose()

        @mediator.handles(JoinTogether)
        async def query(request, members: Members):
            await members.add(request.name)
            await members.session.execute(text("SELECT run()"))

        mediator.use(TransactionMiddleware(begin))

        task = asyncio.create_task(mediator.send(JoinTogether("Ada", "Grace")))
        await running.wait()
        task.cancel()
        may_end.set()
        await asyncio.wait([task])

        assert task.cancelled()
        assert committed() == []
        assert engine.pool.checkedout() == 0

    async def test_failure_to_commit(self, mediator, engine, committed):
        """What the database refuses to commit is rolled back, and nothing is told."""
        mediator.use(TransactionMiddleware(begin))

        with pytest.raises(IntegrityError):
            await mediator.send(Join("Ada", invited_by="nobody"))
        assert committed() == []
        assert engine.pool.checkedout() == 0
        assert mediator.event_emitter.message_broker.heard == []

    async def test_retry(self, mediator, committed):
        """A retry outside begins anew, in the same session."""
        tries = []

        async def retry(request, handle):
            try:
                return await handle(request)
            except IntegrityError:
                return await handle(request)

        @mediator.handles(JoinTogether)
        async def join(request, members: Members):
            tries.append(members.session)
            await members.add(request.name)
            await members.add(request.other if tries[1:] else request.name)
            return await members.names()

        mediator.use(retry)
        mediator.use(TransactionMiddleware(begin))

        assert await mediator.send(JoinTogether("Ada", "Grace")) == ["Ada", "Grace"]
        assert tries == [tries[0], tries[0]]
        assert committed() == ["Ada", "Grace"]

    async def test_joined(self, mediator, committed):
        """A nested send that fails leaves its rows to the outer one to judge."""

        async def fail(request, handle):
            await handle(request)
            raise FailedError

        @mediator.handles(JoinTogether)
        async def join(request, members: Members):
            await members.add(request.name)
            with pytest.raises(FailedError):
                await mediator.send(Join(request.other))

        mediator.use(TransactionMiddleware(begin))
        mediator.use(fail, only=Join)

        await mediator.send(JoinTogether("Ada", "Grace"))
        assert committed() == ["Ada", "Grace"]
        assert mediator.event_emitter.message_broker.heard == []

    async def test_joined_after_a_failure_to_flush(self, mediator, committed):
        """A session that has rolled back by itself is not mistaken for committed."""

        @mediator.handles(JoinTogether)
        async def join(request, members: Members):
            await members.add(request.name)
            collect(Announced(name=request.name))
            with pytest.raises(IntegrityError):
                await mediator.send(Join(request.name))

        mediator.use(TransactionMiddleware(begin_and_insist))

        with pytest.raises(PendingRollbackError):
            await mediator.send(JoinTogether("Ada", "Grace"))
        assert committed() == []
        assert mediator.event_emitter.message_broker.heard == []

    async def test_savepoint(self, mediator, committed):
        """With savepoints, a nested send that fails leaves the outer one's rows."""

        @mediator.handles(JoinTogether)
        async def join(request, members: Members):
            await members.add(request.name)
            await mediator.send(Join(request.other))
            with pytest.raises(IntegrityError):
                await mediator.send(Join(request.name))
            await members.add("last")

        mediator.use(
            TransactionMiddleware(begin, nested="savepoint", savepoint=begin_nested)
        )

        await mediator.send(JoinTogether("Ada", "Grace"))
        assert committed() == ["Ada", "Grace", "last"]
        heard = mediator.event_emitter.message_broker.heard
        assert heard == [("Grace", ["Ada", "Grace", "last"])]

    async def test_savepoint_of_a_failure(self, mediator, committed):
        """What was released goes with the outer transaction all the same."""

        @mediator.handles(JoinTogether)
        async def join(request, members: Members):
            await mediator.send(Join(request.other))
            raise FailedError

        mediator.use(
            TransactionMiddleware(begin, nested="savepoint", savepoint=begin_nested)
        )

        with pytest.raises(FailedError):
            await mediator.send(JoinTogether("Ada", "Grace"))
        assert committed() == []

    async def test_new(self, mediator, engine, committed):
        """In a transaction of its own, what a nested send has done stays."""

        @mediator.handles(JoinTogether)
        async def join(request, members: Members):
            # Touches no table: SQLite has one writer, and that is the nested send.
            await members.session.execute(text("SELECT 1"))
            await mediator.send(Join(request.other))
            assert committed() == [request.other]
            assert engine.pool.checkedout() == 1
            await members.add(request.name)
            raise FailedError

        mediator.use(TransactionMiddleware(begin, nested="new"))

        with pytest.raises(FailedError):
            await mediator.send(JoinTogether("Ada", "Grace"))
        assert committed() == ["Grace"]
        assert engine.pool.checkedout() == 0


class TestEvents:
    async def test_inside(self, mediator, committed):
        """Collected inside, events are handled in the transaction, by its session."""
        seen = []

        @mediator.handles(Joined)
        async def add_guest(event, members: Members):
            seen.append((await members.names(), committed()))
            await members.add(f"guest of {event.name}")

        mediator.use(TransactionMiddleware(begin))
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))

        await mediator.send(Join("Ada"))
        assert seen == [(["Ada"], [])]
        assert committed() == ["Ada", "guest of Ada"]
        heard = mediator.event_emitter.message_broker.heard
        assert heard == [("Ada", ["Ada", "guest of Ada"])]

    async def test_failure_inside(self, mediator, engine, committed):
        """There, a domain handler that fails rolls everything back."""

        @mediator.handles(Joined)
        async def add_guest(event, members: Members):
            await members.add(f"guest of {event.name}")

        @mediator.handles(Joined)
        async def fail(event):
            raise FailedError

        mediator.use(TransactionMiddleware(begin))
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))

        with pytest.raises(EventsError):
            await mediator.send(Join("Ada"))
        assert committed() == []
        assert engine.pool.checkedout() == 0
        assert mediator.event_emitter.message_broker.heard == []

    async def test_after_the_commit(self, mediator, engine, committed):
        """By default events leave after the commit, each with a session of its own."""
        sessions = []

        @mediator.handles(JoinTogether)
        async def join(request, session: AsyncSession):
            sessions.append(session)
            await mediator.send(Join(request.name))
            await mediator.send(Join(request.other))

        @mediator.handles(Joined)
        async def add_guest(event, session: AsyncSession, members: Members):
            sessions.append(session)
            assert committed() == await members.names()
            assert engine.pool.checkedout() == 1
            await members.add(f"guest of {event.name}")

        mediator.use(TransactionMiddleware(begin))
        mediator.event_emitter.use(TransactionMiddleware(begin), only=Joined)

        await mediator.send(JoinTogether("Ada", "Grace"))
        everybody = ["Ada", "Grace", "guest of Ada", "guest of Grace"]
        assert len(set(sessions)) == 3
        assert committed() == everybody
        heard = mediator.event_emitter.message_broker.heard
        assert heard == [("Ada", everybody), ("Grace", everybody)]

    async def test_failure_after_the_commit(self, mediator, committed):
        """There, a domain handler that fails is rolled back alone."""

        @mediator.handles(Joined)
        async def fail(event, members: Members):
            await members.add(f"guest of {event.name}")
            raise FailedError

        mediator.use(TransactionMiddleware(begin))
        mediator.event_emitter.use(TransactionMiddleware(begin), only=Joined)

        with pytest.raises(EventsError) as caught:
            await mediator.send(Join("Ada"))
        assert caught.value.response == ["Ada"]
        assert committed() == ["Ada"]
        assert mediator.event_emitter.message_broker.heard == [("Ada", ["Ada"])]

    async def test_concurrent_handlers(self, mediator, engine, committed):
        """Handlers that run at the same time have a session, and a connection, each."""
        both_inside = asyncio.Barrier(2)
        seen = []

        async def hear(session):
            await session.execute(text("SELECT 1"))
            await both_inside.wait()
            seen.append((session, engine.pool.checkedout()))
            await both_inside.wait()

        @mediator.handles(Joined, concurrent=True)
        async def hear_first(event, session: AsyncSession):
            await hear(session)

        @mediator.handles(Joined, concurrent=True)
        async def hear_second(event, session: AsyncSession):
            await hear(session)

        mediator.use(TransactionMiddleware(begin))

        await mediator.send(Join("Ada"))
        (first, count), (second, _) = seen
        assert first is not second
        assert count == 2


class TestOrderOfTheCard:
    """Logging, validation, transaction, event collection, handler."""

    @pytest.fixture(autouse=True)
    def card(self, mediator):
        validation = ValidationMiddleware()

        @validation.validates(Join)
        def has_a_name(request):
            if not request.name:
                yield "name", "is empty"

        mediator.use(LoggingMiddleware())
        mediator.use(validation)
        mediator.use(TransactionMiddleware(begin))
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))

    async def test_success(self, mediator, committed):
        """Events are handled before the commit, and published after it."""
        seen = []

        @mediator.handles(Joined)
        async def hear(event, members: Members):
            seen.append((await members.names(), committed()))

        assert await mediator.send(Join("Ada")) == ["Ada"]
        assert seen == [(["Ada"], [])]
        assert mediator.event_emitter.message_broker.heard == [("Ada", ["Ada"])]

    async def test_refused(self, mediator, engine):
        """What is refused before the transaction takes no connection."""
        taken = []

        @event.listens_for(engine.sync_engine, "checkout")
        def checkout(connection, record, proxy):
            taken.append(connection)

        with pytest.raises(ValidationError, match="name: is empty"):
            await mediator.send(Join(""))
        assert taken == []

    async def test_failure(self, mediator, committed):
        """What fails inside is rolled back."""

        @mediator.handles(Joined)
        async def fail(event):
            raise FailedError

        with pytest.raises(EventsError):
            await mediator.send(Join("Ada"))
        assert committed() == []

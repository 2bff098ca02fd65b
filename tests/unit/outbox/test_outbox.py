"""Messages wait in the transaction that they tell of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.event import listens_for
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from diator import DomainEvent, NotificationEvent
from diator.events.event import CommandPosted
from diator.events.message_brokers.encoding import MAX_BODY_BYTES
from diator.exceptions import BindingError, ConfigurationError, EncodingError
from diator.messages.headers import sending_headers
from diator.messages.registry import MessageRegistry
from diator.outbox import outbox as outbox_module
from diator.outbox.outbox import Outbox, OutboxStatus, bucket_of
from diator.outbox.tables import BUCKETS, Tables
from diator.requests.request import Command
from tests.unit.outbox.parts import Moved, commit, make_outbox, names_waiting, waiting


@dataclass(frozen=True)
class Move(Command):
    name: str


@dataclass(frozen=True, kw_only=True)
class Unencodable(NotificationEvent):
    value: object


class Base(DeclarativeBase):
    """The tables of an application."""


class Thing(Base):
    """Something that an event tells of."""

    __tablename__ = "thing"

    name: Mapped[str] = mapped_column(primary_key=True)


class Local(DomainEvent):
    pass


@pytest.fixture
def outbox(engine):
    return make_outbox(engine)


class FakeWaiting:
    """Stands in for the event that a relay waits for."""

    def __init__(self):
        self.times = 0

    def set(self):
        self.times += 1


@pytest.fixture
def relay(outbox):
    """What a relay is told."""
    waiting = FakeWaiting()
    outbox.committed.add(waiting)
    return waiting


class TestAdd:
    async def test_row(self, outbox):
        """A row has all that the relay needs, and the event as it was then."""
        event = Moved(name="it", key="a")

        with sending_headers({"correlation_id": "7"}):
            await commit(outbox, event)

        [row] = await waiting(outbox)
        assert row.message_id == event.event_id
        assert (row.message_type, row.message_name) == (
            "notification_event",
            "moved.v1",
        )
        assert (row.topic, row.key) == ("moves", "a")
        assert json.loads(row.headers) == {"correlation_id": "7"}
        assert json.loads(row.payload)["name"] == "it"
        assert (row.available_at, row.attempts, row.last_error) == (None, 0, None)

    async def test_command(self, outbox):
        """A command that was posted waits like an event."""
        posted = CommandPosted(command=Move("it"))

        await commit(outbox, posted)

        [row] = await waiting(outbox)
        assert (row.message_id, row.message_type) == (posted.command_id, "command")
        assert (row.topic, row.headers) == ("commands", None)
        assert json.loads(row.payload) == {"name": "it"}

    async def test_order(self, outbox):
        """They wait in the order in which they were given."""
        names = [f"event {number}" for number in range(20)]

        await commit(outbox, *(Moved(name=name) for name in names))

        assert await names_waiting(outbox) == names

    @pytest.mark.parametrize("autoflush", [True, False])
    async def test_flush(self, outbox, autoflush):
        """What it tells of is written first, so that locks keep them in order."""
        async with AsyncSession(outbox.engine, autoflush=autoflush) as session:
            before = []

            @listens_for(session.sync_session, "after_flush")
            def look(sync_session, _context):
                connection = sync_session.connection()
                table = outbox.tables.outbox
                before.append(
                    connection.scalar(select(func.count()).select_from(table))
                )

            connection = await session.connection()
            await connection.run_sync(Base.metadata.create_all)
            session.add(Thing(name="it"))
            await outbox.add(session, Moved(name="it"))

            assert before == [0]
            assert not session.new

    async def test_nothing(self, outbox):
        """To add no events does nothing."""
        await commit(outbox)

        assert await names_waiting(outbox) == []

    async def test_rollback(self, outbox):
        """What is rolled back is not published."""
        async with AsyncSession(outbox.engine) as session:
            await outbox.add(session, Moved(name="it"))

        assert await names_waiting(outbox) == []

    async def test_unencodable(self, outbox):
        """An event without a form in JSON is refused at once, by its field."""
        events = [Moved(name="it"), Unencodable(value=object())]

        with pytest.raises(EncodingError, match=r"Unencodable\.value"):
            await commit(outbox, *events)
        assert await names_waiting(outbox) == []

    async def test_key_of_another_type(self, outbox):
        """So is one whose key is no text."""
        with pytest.raises(EncodingError, match=r"key of Moved must be a str"):
            await commit(outbox, Moved(name="it", key=7))

    async def test_too_large(self, outbox):
        """So is one that no consumer would take."""
        with pytest.raises(EncodingError, match=r"moved\.v1 takes"):
            await commit(outbox, Moved(name="x" * MAX_BODY_BYTES))

    async def test_local(self, outbox):
        """An event that is not for other processes is refused."""
        with pytest.raises(BindingError, match=r"Local.*does not go between"):
            await commit(outbox, Local())


class TestCommitted:
    async def test_commit(self, outbox, relay):
        """Relays of this process are woken by the commit, not before."""
        async with AsyncSession(outbox.engine) as session, session.begin():
            await outbox.add(session, Moved(name="first"))
            await outbox.add(session, Moved(name="second"))
            assert relay.times == 0

        assert relay.times == 1

    async def test_rollback(self, outbox, relay):
        """They are left alone where nothing was committed."""
        async with AsyncSession(outbox.engine) as session:
            await outbox.add(session, Moved(name="it"))

        assert relay.times == 0

    async def test_savepoint(self, outbox, relay):
        """They are woken by the commit although there was a savepoint."""
        async with AsyncSession(outbox.engine) as session, session.begin():
            async with session.begin_nested():
                await outbox.add(session, Moved(name="it"))
            before = relay.times

        assert relay.times == before + 1


class TestStatus:
    async def test_empty(self, outbox):
        """Where nothing waits, nothing has waited long."""
        status = await outbox.status()

        assert status == OutboxStatus(pending=0, oldest_seconds=0.0, dead=0)

    async def test_pending(self, outbox):
        """It is known how many wait, and for how long."""
        await commit(outbox, Moved(name="first"), Moved(name="second"))

        status = await outbox.status()

        assert status.pending == 2
        assert 0 < status.oldest_seconds < 60

    async def test_many(self, outbox, monkeypatch):
        """Where many wait, they are not all counted."""
        monkeypatch.setattr(outbox_module, "MAX_COUNT", 2)
        await commit(outbox, *(Moved(name=name) for name in "abc"))

        assert (await outbox.status()).pending == 2

    async def test_first(self, outbox):
        """The one that has waited longest is the one that comes first."""
        await commit(outbox, Moved(name="first"))
        table = outbox.tables.outbox
        hour_ago = datetime.now(UTC) - timedelta(hours=1)
        async with outbox.engine.begin() as connection:
            await connection.execute(update(table).values(created_at=hour_ago))
        await commit(outbox, Moved(name="second"))

        assert (await outbox.status()).oldest_seconds > 3_000

    async def test_no_tables(self, engine):
        """Where the tables are missing, it is said how they are created."""
        outbox = Outbox(engine, MessageRegistry(), tables=Tables(prefix="no_"))

        with pytest.raises(ConfigurationError, match=r"outbox\.tables\.create_all"):
            await outbox.status()


class TestBucketOf:
    def test_key(self):
        """What has the same key is in the same bucket, in every process."""
        assert bucket_of("a", b"1") == bucket_of("a", b"2") == 3

    def test_without_a_key(self):
        """What has none is spread over all of them."""
        buckets = {bucket_of(None, bytes([number])) for number in range(255)}

        assert buckets == set(range(BUCKETS))


class TestOutbox:
    async def test_unknown_database(self):
        """A kind of database that it cannot use is refused."""

        class Engine:
            class dialect:  # noqa: N801  # as SQLAlchemy calls it
                name = "oracle"

        with pytest.raises(ConfigurationError, match="oracle"):
            Outbox(Engine(), None)

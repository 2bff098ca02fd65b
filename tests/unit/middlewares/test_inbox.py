"""What comes from other processes is handled once, however often it is delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from diator import Command, Mediator, NotificationEvent
from diator.container.scope import current_scope
from diator.exceptions import ConfigurationError, EventsError
from diator.messages.received import Received, handling
from diator.middlewares import inbox as inbox_module
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.outbox.tables import Tables
from tests.unit.fakes import Announced


@dataclass(frozen=True)
class Order(Command):
    name: str = "it"


@dataclass(frozen=True, kw_only=True)
class Told(NotificationEvent):
    name: str


class FailedError(Exception):
    """What tests fail with on purpose."""


class Effects:
    """
    What handlers have done.

    Attributes:
        names: The names of what was handled.
        failures: How often handlers fail before they do anything.

    """

    def __init__(self):
        self.names = []
        self.failures = 0

    def have(self, name):
        if self.failures:
            self.failures -= 1
            raise FailedError
        self.names.append(name)


def begin(session: AsyncSession):
    return session.begin()


async def retry(message, handle):
    try:
        return await handle(message)
    except Exception:  # noqa: BLE001  # whatever it is
        return await handle(message)


@pytest.fixture
def effects():
    return Effects()


@pytest.fixture
def mediator(engine, effects):
    return make_mediator(engine, effects)


def make_mediator(engine, effects):
    mediator = Mediator()
    mediator.container.scoped(AsyncSession, async_sessionmaker(engine))

    @mediator.handles(Order)
    async def order(command):
        effects.have(command.name)
        return "ordered"

    @mediator.handles(Announced)
    async def hear(event):
        effects.have(event.name)

    @mediator.handles(Told)
    async def listen(event):
        effects.have(event.name)

    return mediator


@pytest.fixture
def transaction():
    return TransactionMiddleware(begin)


@pytest.fixture
def inbox():
    return InboxMiddleware()


def received(message, *, message_id="1", group="clerks"):
    return Received(message=message, message_id=message_id, group=group)


async def receive(mediator, **fields):
    """Have an event delivered."""
    event = Announced(name="it")
    with handling(received(event, **fields)):
        await mediator.receive(event)


async def send(mediator, command, **fields):
    """Have a command delivered."""
    with handling(received(command, **fields)):
        return await mediator.send(command)


async def count(engine):
    async with engine.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(Tables().inbox))


class TestEvents:
    @pytest.fixture(autouse=True)
    def around_events(self, mediator, transaction, inbox):
        mediator.event_emitter.use(transaction)
        mediator.event_emitter.use(inbox)

    async def test_again(self, mediator, effects):
        """An event that is delivered again is passed over."""
        await receive(mediator)
        await receive(mediator)

        assert effects.names == ["it"]

    async def test_others(self, mediator, effects):
        """Other messages, and other groups, have nothing to do with it."""
        await receive(mediator)
        await receive(mediator, message_id="2")
        await receive(mediator, group="others")

        assert effects.names == ["it", "it", "it"]

    async def test_failure(self, mediator, effects, engine):
        """What has failed was not handled, and is handled when it comes again."""
        effects.failures = 1

        with pytest.raises(EventsError):
            await receive(mediator)
        assert await count(engine) == 0
        await receive(mediator)

        assert effects.names == ["it"]

    async def test_not_received(self, mediator, effects, engine):
        """What was raised in this process is no business of it."""
        await mediator.event_emitter.emit(Announced(name="first"))
        with handling(received(Announced(name="another"))):
            await mediator.receive(Announced(name="second"))

        assert effects.names == ["first", "second"]
        assert await count(engine) == 0

    async def test_copy(self, engine, effects, transaction, inbox):
        """A copy of an event, which a middleware outside has made, is the event."""
        mediator = make_mediator(engine, effects)

        async def rename(message, handle):
            return await handle(replace(message, name="other"))

        for middleware in (rename, transaction, inbox):
            mediator.event_emitter.use(middleware)
        event = Told(name="it")

        for _ in range(2):
            with handling(received(event)):
                await mediator.receive(event)

        assert effects.names == ["other"]

    async def test_other_type(self, mediator, effects, engine):
        """What is of another type was not received."""
        with handling(received(Order())):
            await mediator.receive(Told(name="other"))

        assert effects.names == ["other"]
        assert await count(engine) == 0

    async def test_raised_meanwhile(self, mediator, effects):
        """Another event of its type is no copy of it."""
        event = Told(name="it")
        for _ in range(2):
            with handling(received(event)):
                await mediator.receive(Told(name="other"))

        assert effects.names == ["other", "other"]


class TestCommands:
    async def test_again(self, mediator, effects, transaction, inbox):
        """A command that is delivered again is answered with None."""
        mediator.use(transaction)
        mediator.use(inbox)
        command = Order()

        assert await send(mediator, command) == "ordered"
        assert await send(mediator, command) is None
        assert effects.names == ["it"]

    async def test_nested(self, mediator, effects, transaction, inbox):
        """What is sent while a command is handled is not the command."""
        mediator.use(transaction)
        mediator.use(inbox)

        async def send_others(message, handle):
            if message.name == "it":
                await mediator.send(Order("first"))
                await mediator.send(Order("second"))
            return await handle(message)

        mediator.use(send_others)

        await send(mediator, Order())

        assert effects.names == ["first", "second", "it"]

    async def test_another(self, mediator, effects, transaction, inbox):
        """Another command than was received is refused, not handled again and again."""

        async def rename(message, handle):
            return await handle(replace(message, name="other"))

        for middleware in (rename, transaction, inbox):
            mediator.use(middleware)

        with pytest.raises(ConfigurationError, match="another Order than was received"):
            await send(mediator, Order())
        assert effects.names == []

    async def test_without_a_transaction(self, mediator, inbox):
        """Without a transaction around it, it says so, before anything is done."""
        mediator.use(inbox)

        with pytest.raises(ConfigurationError, match="InboxMiddleware"):
            await send(mediator, Order())


class TestRetry:
    async def test_outside(self, mediator, effects, transaction, inbox):
        """A retry outside of the transaction is handled."""
        effects.failures = 1
        for middleware in (retry, transaction, inbox):
            mediator.use(middleware)

        assert await send(mediator, Order()) == "ordered"

    async def test_within_the_transaction(
        self, mediator, effects, transaction, inbox, engine
    ):
        """So is one within it, which finds the id that the failure has left."""
        effects.failures = 1
        for middleware in (transaction, retry, inbox):
            mediator.use(middleware)

        assert await send(mediator, Order()) == "ordered"
        assert await count(engine) == 1

    async def test_in_a_transaction_that_nobody_holds(
        self, mediator, effects, inbox, engine
    ):
        """So is one within a transaction that the session has begun by itself."""

        async def committing(session: AsyncSession):
            await session.connection()
            yield
            await session.commit()

        effects.failures = 1
        for middleware in (TransactionMiddleware(committing), retry, inbox):
            mediator.use(middleware)

        assert await send(mediator, Order()) == "ordered"
        assert await count(engine) == 1

    async def test_in_a_savepoint(self, mediator, effects, transaction, inbox, engine):
        """So is one of a savepoint, with which the id was rolled back."""

        async def savepoint(message, handle):
            session = await current_scope().get(AsyncSession)
            async with session.begin_nested():
                return await handle(message)

        effects.failures = 1
        for middleware in (transaction, retry, savepoint, inbox):
            mediator.use(middleware)

        assert await send(mediator, Order()) == "ordered"
        assert await send(mediator, Order(), message_id="1") is None
        assert await count(engine) == 1


class TestRetention:
    async def test_forgotten(self, mediator, transaction, engine, monkeypatch):
        """Now and then, those are forgotten that were handled too long ago."""
        monkeypatch.setattr(inbox_module, "FORGETTING_EVERY", 2)
        monkeypatch.setattr(inbox_module, "FORGOTTEN_AT_ONCE", 3)
        mediator.use(transaction)
        mediator.use(InboxMiddleware(retention=timedelta(hours=1)))
        async with engine.begin() as connection:
            await connection.execute(insert(Tables().inbox), [old(n) for n in range(4)])

        counts = []
        for number in range(4):
            await send(mediator, Order(), message_id=str(number))
            counts.append(await count(engine))

        # Three of the four with the first one, and the last one with the third.
        assert counts == [2, 3, 3, 4]
        assert await send(mediator, Order(), message_id="0") is None

    async def test_others(self, mediator, transaction, engine):
        """What other groups have handled is theirs to forget."""
        mediator.use(transaction)
        mediator.use(InboxMiddleware(retention=timedelta(hours=1)))
        async with engine.begin() as connection:
            await connection.execute(insert(Tables().inbox), [old(1, group="mail")])

        await send(mediator, Order())

        assert await count(engine) == 2

    def test_none(self):
        """An inbox that keeps nothing would be none."""
        with pytest.raises(ConfigurationError, match="must be above 0, not 0:00:00"):
            InboxMiddleware(retention=timedelta(0))


def old(number, group="clerks"):
    """Give the row of a message that was handled two hours ago."""
    return {
        "consumer": group,
        "message_id": f"old {number}",
        "handled_at": datetime.now(UTC) - timedelta(hours=2),
    }


class TestPurge:
    async def test_old(self, mediator, transaction, inbox, engine):
        """Ids that are older than asked for are forgotten."""
        mediator.use(transaction)
        mediator.use(inbox)
        await send(mediator, Order(), message_id="1")
        await send(mediator, Order(), message_id="2")

        assert await inbox.purge(engine) == 0
        assert await inbox.purge(engine, older_than=timedelta(0)) == 2
        assert await count(engine) == 0

"""What leaves for other processes is written in the transaction that it tells of."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from diator import Command, DomainEvent, Mediator, NotificationEvent, collect
from diator.exceptions import ConfigurationError, EncodingError
from diator.messages.received import Received, handling
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.requests.request import StreamRequest
from tests.unit.outbox.parts import Moved, make_outbox, names_waiting, waiting


@dataclass(frozen=True)
class Move(Command):
    name: str = "it"


@dataclass(frozen=True)
class Nested(Command):
    """Is sent while another is handled."""

    name: str = "nested"
    fails: bool = False


@dataclass(frozen=True)
class Silent(Command):
    """Is handled as a test says."""


@dataclass(frozen=True)
class Many(StreamRequest[int]):
    pass


@dataclass(frozen=True)
class Local(DomainEvent):
    """Stays in this process."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Unencodable(NotificationEvent):
    value: object


class FailedError(Exception):
    """What tests fail with on purpose."""


class Heard:
    """Notes what leaves without the outbox, and which domain events are handled."""

    def __init__(self):
        self.published = []
        self.local = []

    async def publish(self, messages, /):
        self.published += [message.payload for message in messages]
        return [None for _ in messages]


def begin(session: AsyncSession):
    return session.begin()


async def swallow(request, handle):
    try:
        return await handle(request)
    except FailedError:
        return "swallowed"


@pytest.fixture
def outbox(engine):
    return make_outbox(engine)


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def mediator(engine, heard):
    """A mediator with a session in each send."""
    mediator = Mediator(message_broker=heard)
    mediator.container.scoped(AsyncSession, async_sessionmaker(engine))

    @mediator.handles(Move)
    async def move(request):
        collect(Local(request.name))
        collect(Moved(name=request.name))
        return "moved"

    @mediator.handles(Nested)
    async def nest(request):
        collect(Local(request.name))
        collect(Moved(name=request.name))
        if request.fails:
            raise FailedError

    @mediator.handles(Local)
    async def hear(event):
        heard.local.append(event.name)

    return mediator


@pytest.fixture
def transaction():
    return TransactionMiddleware(begin)


@pytest.fixture
def middleware(outbox):
    return OutboxMiddleware(outbox)


class TestWriting:
    async def test_outbound(self, mediator, outbox, heard, transaction, middleware):
        """Outbound events are written and not published, domain events pass on."""
        mediator.use(transaction)
        mediator.use(middleware)

        assert await mediator.send(Move()) == "moved"
        assert await names_waiting(outbox) == ["it"]
        assert heard.published == []
        assert heard.local == ["it"]

    async def test_nothing(self, mediator, outbox, transaction, middleware):
        """A request that raises nothing writes nothing."""

        @mediator.handles(Silent)
        async def handle(request):
            pass

        mediator.use(transaction)
        mediator.use(middleware)

        await mediator.send(Silent())
        assert await names_waiting(outbox) == []

    async def test_domain_event_alone(
        self, mediator, outbox, heard, transaction, middleware
    ):
        """Nor does one that raises domain events alone."""

        @mediator.handles(Silent)
        async def handle(request):
            collect(Local("alone"))

        mediator.use(transaction)
        mediator.use(middleware)

        await mediator.send(Silent())
        assert await names_waiting(outbox) == []
        assert heard.local == ["alone"]

    async def test_command(self, mediator, outbox, heard, transaction, middleware):
        """A command that is posted is written, too."""
        mediator.use(transaction)
        mediator.use(middleware)

        command_id = await mediator.post(Move())

        [row] = await waiting(outbox)
        assert (row.message_id, row.message_type) == (command_id, "command")
        assert heard.published == []

    async def test_stream(self, mediator, outbox, transaction, middleware):
        """So is what a stream raises."""

        @mediator.handles(Many)
        async def handle(request):
            collect(Moved(name="first"))
            yield 1
            collect(Moved(name="second"))

        mediator.use(transaction)
        mediator.use(middleware)

        assert [item async for item in mediator.stream(Many())] == [1]
        assert await names_waiting(outbox) == ["first", "second"]

    async def test_raised_outside(
        self, mediator, outbox, heard, transaction, middleware
    ):
        """What is raised outside of it is none of its business."""

        async def raise_event(request, handle):
            collect(Moved(name="outside"))
            return await handle(request)

        mediator.use(raise_event)
        mediator.use(transaction)
        mediator.use(raise_event)
        mediator.use(middleware)

        await mediator.send(Move())
        assert await names_waiting(outbox) == ["it"]
        assert [event.name for event in heard.published] == ["outside", "outside"]


class TestFailure:
    async def test_handler(self, mediator, outbox, heard, transaction, middleware):
        """Where the handler fails, nothing is written."""
        mediator.use(transaction)
        mediator.use(middleware)

        with pytest.raises(FailedError):
            await mediator.send(Nested(fails=True))
        assert await names_waiting(outbox) == []
        assert heard.published == []

    async def test_outside(self, mediator, outbox, transaction, middleware):
        """What fails before the commit rolls back what was written."""

        async def fail(request, handle):
            await handle(request)
            raise FailedError

        mediator.use(transaction)
        mediator.use(fail)
        mediator.use(middleware)

        with pytest.raises(FailedError):
            await mediator.send(Move())
        assert await names_waiting(outbox) == []

    async def test_unencodable(self, mediator, outbox, heard, transaction, middleware):
        """An event without a form fails the request, and all that it did."""

        @mediator.handles(Silent)
        async def handle(request, session: AsyncSession):
            await session.execute(insert(outbox.tables.lease), [{"id": 1}])
            collect(Unencodable(value=object()))

        mediator.use(transaction)
        mediator.use(middleware)

        with pytest.raises(EncodingError, match=r"Unencodable\.value"):
            await mediator.send(Silent())
        async with outbox.engine.connect() as connection:
            count = select(func.count()).select_from(outbox.tables.lease)
            assert await connection.scalar(count) == 1
        assert heard.published == []

    async def test_without_a_transaction(self, mediator, middleware):
        """Without a transaction around it, it says so, before anything is done."""
        mediator.use(middleware)

        with pytest.raises(ConfigurationError, match="TransactionMiddleware"):
            await mediator.send(Move())


class TestNested:
    def outer(self, mediator, *, times=1, after=None):
        @mediator.handles(Silent)
        async def handle(request):
            collect(Moved(name="before"))
            for _ in range(times):
                await mediator.send(Nested())
            collect(Moved(name="after"))
            if after is not None:
                raise after

    async def test_once(self, mediator, outbox, heard, transaction, middleware):
        """Events of nested sends are written once, in the order of the raising."""
        self.outer(mediator, times=2)
        mediator.use(transaction)
        mediator.use(middleware)

        await mediator.send(Silent())
        assert await names_waiting(outbox) == ["before", "nested", "nested", "after"]
        assert heard.published == []

    async def test_failure_that_is_swallowed(
        self, mediator, outbox, transaction, middleware
    ):
        """Events of an attempt that failed are dropped, with those nested in it."""
        self.outer(mediator, after=FailedError())
        mediator.use(transaction)
        mediator.use(middleware)
        mediator.use(swallow, only=Silent)

        assert await mediator.send(Silent()) == "swallowed"
        assert await names_waiting(outbox) == []

    async def test_transaction_of_its_own(self, mediator, outbox, middleware):
        """What a nested send commits by itself is written in its transaction."""

        @mediator.handles(Silent)
        async def handle(request):
            await mediator.send(Nested())
            raise FailedError

        mediator.use(TransactionMiddleware(begin, nested="new"))
        mediator.use(middleware)

        with pytest.raises(FailedError):
            await mediator.send(Silent())
        assert await names_waiting(outbox) == ["nested"]

    async def test_alone(self, mediator, outbox, heard, transaction, middleware):
        """Where the outer one has no outbox, the nested one writes."""
        self.outer(mediator)
        mediator.use(transaction)
        mediator.use(middleware, only=Nested)

        await mediator.send(Silent())
        assert await names_waiting(outbox) == ["nested"]
        assert [event.name for event in heard.published] == ["before", "after"]

    async def test_concurrent(self, mediator, outbox, transaction, middleware):
        """Concurrent sends write into transactions of their own."""
        mediator.use(transaction)
        mediator.use(middleware)

        await asyncio.gather(*(mediator.send(Move(str(number))) for number in range(5)))
        assert sorted(await names_waiting(outbox)) == ["0", "1", "2", "3", "4"]


class TestDomainEvents:
    @pytest.fixture
    def mediator(self, mediator):
        """A mediator whose domain events have outbound events raised."""

        @mediator.handles(Local)
        async def follow(event):
            collect(Moved(name=f"after {event.name}"))

        return mediator

    async def test_in_the_transaction(
        self, mediator, outbox, heard, transaction, middleware
    ):
        """What handlers raise within the transaction is written with the rest."""
        emitter = mediator.event_emitter
        for user in (mediator, emitter):
            user.use(transaction)
            user.use(middleware)
        mediator.use(EventCollectionMiddleware(emitter))

        await mediator.send(Move())
        assert await names_waiting(outbox) == ["it", "after it"]
        assert heard.published == []
        assert heard.local == ["it"]

    async def test_of_nested_sends(self, mediator, outbox, transaction, middleware):
        """So is what they raise about a nested send."""

        @mediator.handles(Silent)
        async def handle(request):
            await mediator.send(Nested())

        mediator.use(transaction)
        mediator.use(middleware)
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))

        await mediator.send(Silent())
        assert await names_waiting(outbox) == ["nested", "after nested"]

    async def test_outside_of_the_outbox(
        self, mediator, outbox, heard, transaction, middleware
    ):
        """Where events are collected outside of it, what they raise passes it by."""
        mediator.use(transaction)
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))
        mediator.use(middleware)

        await mediator.send(Move())
        assert await names_waiting(outbox) == ["it"]
        assert [event.name for event in heard.published] == ["after it"]

    async def test_after_the_commit(
        self, mediator, outbox, heard, transaction, middleware
    ):
        """Around events, it writes what handlers raise after the commit."""
        for user in (mediator, mediator.event_emitter):
            user.use(transaction)
            user.use(middleware)

        await mediator.send(Move())
        assert await names_waiting(outbox) == ["it", "after it"]
        assert heard.published == []


class TestReceived:
    async def test_written(self, mediator, outbox, heard, transaction, middleware):
        """What is raised about a received event is written with its effects."""

        @mediator.handles(Moved)
        async def follow(event):
            collect(Moved(name=f"after {event.name}"))

        emitter = mediator.event_emitter
        emitter.use(transaction)
        emitter.use(InboxMiddleware())
        emitter.use(middleware)
        event = Moved(name="it")
        received = Received(message=event, message_id="1", group="movers")

        with handling(received):
            await mediator.receive(event)
            await mediator.receive(event)

        assert await names_waiting(outbox) == ["after it"]
        assert heard.published == []

"""What a harness sees of an application that has an outbox."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from diator import Command, DomainEvent, EventEmitter, Mediator, collect
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.outbox.relay import Relay
from diator.testing.harness import Harness
from tests.unit.outbox.parts import KeyedRegistry, Moved, make_outbox, names_waiting


@dataclass(frozen=True)
class Move(Command):
    names: tuple[str, ...]


@dataclass(frozen=True)
class MoveTwice(Command):
    name: str


@dataclass(frozen=True)
class Rung(DomainEvent):
    name: str


def begin(session: AsyncSession):
    return session.begin()


@pytest.fixture
def outbox(engine):
    return make_outbox(engine)


@pytest.fixture
def mediator(engine, outbox):
    mediator = Mediator(
        event_emitter=EventEmitter(
            message_broker=InMemoryMessageBroker(), registry=KeyedRegistry()
        )
    )
    mediator.container.scoped(AsyncSession, async_sessionmaker(engine))
    mediator.container[Mediator] = mediator
    mediator.use(TransactionMiddleware(begin))
    mediator.use(OutboxMiddleware(outbox))
    return mediator


class TestOutbox:
    async def test_raised(self, mediator, outbox):
        """What is given to an outbox was raised, once, and domain events as always."""

        @mediator.handles(Move)
        async def move(request: Move) -> None:
            for name in request.names:
                collect(Moved(name=name))
            collect(Rung(name="bell"))

        @mediator.handles(MoveTwice)
        async def move_twice(request: MoveTwice, mediator: Mediator) -> None:
            for _ in range(2):
                await mediator.send(Move(names=(request.name,)))

        @mediator.handles(Rung)
        async def hear(event: Rung) -> None: ...

        harness = Harness(mediator)
        await harness.send(MoveTwice(name="it"))

        assert len(harness.raised.all(Moved, name="it")) == 2
        assert len(harness.raised.all(Rung)) == 2
        harness.published.none(Moved)
        assert "Moved(name='it'" in str(harness.timeline)
        assert "-> outbox" in str(harness.timeline)
        assert await names_waiting(outbox) == ["it", "it"]

    async def test_relayed(self, mediator, outbox):
        """What a relay publishes to the harness's broker is the event again."""

        @mediator.handles(Move)
        async def move(request: Move) -> None:
            for name in request.names:
                collect(Moved(name=name))

        harness = Harness(mediator)
        async with Relay(outbox, harness.broker):
            await harness.send(Move(names=("it",)))
            published = await harness.published.wait_for(Moved)

        assert published == harness.raised.one(Moved)

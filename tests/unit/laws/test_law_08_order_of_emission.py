"""Law 8: events are emitted in the order in which they were raised."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from diator import DomainEvent, EventEmitter, EventHandler, Mediator, collect
from diator.events.cascade import RECURRENCES
from diator.exceptions import CascadeError, EventsError
from tests.unit.fakes import Announced, Do, FailedError, Happened, Listening


@dataclass(frozen=True)
class Branch(DomainEvent):
    """An event whose handler raises those that it branches into."""

    name: str
    branches: tuple[Branch, ...] = ()


class BranchHandler(EventHandler[Branch]):
    async def handle(self, event: Branch) -> None:
        self.events.extend(event.branches)


class Ping(DomainEvent):
    pass


class Pong(DomainEvent):
    pass


class TestLaw08OrderOfEmission:
    async def test_first_in_first_out(self):
        """What was raised first is emitted first."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            for number in range(5):
                collect(Happened(str(number)))

        await listening.mediator.send(Do())

        assert listening.heard == ["0", "1", "2", "3", "4"]

    async def test_broker(self):
        """Events for the broker leave in this order as well, in one batch."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            for number in range(3):
                collect(Announced(name=str(number)))
                collect(Happened(str(number)))

        await listening.mediator.send(Do())

        assert listening.heard == ["0", "1", "2", "broker: 0", "broker: 1", "broker: 2"]

    async def test_cascade(self):
        """What handlers of events raise is emitted after what is waiting."""
        heard: list[str] = []
        mediator = Mediator()
        mediator.bind(Branch, BranchHandler)

        @mediator.handles(Branch)
        async def hear(event: Branch) -> None:
            heard.append(event.name)

        await mediator.event_emitter.emit(
            Branch("a", (Branch("a.a", (Branch("a.a.a"),)), Branch("a.b"))),
            Branch("b", (Branch("b.a"),)),
            Branch("c"),
        )

        assert heard == ["a", "b", "c", "a.a", "a.b", "b.a", "a.a.a"]

    async def test_cascade_to_broker(self):
        """An event that the handler of another raises reaches the broker, too."""
        listening = Listening()

        @listening.mediator.handles(Happened)
        async def announce(event: Happened) -> None:
            collect(Announced(name=event.name))

        await listening.mediator.event_emitter.emit(
            Happened("a"), Announced(name="between"), Happened("b")
        )

        assert listening.heard == [
            "a",
            "b",
            "broker: between",
            "broker: a",
            "broker: b",
        ]

    async def test_endless_cascade(self):
        """A cascade without end is cut off, and the error names its cycle."""
        mediator = Mediator()

        @mediator.handles(Ping)
        async def ping(event: Ping) -> None:
            collect(Pong())

        @mediator.handles(Pong)
        async def pong(event: Pong) -> None:
            collect(Happened("between"))

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            collect(Ping())

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Ping())
            return "answer"

        with pytest.raises(EventsError) as caught:
            await mediator.send(Do())

        [error] = caught.value.exceptions
        assert isinstance(error, CascadeError)
        assert error.cycle == (Ping, Pong, Happened, Ping)
        assert isinstance(error.event, Ping)
        assert "Ping → Pong → Happened → Ping" in str(error)
        assert caught.value.response == "answer"

    async def test_endless_cascade_through_tasks(self):
        """It is cut off as well if each round is a send in a task of its own."""
        mediator = Mediator()
        rounds: list[str] = []

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Ping())

        @mediator.handles(Ping)
        async def ping(event: Ping) -> None:
            rounds.append("again")
            if len(rounds) > RECURRENCES:
                pytest.fail("it has no end")
            await asyncio.create_task(mediator.send(Do()))

        with pytest.raises(EventsError) as caught:
            await mediator.send(Do())

        [error] = caught.value.exceptions
        assert isinstance(error, CascadeError)

    @pytest.mark.parametrize("limit", [1, 2, 5])
    async def test_bound(self, limit: int):
        """A type of event occurs in a line as often as the limit allows."""
        heard: list[Ping] = []
        emitter = EventEmitter(cascade_limit=limit)

        @emitter.event_map.handles(Ping)
        async def ping(event: Ping) -> None:
            heard.append(event)
            collect(Ping())

        with pytest.raises(EventsError) as caught:
            await emitter.emit(Ping())

        [error] = caught.value.exceptions
        assert isinstance(error, CascadeError)
        assert error.cycle == (Ping, Ping)
        assert len(heard) == limit

    async def test_bound_is_for_lines(self):
        """Any number of events may be raised, if none descends from its like."""
        emitter = EventEmitter(cascade_limit=1)
        heard: list[DomainEvent] = []

        @emitter.event_map.handles(Ping)
        async def ping(event: Ping) -> None:
            for _ in range(10):
                collect(Pong())

        @emitter.event_map.handles(DomainEvent)
        async def hear(event: DomainEvent) -> None:
            heard.append(event)

        await emitter.emit(*(Ping() for _ in range(10)))

        assert [type(event) for event in heard] == [Ping] * 10 + [Pong] * 100

    async def test_bound_is_not_for_neighbours(self):
        """Events of one type beside each other do not count as one line."""
        emitter = EventEmitter(cascade_limit=2)
        emitter.event_map.bind(Branch, BranchHandler)

        await emitter.emit(*(Branch("trunk", (Branch("twig"),)) for _ in range(10)))

    async def test_others_go_on_after_the_bound(self):
        """Events beside a cascade without end are emitted all the same."""
        listening = Listening()
        pings: list[Ping] = []

        @listening.mediator.handles(Ping)
        async def ping(event: Ping) -> None:
            collect(Ping())
            pings.append(event)
            if len(pings) == 1:
                collect(Happened("beside"))

        with pytest.raises(EventsError):
            await listening.mediator.event_emitter.emit(Ping(), Announced(name="last"))

        assert listening.heard == ["beside", "broker: last"]

    async def test_failure_keeps_order(self):
        """A handler that fails does not change the order of the rest."""
        listening = Listening()

        @listening.mediator.handles(Happened)
        async def fail(event: Happened) -> None:
            raise FailedError

        with pytest.raises(EventsError):
            await listening.mediator.event_emitter.emit(
                Happened("a"), Happened("b"), Announced(name="c")
            )

        assert listening.heard == ["a", "b", "broker: c"]


class TestLaw08BranchingCascade:
    async def test_cycle_with_branches(self):
        """A handler that raises two events of its type comes to an end as well."""
        handled = 0
        mediator = Mediator()

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            nonlocal handled
            handled += 1
            collect(Happened("left"))
            collect(Happened("right"))

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("root"))

        with pytest.raises(EventsError) as caught:
            await mediator.send(Do())

        assert handled == 1 + RECURRENCES
        assert all(
            isinstance(failure, CascadeError) for failure in caught.value.exceptions
        )

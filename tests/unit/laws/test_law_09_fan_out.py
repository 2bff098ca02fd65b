"""Law 9: an event goes to all its handlers, and then to the broker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from diator import (
    DomainEvent,
    ECSTEvent,
    Event,
    EventEmitter,
    EventHandler,
    Mediator,
    NotificationEvent,
    collect,
)
from diator.exceptions import EventHandlingError, EventsError
from tests.unit.fakes import (
    Announced,
    Do,
    FailedError,
    FakeBroker,
    Happened,
    Listening,
    pause,
)


class Vehicle(DomainEvent):
    pass


class Electric(DomainEvent):
    pass


class Car(Vehicle):
    pass


class ElectricCar(Car, Electric):
    pass


@dataclass(frozen=True, kw_only=True)
class Carried(ECSTEvent):
    name: str


class Letters(list[str]):
    """A dependency."""


class Names(list[str]):
    """The names of handlers, in the order in which they ran."""

    def handler(self, name: str, *, fails: bool = False, steps: int = 0) -> type:
        names = self

        class Handler(EventHandler[Event]):
            async def handle(self, event: Event) -> None:
                names.append(name)
                await pause(steps)
                if steps:
                    names.append(f"{name} done")
                if fails:
                    raise FailedError

        Handler.__qualname__ = name
        return Handler


class TestLaw09FanOut:
    @pytest.mark.parametrize(
        "event, expected",
        [
            (Vehicle(), ["any", "vehicle"]),
            (Car(), ["any", "vehicle", "car"]),
            (Electric(), ["any", "electric"]),
            (ElectricCar(), ["any", "vehicle", "car", "electric", "electric car"]),
            (Happened(""), ["any"]),
        ],
    )
    async def test_types(self, event: Event, expected: list[str]):
        """An event goes to the handlers of its type and of all its base types."""
        names = Names()
        mediator = Mediator()
        mediator.bind(Event, names.handler("any"))
        mediator.bind(Vehicle, names.handler("vehicle"))
        mediator.bind(Car, names.handler("car"))
        mediator.bind(Electric, names.handler("electric"))
        mediator.bind(ElectricCar, names.handler("electric car"))

        await mediator.event_emitter.emit(event)

        assert names == expected

    async def test_order_of_binding(self):
        """Handlers run in the order of binding, however near the type that is bound."""
        names = Names()
        mediator = Mediator()
        mediator.bind(Car, names.handler("first"))
        mediator.bind(Event, names.handler("second"))
        mediator.bind(Vehicle, names.handler("third"))
        mediator.bind(Car, names.handler("fourth"))

        await mediator.event_emitter.emit(Car())

        assert names == ["first", "second", "third", "fourth"]

    async def test_once(self):
        """A handler that is bound to a type and to its bases gets each event once."""
        names = Names()
        mediator = Mediator()
        twice = names.handler("twice")
        mediator.bind(Vehicle, twice)
        mediator.bind(Car, names.handler("between"))
        mediator.bind(Car, twice)
        mediator.bind(Event, twice)

        await mediator.event_emitter.emit(Car())

        assert names == ["twice", "between"]

    async def test_no_handler(self):
        """An event that nobody handles is no error."""
        await Mediator().event_emitter.emit(Happened("unheard"), Happened("unheard"))

    async def test_one_after_the_other(self):
        """By default a handler begins when the one before it is done."""
        names = Names()
        mediator = Mediator()
        mediator.bind(Event, names.handler("a", steps=3))
        mediator.bind(Event, names.handler("b", steps=1))

        await mediator.event_emitter.emit(Happened(""))

        assert names == ["a", "a done", "b", "b done"]

    @pytest.mark.parametrize("failing", [0, 1, 2])
    async def test_failing_handler(self, failing: int):
        """A handler that fails keeps no other from the event."""
        names = Names()
        mediator = Mediator()
        handlers = [
            names.handler(name, fails=index == failing)
            for index, name in enumerate("abc")
        ]
        for handler in handlers:
            mediator.bind(Event, handler)

        with pytest.raises(EventsError) as caught:
            await mediator.event_emitter.emit(Happened(""), Happened(""))

        assert names == ["a", "b", "c"] * 2
        failures = caught.value.exceptions
        assert [failure.handler for failure in failures] == [handlers[failing]] * 2

    async def test_only_handler_fails(self):
        """The failure of an only handler keeps the next event from nobody."""
        names = Names()
        mediator = Mediator()
        mediator.bind(Event, names.handler("a", fails=True))

        with pytest.raises(EventsError):
            await mediator.event_emitter.emit(Happened(""), Happened(""))

        assert names == ["a", "a"]

    async def test_handler_that_cannot_be_built(self):
        """A handler that the container cannot build fails alone."""

        class Unbuildable(EventHandler[Happened]):
            def __init__(self, port: int) -> None: ...

            async def handle(self, event: Happened) -> None: ...

        names = Names()
        mediator = Mediator()
        mediator.bind(Happened, names.handler("before"))
        mediator.bind(Happened, Unbuildable)
        mediator.bind(Happened, names.handler("after"))

        with pytest.raises(EventsError) as caught:
            await mediator.event_emitter.emit(Happened(""))

        [failure] = caught.value.exceptions
        assert isinstance(failure, EventHandlingError)
        assert failure.handler is Unbuildable
        assert "'port'" in str(failure.__cause__)
        assert names == ["before", "after"]

    async def test_broker_after_handlers(self):
        """A notification or ECST event goes to its handlers and then to the broker."""
        listening = Listening()

        @listening.mediator.handles(NotificationEvent)
        async def notified(event: NotificationEvent) -> None:
            listening.heard.append("notified")

        @listening.mediator.handles(ECSTEvent)
        async def carried(event: ECSTEvent) -> None:
            listening.heard.append("carried")

        await listening.mediator.event_emitter.emit(
            Announced(name="a"), Carried(name="b"), Happened("c")
        )

        assert listening.heard == ["notified", "carried", "c", "broker: a", "broker: b"]

    async def test_domain_events_stay(self):
        """Other events than notification and ECST events never reach the broker."""
        broker = FakeBroker()

        @dataclass(frozen=True)
        class Plain(Event):
            name: str = "plain"

        await EventEmitter(message_broker=broker).emit(Happened("domain"), Plain())

        assert broker.names == []

    async def test_broker_after_failing_handler(self):
        """An event whose handler failed goes to the broker all the same."""
        broker = FakeBroker()
        mediator = Mediator(message_broker=broker)
        mediator.bind(Announced, Names().handler("a", fails=True))

        with pytest.raises(EventsError):
            await mediator.event_emitter.emit(Announced(name="it"))

        assert broker.names == ["it"]

    async def test_concurrent(self):
        """Neighbours that are bound as concurrent run at the same time."""
        names = Names()
        mediator = Mediator()
        mediator.bind(Event, names.handler("before", steps=1))
        mediator.bind(Event, names.handler("slow", steps=5), concurrent=True)
        mediator.bind(Event, names.handler("fast", steps=1), concurrent=True)
        mediator.bind(Event, names.handler("after", steps=1))
        mediator.bind(Event, names.handler("alone", steps=1), concurrent=True)

        await mediator.event_emitter.emit(Happened(""))

        assert names == [
            "before",
            "before done",
            "slow",
            "fast",
            "fast done",
            "slow done",
            "after",
            "after done",
            "alone",
            "alone done",
        ]

    async def test_concurrent_failures(self):
        """A concurrent handler that fails stops neither its neighbours nor the rest."""
        names = Names()
        mediator = Mediator()
        first = names.handler("first", fails=True)
        second = names.handler("second", steps=3)
        third = names.handler("third", steps=2, fails=True)
        for handler in (first, second, third):
            mediator.bind(Event, handler, concurrent=True)
        mediator.bind(Event, names.handler("after"))

        with pytest.raises(EventsError) as caught:
            await mediator.event_emitter.emit(Happened(""))

        assert names == [
            "first",
            "second",
            "third",
            "third done",
            "second done",
            "after",
        ]
        failures = caught.value.exceptions
        assert [failure.handler for failure in failures] == [first, third]

    async def test_concurrent_events(self):
        """What concurrent handlers raise is emitted, unless they fail."""
        listening = Listening()

        class Raising(EventHandler[Announced]):
            async def handle(self, event: Announced) -> None:
                self.events.append(Happened("good"))
                await asyncio.sleep(0)

        class RaisingInVain(EventHandler[Announced]):
            async def handle(self, event: Announced) -> None:
                self.events.append(Happened("bad"))
                await asyncio.sleep(0)
                raise FailedError

        listening.mediator.bind(Announced, Raising, concurrent=True)
        listening.mediator.bind(Announced, RaisingInVain, concurrent=True)

        with pytest.raises(EventsError):
            await listening.mediator.event_emitter.emit(Announced(name="it"))

        assert listening.heard == ["good", "broker: it"]

    async def test_functions(self):
        """Functions, with and without dependencies, are handlers as classes are."""
        mediator = Mediator()
        mediator.container[Letters] = letters = Letters()

        @mediator.handles(Happened)
        async def write(event: Happened, into: Letters) -> None:
            into.append(event.name)

        @mediator.handles(Happened, concurrent=True)
        async def shout(event: Happened) -> None:
            letters.append(event.name.upper())

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))

        await mediator.send(Do("x"))

        assert letters == ["x", "X"]

"""What a harness replaces, what it notes, and what it leaves as it was."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

import attrs
import lagom
import pydantic
import pytest

from diator import (
    Command,
    DomainEvent,
    EventEmitter,
    EventHandler,
    Mediator,
    NotificationEvent,
    Query,
    RequestHandler,
    StreamRequest,
    collect,
)
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.exceptions import EventsError, InUseError
from diator.messages.registry import MessageRegistry
from diator.testing.harness import Harness
from diator.testing.timeline import ExpectationError


class Sign:
    text = "real"


class Open(pydantic.BaseModel, Command, extra="allow"):
    pass


class Closed(pydantic.BaseModel, Command):
    size: int

    @property
    def area(self) -> int:
        return self.size**2


class Hall:
    def __init__(self, sign: Sign) -> None:
        self.sign = sign


@dataclass(frozen=True)
class AskWeather(Query[str]):
    city: str


@dataclass(frozen=True)
class Count(StreamRequest[int]):
    to: int


@dataclass(frozen=True)
class Join(Command[str]):
    user_id: int


@attrs.frozen
class Leave(Command):
    user_id: int


class Stay(Command):
    pass


@dataclass(frozen=True)
class SeatTaken(DomainEvent):
    user_id: int


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    user_id: int
    extra: Any = None


class JoinHandler(RequestHandler[Join, str]):
    def __init__(self, hall: Hall, mediator: Mediator) -> None:
        self.hall = hall
        self.mediator = mediator

    async def handle(self, request: Join) -> str:
        weather = await self.mediator.send(AskWeather("Oslo"))
        self.events.append(SeatTaken(request.user_id))
        self.events.append(UserJoined(user_id=request.user_id))
        return f"{self.hall.sign.text}, {weather}"


class Welcome(EventHandler[SeatTaken]):
    async def handle(self, event: SeatTaken) -> None:
        pass


async def weather(_query: AskWeather, sign: Sign) -> str:
    return f"{sign.text} weather"


def application(
    broker: Any = None, registry: MessageRegistry | None = None, **parts: Any
) -> Mediator:
    emitter = EventEmitter(
        message_broker=broker or InMemoryMessageBroker(), registry=registry
    )
    mediator = Mediator(event_emitter=emitter, **parts)
    mediator.container[Mediator] = mediator
    mediator.container[Hall] = lagom.Singleton(Hall)
    mediator.bind(Join, JoinHandler)
    mediator.handles(AskWeather)(weather)
    mediator.bind(SeatTaken, Welcome)
    return mediator


def fake_sign() -> Sign:
    sign = Sign()
    sign.text = "fake"
    return sign


async def handle_any(_event: DomainEvent) -> None:
    pass


class TestOverride:
    async def test_any_depth(self):
        """An override is seen by what handlers need, and by functions."""
        harness = Harness(application())
        harness.override(Sign, fake_sign())

        assert await harness.send(Join(1)) == "fake, fake weather"
        assert await harness.send(Join(2)) == "fake, fake weather"

    async def test_a_handler_of_several_types(self):
        """A handler that is bound to a type and to its base is called once."""
        mediator = application()
        mediator.event_emitter.event_map.handles(DomainEvent)(handle_any)
        mediator.event_emitter.event_map.handles(SeatTaken)(handle_any)
        harness = Harness(mediator)
        await harness.send(Join(1))

        assert str(harness.timeline).count("handle_any") == 1

    async def test_the_original_stays(self):
        """The mediator answers as before, also with its singletons."""
        mediator = application()
        harness = Harness(mediator)
        harness.override(Sign, fake_sign())
        await harness.send(Join(1))

        assert await mediator.send(Join(1)) == "real, real weather"
        assert len(harness.sent.all(Join)) == 1
        broker: Any = mediator.event_emitter.message_broker
        assert len(broker.messages) == 1

    async def test_after_use_of_the_original(self):
        """A mediator that is in use can have a harness."""
        mediator = application()
        await mediator.send(Join(1))
        harness = Harness(mediator)
        harness.override(Sign, fake_sign())

        assert await harness.send(Join(1)) == "fake, fake weather"

    async def test_the_original_is_not_frozen(self):
        mediator = application()
        await Harness(mediator).send(Join(1))

        mediator.handles(SeatTaken)(lambda_handler)

    async def test_too_late(self):
        harness = Harness(application())
        await harness.send(Join(1))

        with pytest.raises(InUseError, match="Sign is overridden too late"):
            harness.override(Sign, fake_sign())

    async def test_mediator_of_the_test(self):
        """Whoever overrides the mediator itself gets what they gave."""
        other = application()
        harness = Harness(application())
        harness.override(Mediator, other)
        await harness.send(Join(1))

        harness.sent.none(AskWeather)


async def lambda_handler(_event: SeatTaken) -> None:
    pass


class TestStub:
    async def test_answer(self):
        harness = Harness(application())
        harness.stub(AskWeather, "sunny")

        assert await harness.send(Join(1)) == "real, sunny"

    async def test_functions(self):
        """A function gives the answer, async or not, and may be replaced later."""

        async def ask(query: AskWeather) -> str:
            return query.city.upper()

        harness = Harness(application())
        harness.stub(AskWeather, lambda query: query.city)
        assert await harness.send(AskWeather("Oslo")) == "Oslo"
        harness.stub(AskWeather, ask)
        assert await harness.send(AskWeather("Oslo")) == "OSLO"

    @pytest.mark.parametrize("error", [KeyError("x"), KeyError])
    async def test_exception(self, error):
        harness = Harness(application())
        harness.stub(AskWeather, error)

        with pytest.raises(KeyError):
            await harness.send(Join(1))
        harness.raised.none(SeatTaken)
        assert "! KeyError(" in str(harness.timeline)

    async def test_without_handler(self):
        """A stream that nobody handles gives the items of its stub."""
        harness = Harness(application())
        harness.stub(Count, [1, 2])

        assert [item async for item in harness.stream(Count(2))] == [1, 2]
        harness.sent.one(Count, to=2)

    async def test_middlewares_run(self):
        seen: list[object] = []

        async def see(message: object, handle: Any) -> Any:
            seen.append(message)
            return await handle(message)

        mediator = application()
        mediator.use(see, only=AskWeather)
        mediator.event_emitter.use(see)
        harness = Harness(mediator)
        harness.stub(AskWeather, "sunny")
        await harness.send(Join(1))

        assert [type(each) for each in seen] == [AskWeather, SeatTaken, UserJoined]

    async def test_too_late(self):
        harness = Harness(application())
        await harness.send(Join(1))

        with pytest.raises(InUseError, match="Count is stubbed too late"):
            harness.stub(Count, [])


class TestExpectations:
    async def test_found(self):
        harness = Harness(application())
        await harness.send(Join(7))

        assert harness.sent.one(AskWeather, city="Oslo") == AskWeather("Oslo")
        assert harness.raised.one(SeatTaken, lambda event: event.user_id == 7)
        assert harness.published.all(UserJoined)[0].user_id == 7
        harness.published.none(UserJoined, user_id=8)

    def test_misspelt_field(self):
        """What could fit nothing is told, and not taken for proof."""
        harness = Harness(application())

        with pytest.raises(TypeError, match="UserJoined has no field 'usr', only"):
            harness.published.none(UserJoined, usr=7)
        with pytest.raises(TypeError, match="Leave has no field 'usr', only user_id"):
            harness.sent.none(Leave, usr=7)
        harness.sent.none(Stay, why="it declares none")

    async def test_timeline(self):
        """A failed expectation tells what happened, what is nested indented."""
        harness = Harness(application())
        await harness.send(Join(7))

        with pytest.raises(ExpectationError) as caught:
            harness.sent.one(Join, lambda _: True, user_id=8)

        assert str(caught.value) == (
            "expected one Join(where ..., user_id=8) to be sent, found none; "
            "what happened:\n"
            "  sent      Join(user_id=7) -> 'real, real weather'\n"
            "  sent        AskWeather(city='Oslo') -> 'real weather'\n"
            "  raised    SeatTaken(user_id=7)\n"
            "  handler     Welcome\n"
            "  raised    UserJoined(user_id=7, extra=None)\n"
            "  published UserJoined(user_id=7, extra=None)"
        )

    async def test_none_but_there_is(self):
        harness = Harness(application())
        await harness.send(AskWeather("x" * 200))

        with pytest.raises(ExpectationError, match=r"expected no .*\(where \.\.\.\)"):
            harness.sent.none(AskWeather, lambda _: True)
        assert "…" in str(harness.timeline)

    async def test_without_repr(self):
        """What cannot be shown fails no test."""

        class Mute:
            def __repr__(self) -> str:
                raise LookupError

        harness = Harness(application())
        harness.stub(AskWeather, Mute())

        await harness.send(AskWeather("Rome"))

        assert "-> <Mute without a repr>" in str(harness.timeline)

    async def test_open_fields(self):
        """Fields of open models, and properties, can be expected."""
        harness = Harness(application())
        harness.stub(Open, None)
        harness.stub(Closed, None)

        await harness.send(Open(colour="red"))
        await harness.send(Closed(size=2))

        assert harness.sent.one(Open, colour="red")
        assert harness.sent.one(Closed, area=4)

    def test_nothing(self):
        harness = Harness(application())

        with pytest.raises(AssertionError, match="  nothing"):
            harness.sent.one(Join)


class TestWaiting:
    async def test_a_task_left_behind(self):
        """Several may wait for what happens later."""
        harness = Harness(application())
        waiting = [
            asyncio.create_task(harness.sent.wait_for(AskWeather, city="Bergen"))
            for _ in range(2)
        ]
        await asyncio.sleep(0)
        await harness.send(AskWeather("Oslo"))
        await harness.send(AskWeather("Bergen"))

        assert await asyncio.gather(*waiting) == [AskWeather("Bergen")] * 2

    async def test_deadline(self):
        harness = Harness(application())

        with pytest.raises(ExpectationError) as caught:
            await harness.raised.wait_for(SeatTaken, within=0)
        assert caught.value.__notes__ == ["It was waited for 0 seconds."]

    async def test_consumer(self):
        """What is posted is handled by a consumer of the harness's broker."""
        registry = MessageRegistry()
        registry.add(Join)
        harness = Harness(application(registry=registry))
        async with Consumer(harness.mediator, harness.broker, group="g"):
            await harness.post(Join(3))

            assert (await harness.sent.wait_for(Join)).user_id == 3
            await harness.published.wait_for(UserJoined, user_id=3)


@dataclass(frozen=True, kw_only=True)
class Odd(NotificationEvent):
    value: Any = None
    number: int = 0


@dataclass(frozen=True)
class RaiseOdd(Command):
    event: Odd = field(default_factory=Odd)


async def raise_odd(request: RaiseOdd) -> None:
    collect(request.event)


class TestTheWire:
    @pytest.mark.parametrize(
        "event,reason",
        [
            (Odd(value=(1, 2)), r"Odd\.value does not survive .* received as \[1, 2\]"),
            (Odd(number="x"), r"\$\.number"),  # type: ignore[arg-type]  # on purpose
            (Odd(value=object()), "Odd.value: object has no form in JSON"),
        ],
    )
    async def test_what_does_not_survive(self, event, reason):
        mediator = application()
        mediator.handles(RaiseOdd)(raise_odd)
        harness = Harness(mediator)

        with pytest.raises(EventsError) as caught:
            await harness.send(RaiseOdd(event))

        [failure] = caught.value.exceptions
        assert re.search(reason, str(failure))
        assert "the broker refuses" in str(harness.timeline)
        harness.published.none(Odd)

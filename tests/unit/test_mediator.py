"""The front door."""

from __future__ import annotations

import asyncio
from typing import Any

import lagom
import pytest

from diator import (
    EventEmitter,
    EventHandler,
    EventMap,
    Mediator,
    MiddlewareChain,
    RequestHandler,
    RequestMap,
    StreamHandler,
    StreamRequest,
    collect,
)
from diator.container.lagom import LagomContainer
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.exceptions import BindingError, ConfigurationError
from diator.middlewares.base import Handle
from tests.unit.fakes import Announced, Do, FakeBroker, Happened


class Letters(list[str]):
    """A dependency."""


class Numbers(StreamRequest[int]):
    pass


class DoHandler(RequestHandler[Do, str]):
    def __init__(self, letters: Letters) -> None:
        self.letters = letters

    async def handle(self, request: Do) -> str:
        self.letters.append(f"request {request.name}")
        self.events.append(Happened(request.name))
        self.events.append(Announced(name=request.name))
        return "answer"


class NumbersHandler(StreamHandler[Numbers, int]):
    async def handle(self, request: Numbers) -> Any:
        yield 1


class HappenedHandler(EventHandler[Happened]):
    def __init__(self, letters: Letters) -> None:
        self.letters = letters

    async def handle(self, event: Happened) -> None:
        self.letters.append(f"event {event.name}")


def lettered() -> tuple[lagom.Container, Letters]:
    container = lagom.Container()
    container[Letters] = letters = Letters()
    return container, letters


class TestMediator:
    async def test_alone(self):
        """A mediator alone has a lagom container and a broker in memory."""
        mediator = Mediator()
        mediator.container[Letters] = letters = Letters()
        mediator.bind(Do, DoHandler)
        mediator.bind(Happened, HappenedHandler)

        assert await mediator.send(Do("it")) == "answer"
        assert letters == ["request it", "event it"]
        broker = mediator.event_emitter.message_broker
        assert isinstance(broker, InMemoryMessageBroker)
        assert [message.message_name for message in broker.messages] == ["Announced"]

    async def test_parts(self):
        """In the style of 0.1 it is made of parts, and works the same."""
        container, letters = lettered()
        request_map = RequestMap()
        request_map.bind(Do, DoHandler)
        event_map = EventMap()
        event_map.bind(Happened, HappenedHandler)
        broker = FakeBroker()
        emitter = EventEmitter(
            event_map=event_map, message_broker=broker, container=container
        )
        chain = MiddlewareChain()

        async def look(request: Any, handle: Handle) -> Any:
            letters.append("middleware")
            return await handle(request)

        chain.add(look)
        mediator = Mediator(
            request_map=request_map,
            event_emitter=emitter,
            container=container,
            middleware_chain=chain,
        )

        assert await mediator.send(Do("it")) == "answer"
        assert letters == ["middleware", "request it", "event it"]
        assert broker.names == ["it"]

    async def test_empty_parts_are_kept(self):
        """Parts that are empty at first are the mediator's all the same."""
        request_map, chain, event_map = RequestMap(), MiddlewareChain(), EventMap()
        mediator = Mediator(
            request_map=request_map,
            middleware_chain=chain,
            event_emitter=EventEmitter(event_map=event_map),
        )
        mediator.bind(Do, DoHandler)
        mediator.bind(Happened, HappenedHandler)

        assert Do in request_map
        assert len(event_map.get(Happened)) == 1
        assert mediator.middleware_chain is chain

    async def test_container_of_emitter(self):
        """Without a container of its own, it builds handlers by that of the emitter."""
        container, letters = lettered()
        mediator = Mediator(event_emitter=EventEmitter(container=container))
        mediator.bind(Do, DoHandler)
        mediator.event_emitter.message_broker = FakeBroker()

        await mediator.send(Do("it"))

        assert letters == ["request it"]
        assert mediator.container.container is container

    async def test_container_for_emitter(self):
        """An emitter without a container of its own gets that of the mediator."""
        container, letters = lettered()
        emitter = EventEmitter(message_broker=FakeBroker())
        mediator = Mediator(event_emitter=emitter, container=container)
        mediator.bind(Do, DoHandler)
        mediator.bind(Happened, HappenedHandler)

        await mediator.send(Do("it"))

        assert letters == ["request it", "event it"]

    async def test_adapter(self):
        """A container may be given plain or as an adapter."""
        container, _ = lettered()
        adapter = LagomContainer(container)

        assert Mediator(container=adapter).container is adapter
        assert Mediator(container=container).container is adapter

    @pytest.mark.parametrize("container", [1, "container", {}, object()])
    def test_no_container(self, container: Any):
        """What is no container is refused."""
        with pytest.raises(ConfigurationError, match="is not a container"):
            Mediator(container=container)

    async def test_message_broker(self):
        """A broker can be given instead of an emitter."""
        broker = FakeBroker()
        mediator = Mediator(message_broker=broker)

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Announced(name=request.name))

        await mediator.send(Do("it"))

        assert broker.names == ["it"]

    def test_emitter_and_broker(self):
        """A broker beside an emitter would go unused, and is refused."""
        with pytest.raises(ConfigurationError, match="give the broker to the EventEm"):
            Mediator(event_emitter=EventEmitter(), message_broker=FakeBroker())

    async def test_bind(self):
        """`bind` puts requests, streams and events into their maps."""
        mediator = Mediator()
        mediator.bind(Do, DoHandler)
        mediator.bind(Numbers, NumbersHandler)
        mediator.bind(Happened, HappenedHandler, concurrent=True)

        assert mediator.request_map.get(Do) is DoHandler
        assert mediator.request_map.get(Numbers) is NumbersHandler
        [binding] = mediator.event_emitter.event_map.get(Happened)
        assert binding.handler is HappenedHandler
        assert binding.concurrent

    async def test_handles(self):
        """`handles` does so for functions, which stay what they were."""
        mediator = Mediator()

        async def handle(request: Do) -> str:
            return "answer"

        async def numbers(request: Numbers) -> Any:
            yield 1

        async def hear(event: Happened) -> None: ...

        assert mediator.handles(Do)(handle) is handle
        assert mediator.handles(Numbers)(numbers) is numbers
        assert mediator.handles(Happened, concurrent=True)(hear) is hear
        assert mediator.request_map.get(Do) is handle
        assert mediator.request_map.get(Numbers) is numbers
        assert mediator.event_emitter.event_map.get(Happened)[0].concurrent

    def test_request_that_is_concurrent(self):
        """Only handlers of events run at the same time as others."""
        with pytest.raises(TypeError, match="concurrent"):
            Mediator().bind(Do, DoHandler, concurrent=True)  # type: ignore[call-overload]  # on purpose

    @pytest.mark.parametrize("thing", [None, int, "Do"])
    def test_no_message(self, thing: Any):
        """What is neither request nor event cannot be bound."""
        with pytest.raises(BindingError):
            Mediator().bind(thing, DoHandler)
        with pytest.raises(BindingError):
            Mediator().handles(thing)(DoHandler)

    async def test_use(self):
        """`use` adds to the chain around requests."""
        mediator = Mediator()

        async def look(request: Any, handle: Handle) -> Any: ...

        mediator.use(look, only=Do)

        assert mediator.middleware_chain.select(Do) == [look]
        assert mediator.middleware_chain.select(Numbers) == []

    async def test_entered(self):
        """Leaving the mediator closes nothing: it can be used on."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            return "answer"

        async with mediator as entered:
            assert await entered.send(Do()) == "answer"

        assert await mediator.send(Do()) == "answer"

    async def test_errors_pass_when_leaving(self):
        """An error inside `async with` passes as it is."""

        async def enter() -> None:
            async with Mediator():
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await enter()

    def test_used_in_several_loops(self):
        """A mediator is bound to no event loop."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            return "answer"

        for _ in range(2):
            assert asyncio.run(mediator.send(Do())) == "answer"

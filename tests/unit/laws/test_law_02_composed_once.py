"""Law 2: what can be decided once per type of request is decided once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from diator import Command, EventEmitter, Mediator, Query, RequestHandler
from diator.container.lagom import LagomContainer
from diator.exceptions import HandlerNotFoundError, InUseError
from diator.middlewares.base import Handle
from tests.unit.fakes import Do, Happened, Listening


class CountingContainer(LagomContainer):
    """Counts how often it is asked how to build a type."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[type] = []

    def factory(self, dependency: Any, /) -> Any:
        self.asked.append(dependency)
        return super().factory(dependency)


class CountingSelector:
    """A predicate for `only=` that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[type] = []

    def __call__(self, message_type: type) -> bool:
        self.asked.append(message_type)
        return True


class PassingMiddleware:
    built = 0

    def __init__(self) -> None:
        type(self).built += 1

    async def __call__(self, request: Any, handle: Handle) -> Any:
        return await handle(request)


async def pass_on(request: Any, handle: Handle) -> Any:
    return await handle(request)


class DoHandler(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        self.events.append(Happened(request.name))


async def note(event: Happened) -> None:
    """Handle an event in vain."""


class Change(Command):
    pass


class Read(Query[str]):
    pass


async def used_mediator() -> Mediator:
    """Give a mediator that a request and an event went through."""
    mediator = Mediator()
    mediator.bind(Do, DoHandler)
    await mediator.send(Do())
    return mediator


class TestLaw02ComposedOnce:
    async def test_container_is_asked_once(self):
        """How a handler is built is worked out at the first send of its type only."""
        container = CountingContainer()
        mediator = Mediator(container=container)
        mediator.bind(Do, DoHandler)

        await mediator.send(Do())
        asked_at_first = container.asked.copy()
        for _ in range(5):
            await mediator.send(Do())

        assert set(asked_at_first) == {DoHandler}
        assert container.asked == asked_at_first

    async def test_selectors_are_asked_once(self):
        """Which middlewares apply is decided once per type of message."""
        selector = CountingSelector()
        mediator = Mediator()
        mediator.use(pass_on, only=selector)
        mediator.event_emitter.use(pass_on, only=selector)
        mediator.bind(Do, DoHandler)

        for _ in range(5):
            await mediator.send(Do())

        assert selector.asked == [Do, Happened]

    async def test_middleware_class_is_built_once(self):
        """A middleware that was added as a class is one instance for all types."""
        PassingMiddleware.built = 0
        mediator = Mediator()
        mediator.use(PassingMiddleware)

        @mediator.handles(Change)
        async def change(request: Change) -> None: ...

        @mediator.handles(Read)
        async def read(request: Read) -> str:
            return "read"

        for _ in range(3):
            await mediator.send(Change())
            await mediator.send(Read())

        assert PassingMiddleware.built == 1

    async def test_concurrent_first_sends(self):
        """First sends that overlap still share one instance of a middleware."""
        PassingMiddleware.built = 0
        mediator = Mediator()
        mediator.use(PassingMiddleware)
        mediator.bind(Do, DoHandler)

        await asyncio.gather(*(mediator.send(Do()) for _ in range(10)))

        assert PassingMiddleware.built == 1

    @pytest.mark.parametrize(
        "only, seen",
        [
            (None, ["Change", "Read"]),
            (Command, ["Change"]),
            ((Read, Do), ["Read"]),
            (lambda message_type: message_type.__name__.startswith("C"), ["Change"]),
        ],
    )
    async def test_only(self, only: Any, seen: list[str]):
        """A middleware sees the types, and those derived, that `only=` selects."""
        log: list[str] = []

        async def look(request: Any, handle: Handle) -> Any:
            log.append(type(request).__name__)
            return await handle(request)

        mediator = Mediator()
        mediator.use(look, only=only)

        @mediator.handles(Change)
        async def change(request: Change) -> None: ...

        @mediator.handles(Read)
        async def read(request: Read) -> str:
            return "read"

        await mediator.send(Change())
        await mediator.send(Read())

        assert log == seen

    async def test_request_map_in_use(self):
        """A request is not bound any more once one was sent; the error names it."""
        mediator = await used_mediator()

        async def change(request: Change) -> None: ...

        with pytest.raises(InUseError, match=r"Change .* before the first send"):
            mediator.handles(Change)(change)
        with pytest.raises(InUseError, match="Do"):
            mediator.request_map.bind(Do, DoHandler)

    async def test_event_map_in_use(self):
        """An event gets no further handlers once one was emitted."""
        mediator = await used_mediator()

        with pytest.raises(InUseError, match=r"Happened .* before the first send"):
            mediator.handles(Happened)(note)

    async def test_chain_in_use(self):
        """A chain does not change once a request went through."""
        mediator = await used_mediator()

        with pytest.raises(InUseError, match="pass_on comes too late"):
            mediator.use(pass_on)
        with pytest.raises(InUseError, match="set too late"):
            mediator.middleware_chain.set([])

    async def test_event_chain_in_use(self):
        """The chain around events does not change once an event went through."""
        mediator = await used_mediator()

        with pytest.raises(InUseError, match="pass_on comes too late"):
            mediator.event_emitter.use(pass_on)

    async def test_not_in_use_before_first_send(self):
        """A send that finds no handler leaves the maps and the chain open."""
        listening = Listening()
        with pytest.raises(HandlerNotFoundError):
            await listening.mediator.send(Do())

        listening.mediator.use(pass_on)
        listening.mediator.bind(Do, DoHandler)
        await listening.mediator.send(Do("now"))

        assert listening.heard == ["now"]

    async def test_event_map_open_until_first_event(self):
        """Requests alone do not put the map of events in use."""
        mediator = Mediator(event_emitter=EventEmitter())

        @mediator.handles(Change)
        async def change(request: Change) -> None: ...

        await mediator.send(Change())
        mediator.handles(Happened)(note)

        assert [binding.handler for binding in mediator.event_emitter.event_map] == [
            note
        ]

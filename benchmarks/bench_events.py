"""Events on their way to their handlers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from benchmarks.parts import Clock, Repo, clock, make_mediator, repo
from diator import Command, DomainEvent, EventHandler, RequestHandler

pytestmark = pytest.mark.benchmark(timer=time.thread_time)


# Events with fields would cost both sides the same, and hide what is measured.
class Opened(DomainEvent):
    pass


class Closed(DomainEvent):
    pass


class Open(Command):
    pass


class OpenAndClose(Command):
    pass


class OpenHandler(RequestHandler[Open, None]):
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    async def handle(self, request: Open) -> None:  # noqa: ARG002  # it has no fields
        self.events.append(Opened())


class OpenAndCloseHandler(RequestHandler[OpenAndClose, None]):
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    async def handle(self, request: OpenAndClose) -> None:  # noqa: ARG002  # as above
        self.events.append(Opened())
        self.events.append(Closed())


class OwnEvents:
    """Keeps its events until who calls it has them handled."""

    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock
        self.events: list[DomainEvent] = []


class OpenHandlerByHand(OwnEvents):
    handle: Any = OpenHandler.handle


class OpenAndCloseHandlerByHand(OwnEvents):
    handle: Any = OpenAndCloseHandler.handle


class OpenedHandler(EventHandler[Opened]):
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    async def handle(self, event: Opened) -> None:
        pass


class ClosedHandler(EventHandler[Closed]):
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    async def handle(self, event: Closed) -> None:
        pass


def test_two_events(compare: Compare) -> None:
    mediator = make_mediator()
    mediator.bind(OpenAndClose, OpenAndCloseHandler)
    mediator.bind(Opened, OpenedHandler)
    mediator.bind(Closed, ClosedHandler)
    event_handlers: dict[type, list[Any]] = {
        Opened: [OpenedHandler],
        Closed: [ClosedHandler],
    }

    async def send_by_hand(request: OpenAndClose) -> None:
        handler = OpenAndCloseHandlerByHand(repo, clock)
        await handler.handle(request)
        for event in handler.events:
            for event_handler in event_handlers[type(event)]:
                await event_handler(repo).handle(event)

    compare(
        Case(
            name="2 events, a handler each",
            request=OpenAndClose(),
            counted=[
                OpenAndCloseHandler.handle,
                OpenedHandler.__init__,
                OpenedHandler.handle,
                ClosedHandler.__init__,
                ClosedHandler.handle,
            ],
            target=1.6,
            reached=1.95,
        ),
        by_hand=send_by_hand,
        diator=mediator.send,
    )


@pytest.mark.parametrize("number, sends", [(1, 1_000), (10, 400), (100, 50)])
def test_fan_out(compare: Compare, number: int, sends: int) -> None:
    event_handlers: dict[type, list[Any]] = {
        Opened: [make_event_handler() for _ in range(number)]
    }
    mediator = make_mediator()
    mediator.bind(Open, OpenHandler)
    for event_handler in event_handlers[Opened]:
        mediator.bind(Opened, event_handler)

    async def send_by_hand(request: Open) -> None:
        handler = OpenHandlerByHand(repo, clock)
        await handler.handle(request)
        for event in handler.events:
            for event_handler in event_handlers[type(event)]:
                await event_handler(repo).handle(event)

    compare(
        Case(
            name=f"an event to {number} handler{'s' if number > 1 else ''}",
            request=Open(),
            counted=[OpenHandler.handle, OpenedHandler.__init__, OpenedHandler.handle],
            sends=sends,
        ),
        by_hand=send_by_hand,
        diator=mediator.send,
    )


def make_event_handler() -> type[OpenedHandler]:
    class Handler(OpenedHandler):
        pass

    return Handler

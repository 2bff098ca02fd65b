# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
What a mediator is made of, and what it gives.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_type

import lagom

from diator import (
    Event,
    EventEmitter,
    EventMap,
    Mediator,
    MiddlewareChain,
    Request,
    RequestHandler,
    RequestMap,
)
from diator.container.lagom import LagomContainer
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.protocol import Message
from diator.mediator import IndependentMediator


class Settings:
    pass


@dataclass(frozen=True)
class CountUsers(Request[int]):
    meeting_id: int


class CountUsersHandler(RequestHandler[CountUsers, int]):
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def handle(self, request: CountUsers) -> int:
        return await self.mediator.independent().send(CountUsers(1))


class Printer:
    """A message broker of one's own."""

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        return [None for _ in messages]


class Hasty:
    """No message broker: it does not say what became of the messages."""

    async def publish(self, messages: Sequence[Message], /) -> None:
        pass


def parts() -> None:
    Mediator()
    Mediator(message_broker=InMemoryMessageBroker(keep=10))
    Mediator(message_broker=Printer())
    Mediator(container=lagom.Container())
    Mediator(container=LagomContainer())
    Mediator(
        request_map=RequestMap(),
        event_emitter=EventEmitter(
            event_map=EventMap(),
            message_broker=Printer(),
            container=lagom.Container(),
            middleware_chain=MiddlewareChain(),
            failures="log",
            cascade_limit=8,
        ),
        container=lagom.Container(),
        middleware_chain=MiddlewareChain(),
    )


def wrong_parts() -> None:
    Mediator(RequestMap())  # type: ignore[call-arg]  # by keyword only
    Mediator(request_map=EventMap())  # type: ignore[arg-type]  # the other map
    Mediator(event_emitter=EventMap())  # type: ignore[arg-type]  # no emitter
    Mediator(message_broker=Hasty())  # type: ignore[arg-type]  # answers nothing
    Mediator(middlewares=[])  # type: ignore[call-arg]  # they go into a chain, or to use()
    EventEmitter(event_map=RequestMap())  # type: ignore[arg-type]  # the other map
    EventEmitter(failures="ignore")  # type: ignore[arg-type]  # not an option
    EventEmitter(cascade_limit="")  # type: ignore[arg-type]  # a number


def attributes(mediator: Mediator) -> None:
    assert_type(mediator.request_map, RequestMap)
    assert_type(mediator.event_emitter, EventEmitter)
    assert_type(mediator.event_emitter.event_map, EventMap)
    assert_type(mediator.middleware_chain, MiddlewareChain)
    for request_type in mediator.request_map:
        assert_type(request_type, type[Any])
    assert_type(CountUsers in mediator.request_map, bool)


def registrations(mediator: Mediator) -> None:
    # It is whatever was passed in, so that its own ways of registering remain.
    assert_type(mediator.container, Any)
    mediator.container[Settings] = Settings()
    mediator.container[Settings] = Settings
    mediator.container.scoped(Settings, Settings)
    mediator.container = lagom.Container()  # type: ignore[misc]  # decided when made


async def entered() -> None:
    async with Mediator() as mediator:
        assert_type(mediator, Mediator)
        assert_type(await mediator.send(CountUsers(1)), int)
    with Mediator():  # type: ignore[attr-defined]  # asynchronously
        pass


async def subclass_entered() -> None:
    class Application(Mediator):
        pass

    async with Application() as application:
        assert_type(application, Application)


async def independent(mediator: Mediator) -> None:
    view = mediator.independent()
    assert_type(view, IndependentMediator)
    assert_type(await view.send(CountUsers(1)), int)
    await view.send(1)  # type: ignore[arg-type]  # no request
    view.bind(CountUsers, CountUsersHandler)  # type: ignore[attr-defined]  # only sends


async def checked(mediator: Mediator) -> None:
    mediator.bind(CountUsers, CountUsersHandler)
    mediator.check()
    await mediator.event_emitter.emit(Event())

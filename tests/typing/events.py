# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
Which handlers get which events, and what may be raised.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_type
from uuid import UUID

import attrs
import msgspec
import pydantic

from diator import (
    Command,
    DomainEvent,
    ECSTEvent,
    Event,
    EventEmitter,
    EventHandler,
    EventMap,
    Mediator,
    NotificationEvent,
    RequestHandler,
    collect,
)


class JoinMeeting(Command):
    pass


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    user_id: int


@dataclass(frozen=True, kw_only=True)
class GuestJoined(UserJoined):
    host_id: int


@dataclass(frozen=True, kw_only=True)
class UserChanged(ECSTEvent):
    name: str


@dataclass(frozen=True)
class UserLeft(DomainEvent):
    user_id: int


class Struct(msgspec.Struct, DomainEvent):
    user_id: int


class Model(pydantic.BaseModel, DomainEvent):
    user_id: int


@attrs.frozen
class Attrs(DomainEvent):
    user_id: int


class UserJoinedHandler(EventHandler[UserJoined]):
    async def handle(self, event: UserJoined) -> None:
        assert_type(event.event_id, UUID)
        assert_type(event.event_timestamp, datetime)
        assert_type(self.events, list[Event])
        self.events.append(UserLeft(event.user_id))
        self.events.append(event.user_id)  # type: ignore[arg-type]  # no event


class GuestJoinedHandler(EventHandler[GuestJoined]):
    async def handle(self, event: GuestJoined) -> None:
        pass


class AnyNotificationHandler(EventHandler[NotificationEvent]):
    async def handle(self, event: NotificationEvent) -> None:
        pass


class AnyEventHandler(EventHandler[Event]):
    async def handle(self, event: Event) -> None:
        pass


class EitherHandler(EventHandler[UserJoined | UserLeft]):
    async def handle(self, event: UserJoined | UserLeft) -> None:
        assert_type(event.user_id, int)


class StructHandler(EventHandler[Struct]):
    async def handle(self, event: Struct) -> None:
        pass


class ModelHandler(EventHandler[Model]):
    async def handle(self, event: Model) -> None:
        pass


class AttrsHandler(EventHandler[Attrs]):
    async def handle(self, event: Attrs) -> None:
        pass


class AnsweringHandler(EventHandler[UserJoined]):
    async def handle(self, event: UserJoined) -> int:  # type: ignore[override]  # nobody takes an answer
        return 1


class JoinMeetingHandler(RequestHandler[JoinMeeting, None]):
    async def handle(self, request: JoinMeeting) -> None:
        assert_type(self.events, list[Event])
        self.events.append(UserJoined(user_id=1))
        self.events.extend([UserLeft(1), UserChanged(name="")])
        self.events.append(request)  # type: ignore[arg-type]  # no event
        self.events.append(UserLeft)  # type: ignore[arg-type]  # no instance
        self.events.extend([UserLeft(1), 1])  # type: ignore[list-item]  # no event
        # One that could be assigned could not be overridden by a read-only property.
        self.events = [UserLeft(1)]  # type: ignore[misc]  # nor `+=`


class ReadOnlyPropertyHandler(RequestHandler[JoinMeeting, None]):
    def __init__(self) -> None:
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: JoinMeeting) -> None:
        self._events.append(UserLeft(1))


class ReadOnlyPropertyEventHandler(EventHandler[UserLeft]):
    @property
    def events(self) -> list[Event]:
        return []

    async def handle(self, event: UserLeft) -> None:
        pass


class AttributeHandler(RequestHandler[JoinMeeting, None]):
    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, request: JoinMeeting) -> None:
        self.events += [UserLeft(1)]


class OddPropertyHandler(RequestHandler[JoinMeeting, None]):
    @property
    def events(self) -> list[int]:  # type: ignore[override]  # not of events
        return []

    async def handle(self, request: JoinMeeting) -> None:
        pass


def bound_to_the_mediator(mediator: Mediator) -> None:
    mediator.bind(UserJoined, UserJoinedHandler)
    mediator.bind(UserJoined, AnyNotificationHandler, concurrent=True)
    mediator.bind(UserJoined, AnyEventHandler)
    mediator.bind(UserJoined, EitherHandler)
    mediator.bind(UserLeft, EitherHandler)
    mediator.bind(GuestJoined, UserJoinedHandler)
    mediator.bind(NotificationEvent, AnyNotificationHandler)
    mediator.bind(Event, AnyEventHandler)
    mediator.bind(Struct, StructHandler)
    mediator.bind(Model, ModelHandler)
    mediator.bind(Attrs, AttrsHandler)
    mediator.bind(UserLeft, UserJoinedHandler)  # type: ignore[arg-type]  # for another one
    mediator.bind(UserJoined, GuestJoinedHandler)  # type: ignore[arg-type]  # not for all of them
    mediator.bind(Event, UserJoinedHandler)  # type: ignore[arg-type]  # not for all of them
    mediator.bind(UserJoined, JoinMeetingHandler)  # type: ignore[arg-type]  # of a request
    mediator.bind(UserJoined, UserJoinedHandler())  # type: ignore[call-overload]  # no class
    mediator.bind(UserJoined, UserJoinedHandler, concurrently=True)  # type: ignore[call-overload]  # no option


def handles_what_is_derived(handler: UserJoinedHandler) -> EventHandler[GuestJoined]:
    return handler


def bound_to_a_map(event_map: EventMap) -> None:
    event_map.bind(UserJoined, UserJoinedHandler)
    event_map.bind(GuestJoined, UserJoinedHandler, concurrent=True)
    event_map.bind(UserJoined, AnyEventHandler)
    event_map.bind(UserLeft, UserJoinedHandler)  # type: ignore[arg-type]  # for another one
    event_map.bind(UserJoined, GuestJoinedHandler)  # type: ignore[arg-type]  # not for all of them
    event_map.bind(UserJoined, JoinMeetingHandler)  # type: ignore[arg-type]  # of a request
    event_map.bind(JoinMeeting, JoinMeetingHandler)  # type: ignore[type-var,arg-type]  # no event


async def raised_elsewhere(emitter: EventEmitter, anything: Any) -> None:
    collect(UserLeft(1))
    collect(anything)
    collect(JoinMeeting())  # type: ignore[arg-type]  # no event
    collect(UserLeft)  # type: ignore[arg-type]  # no instance
    await emitter.emit(UserLeft(1), UserJoined(user_id=1))
    await emitter.emit(JoinMeeting())  # type: ignore[arg-type]  # no event


def constructed() -> None:
    UserJoined(user_id=1, event_id=UUID(int=1))
    UserJoined(user_id=1, event_id="")  # type: ignore[arg-type]  # a UUID
    UserJoined()  # type: ignore[call-arg]  # user_id
    UserJoined(user_id="")  # type: ignore[arg-type]  # an int
    UserJoined(user_id=1).user_id = 2  # type: ignore[misc]  # frozen

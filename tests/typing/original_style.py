# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
The style of the original README, which needs no type arguments and no new names.

Checked, never run.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any, assert_type

import lagom
import redis.asyncio as redis

from diator.events.event import DomainEvent, Event, NotificationEvent
from diator.events.event_emitter import EventEmitter
from diator.events.event_handler import EventHandler
from diator.events.map import EventMap
from diator.events.message_brokers.redis import RedisMessageBroker
from diator.mediator import Mediator
from diator.requests.map import RequestMap
from diator.requests.request import Request
from diator.requests.request_handler import RequestHandler
from diator.response import Response


class MeetingAPI:
    async def join(self, meeting_id: int, user_id: int) -> None:
        pass

    async def notify(self, meeting_id: int, message: str) -> None:
        pass

    async def get_link(self, meeting_id: int) -> str:
        return f"https://meetings.example/{meeting_id}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JoinMeetingCommand(Request):
    meeting_id: int = dataclasses.field(default=1)
    user_id: int = dataclasses.field(default=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadMeetingQuery(Request):
    meeting_id: int = dataclasses.field(default=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadMeetingQueryResult(Response):
    meeting_id: int = dataclasses.field(default=1)
    link: str = dataclasses.field()


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserJoinedDomainEvent(DomainEvent):
    user_id: int = dataclasses.field()
    meeting_id: int = dataclasses.field()
    timestamp: datetime = dataclasses.field()


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserJoinedNotificationEvent(NotificationEvent):
    user_id: int = dataclasses.field()


class JoinMeetingCommandHandler(RequestHandler[JoinMeetingCommand, None]):
    def __init__(self, meeting_api: MeetingAPI) -> None:
        self._meeting_api = meeting_api
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: JoinMeetingCommand) -> None:
        await self._meeting_api.join(request.meeting_id, request.user_id)
        self._events.append(
            UserJoinedDomainEvent(
                user_id=request.user_id,
                timestamp=datetime.now(UTC),
                meeting_id=request.meeting_id,
            )
        )
        self._events.append(UserJoinedNotificationEvent(user_id=request.user_id))


class UserJoinedDomainEventHandler(EventHandler[UserJoinedDomainEvent]):
    def __init__(self, meeting_api: MeetingAPI) -> None:
        self._meeting_api = meeting_api

    async def handle(self, event: UserJoinedDomainEvent) -> None:
        await self._meeting_api.notify(event.meeting_id, "New user joined!")


class ReadMeetingQueryHandler(RequestHandler[ReadMeetingQuery, ReadMeetingQueryResult]):
    def __init__(self, meeting_api: MeetingAPI) -> None:
        self._meeting_api = meeting_api
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: ReadMeetingQuery) -> ReadMeetingQueryResult:
        link = await self._meeting_api.get_link(request.meeting_id)
        return ReadMeetingQueryResult(meeting_id=request.meeting_id, link=link)


async def main() -> None:
    container = lagom.Container()

    event_map = EventMap()
    event_map.bind(UserJoinedDomainEvent, UserJoinedDomainEventHandler)
    request_map = RequestMap()
    request_map.bind(JoinMeetingCommand, JoinMeetingCommandHandler)
    request_map.bind(ReadMeetingQuery, ReadMeetingQueryHandler)

    url = "redis://localhost:6379/0"
    redis_client = redis.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]  # redis-py's own

    event_emitter = EventEmitter(
        message_broker=RedisMessageBroker(redis_client),
        event_map=event_map,
        container=container,
    )

    mediator = Mediator(
        request_map=request_map, event_emitter=event_emitter, container=container
    )

    await mediator.send(JoinMeetingCommand(user_id=1))

    response = await mediator.send(ReadMeetingQuery(meeting_id=1))
    assert_type(response, Any)


def errors(request_map: RequestMap, event_map: EventMap) -> None:
    # Even without a type argument, a handler has to be one of this request.
    request_map.bind(JoinMeetingCommand, ReadMeetingQueryHandler)  # type: ignore[arg-type]  # for another one
    request_map.bind(JoinMeetingCommand, UserJoinedDomainEventHandler)  # type: ignore[arg-type]  # of an event
    event_map.bind(UserJoinedNotificationEvent, UserJoinedDomainEventHandler)  # type: ignore[arg-type]  # for another one

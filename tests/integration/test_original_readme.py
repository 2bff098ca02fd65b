"""
The program of the README of diator 0.1, which has to go on working.

Only its slips are mended: the missing colons and imports, the container and the
`MeetingAPI` that it leaves undefined, and the client, which is closed here.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from uuid import UUID

import lagom
import pytest
from redis.asyncio import Redis

from diator.events.event import Event, NotificationEvent
from diator.events.event_emitter import EventEmitter
from diator.events.event_handler import EventHandler
from diator.events.map import EventMap
from diator.events.message_brokers.redis import RedisMessageBroker
from diator.mediator import Mediator
from diator.requests.map import RequestMap
from diator.requests.request import Request
from diator.requests.request_handler import RequestHandler
from diator.response import Response

CHANNEL_PREFIX = "python_diator_channel"
ARRIVAL_SECONDS = 10  # for a message that is lost; others arrive at once

# The program is as old as this way to ask for the time.
pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning")


class MeetingAPI:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.joined: list[tuple[int, int]] = []
        self.notified: list[tuple[int, str]] = []

    async def join(self, meeting_id: int, user_id: int) -> None:
        self.joined.append((meeting_id, user_id))

    async def notify(self, meeting_id: int, text: str) -> None:
        self.notified.append((meeting_id, text))

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
class UserJoinedDomainEvent(Event):
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
                timestamp=datetime.utcnow(),  # noqa: DTZ003  # see above
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


def build_mediator(redis_client: Redis, container: lagom.Container) -> Mediator:
    event_map = EventMap()
    event_map.bind(UserJoinedDomainEvent, UserJoinedDomainEventHandler)
    request_map = RequestMap()
    request_map.bind(JoinMeetingCommand, JoinMeetingCommandHandler)
    request_map.bind(ReadMeetingQuery, ReadMeetingQueryHandler)

    event_emitter = EventEmitter(
        message_broker=RedisMessageBroker(redis_client),
        event_map=event_map,
        container=container,
    )

    return Mediator(
        request_map=request_map, event_emitter=event_emitter, container=container
    )


@pytest.fixture
def meeting_api():
    return MeetingAPI()


@pytest.fixture
def mediator(redis_client, meeting_api):
    container = lagom.Container()
    container[MeetingAPI] = meeting_api
    return build_mediator(redis_client, container)


@pytest.fixture
async def subscriber(redis_client):
    async with redis_client.pubsub() as pubsub:
        await pubsub.psubscribe(f"{CHANNEL_PREFIX}:*")
        confirmation = await pubsub.get_message(timeout=ARRIVAL_SECONDS)
        assert confirmation["type"] == "psubscribe"
        yield pubsub


async def receive(subscriber):
    """Return the next message's channel and body."""
    message = await subscriber.get_message(
        ignore_subscribe_messages=True, timeout=ARRIVAL_SECONDS
    )
    assert message is not None, "no message has arrived"
    return message["channel"].decode(), message["data"]


class TestOriginalReadme:
    async def test_command(self, mediator, meeting_api):
        """A command reaches its handler, and is answered with nothing."""
        assert await mediator.send(JoinMeetingCommand(user_id=123)) is None

        assert meeting_api.joined == [(1, 123)]

    async def test_event(self, mediator, meeting_api):
        """A plain `Event` is handled by the handler bound to it, once."""
        await mediator.send(JoinMeetingCommand(user_id=123))

        assert meeting_api.notified == [(1, "New user joined!")]

    async def test_query(self, mediator):
        """A query is answered with its result."""
        response = await mediator.send(ReadMeetingQuery(meeting_id=1))

        assert response == ReadMeetingQueryResult(
            meeting_id=1, link="https://meetings.example/1"
        )

    async def test_message(self, mediator, subscriber):
        """A notification event reaches a subscriber as the README shows it."""
        await mediator.send(JoinMeetingCommand(user_id=123))

        channel, data = await receive(subscriber)
        body = json.loads(data)
        payload = body["payload"]
        event_id = payload["event_id"]
        assert channel == f"{CHANNEL_PREFIX}:notification_event:{event_id}"
        # As lists, for the order of the fields is that of the README.
        assert list(body.items()) == [
            ("message_type", "notification_event"),
            ("message_name", "UserJoinedNotificationEvent"),
            ("message_id", event_id),
            ("payload", payload),
        ]
        assert list(payload) == ["event_id", "event_timestamp", "user_id"]
        assert payload["user_id"] == 123
        assert UUID(event_id).version == 4
        timestamp = datetime.fromisoformat(payload["event_timestamp"])
        assert timestamp.utcoffset() == timedelta(0)

    async def test_second_command(self, mediator, subscriber, meeting_api):
        """A second command emits its own events and not those of the first again."""
        await mediator.send(JoinMeetingCommand(user_id=1))
        await mediator.send(JoinMeetingCommand(user_id=2))

        users = [
            json.loads(data)["payload"]["user_id"]
            for _, data in [await receive(subscriber), await receive(subscriber)]
        ]
        assert users == [1, 2]
        assert len(meeting_api.notified) == 2

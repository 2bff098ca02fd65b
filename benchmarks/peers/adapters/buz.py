"""
buz: buses for commands, queries and events.

A query is what has an answer. Handlers are instances, which a locator finds. The
asynchronous event buses are for Kafka and an outbox; within the process there is one
whose handlers are plain functions.
"""

from asyncio import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from buz.command import Command
from buz.command.asynchronous import BaseCommandHandler
from buz.command.asynchronous import middleware as command_middleware
from buz.command.asynchronous.self_process import SelfProcessCommandBus
from buz.event import BaseSubscriber, Event
from buz.event.sync import SyncEventBus
from buz.locator.sync import InstanceLocator
from buz.query import Query, QueryResponse
from buz.query.asynchronous import BaseQueryHandler
from buz.query.asynchronous import middleware as query_middleware
from buz.query.asynchronous.self_process import SelfProcessQueryBus

from benchmarks.peers.behaviours import BEHAVIOURS
from benchmarks.peers.parts import EVENT_ID, Broker, Clock, Repo, clock, repo
from benchmarks.peers.work import (
    BUILT_ONCE,
    HANDLER_PUBLISHES,
    INSTANCES_ONLY,
    PUBLISHES_BY_HAND,
    Work,
    event_handler,
    handler,
    middleware,
)

CANNOT = {"factory": INSTANCES_ONLY, "container": INSTANCES_ONLY}
SYNCHRONOUS = "handlers of events are not asynchronous"
LACKS = {
    "fan_out": SYNCHRONOUS,
    "two_events": f"{HANDLER_PUBLISHES}; {SYNCHRONOUS}",
    "realistic": f"{PUBLISHES_BY_HAND}; {SYNCHRONOUS}; {BUILT_ONCE}",
}


def locate(*handlers: Any) -> InstanceLocator:
    locator = InstanceLocator()
    for each in handlers:
        locator.register(each)
    return locator


@dataclass(frozen=True)
class Echo(Query):
    number: int


class EchoHandler(BaseQueryHandler):
    @handler
    async def handle(self, query: Echo) -> QueryResponse:
        return QueryResponse(query.number)


def prebuilt() -> Work:
    bus = SelfProcessQueryBus(locate(EchoHandler()))
    return Work(bus.handle, Echo(number=1), answer=QueryResponse(1))


class PassOn(query_middleware.HandleMiddleware):
    @middleware
    async def on_handle(self, query: Any, query_handler: Any, handle: Any) -> Any:
        return await handle(query, query_handler)


def middlewares(number: int) -> Work:
    bus = SelfProcessQueryBus(locate(EchoHandler()), [PassOn() for _ in range(number)])
    return Work(bus.handle, Echo(number=1), answer=QueryResponse(1))


@dataclass(frozen=True)
class Happened(Event):
    pass


class HappenedSubscriber(BaseSubscriber):
    @event_handler
    def consume(self, event: Happened) -> None:
        pass


def fan_out(number: int) -> Work:
    bus = SyncEventBus(locate(*(HappenedSubscriber() for _ in range(number))))

    async def publish(event: Happened) -> None:
        bus.publish(event)

    return Work(publish, Happened())


@dataclass(frozen=True)
class Opened(Event):
    pass


@dataclass(frozen=True)
class Closed(Event):
    pass


@dataclass(frozen=True)
class OpenAndClose(Command):
    pass


class OpenAndCloseHandler(BaseCommandHandler):
    def __init__(self, events: SyncEventBus) -> None:
        self.events = events

    @handler
    async def handle(self, command: OpenAndClose) -> None:
        self.events.publish(Opened())
        self.events.publish(Closed())


class OpenedSubscriber(BaseSubscriber):
    @event_handler
    def consume(self, event: Opened) -> None:
        pass


class ClosedSubscriber(BaseSubscriber):
    @event_handler
    def consume(self, event: Closed) -> None:
        pass


def two_events() -> Work:
    events = SyncEventBus(locate(OpenedSubscriber(), ClosedSubscriber()))
    bus = SelfProcessCommandBus(locate(OpenAndCloseHandler(events)))
    return Work(bus.handle, OpenAndClose())


@dataclass(frozen=True)
class JoinMeeting(Command):
    meeting_id: int
    user: str


@dataclass(frozen=True)
class MeetingFilled(Event):
    meeting_id: int


@dataclass(frozen=True)
class UserJoined(Event):
    event_id: UUID
    event_timestamp: datetime
    meeting_id: int
    user: str


class JoinMeetingHandler(BaseCommandHandler):
    def __init__(self, repo: Repo, clock: Clock, events: SyncEventBus) -> None:
        self.repo = repo
        self.clock = clock
        self.events = events

    @handler
    async def handle(self, command: JoinMeeting) -> None:
        self.repo[command.meeting_id] = command.user
        self.events.publish(MeetingFilled(command.meeting_id))
        now = self.clock.now()
        self.events.publish(UserJoined(EVENT_ID, now, command.meeting_id, command.user))


class MeetingFilledSubscriber(BaseSubscriber):
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    @event_handler
    def consume(self, event: MeetingFilled) -> None:
        self.repo.get(event.meeting_id)


class UserJoinedSubscriber(BaseSubscriber):
    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def consume(self, event: UserJoined) -> None:
        self.broker.publish(event)


class Behaviour(command_middleware.HandleMiddleware):
    def __init__(self, behaviour: Any) -> None:
        self.behaviour = behaviour

    async def on_handle(self, command: Any, command_handler: Any, handle: Any) -> None:
        await self.behaviour(command, lambda command: handle(command, command_handler))


def realistic() -> Work:
    broker = Broker()
    subscribers = locate(MeetingFilledSubscriber(repo), UserJoinedSubscriber(broker))
    events = SyncEventBus(subscribers)
    bus = SelfProcessCommandBus(
        locate(JoinMeetingHandler(repo, clock, events)),
        [Behaviour(behaviour()) for behaviour in BEHAVIOURS],
    )
    return Work(bus.handle, JoinMeeting(1, "Ada"), bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    class WaitingHandler(BaseQueryHandler):
        async def handle(self, query: Echo) -> QueryResponse:
            await future
            return QueryResponse(None)

    bus = SelfProcessQueryBus(locate(WaitingHandler()))
    return Work(bus.handle, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    locator = locate(*(make_handler(kind)() for kind in kinds))
    bus = SelfProcessQueryBus(locator)
    return Work(bus.handle, None, answer=QueryResponse(1))


def make_handler(kind: type[Echo]) -> type[EchoHandler]:
    class Handler(EchoHandler):
        @classmethod
        def handles(cls) -> type[Echo]:
            return kind

    return Handler

"""
diator 0.1.2: what diator was before, with the container `rodi`.

The container is a protocol, so that a table may take its place. Events are handled last
in first out. Any broker will do; this one encodes with orjson.
"""

from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import rodi

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS, PassOn
from benchmarks.peers.parts import EVENT_ID, KEPT, Clock, Repo, clock, repo
from benchmarks.peers.work import Work, built, handler
from diator.container.rodi import RodiContainer
from diator.events import DomainEvent, EventEmitter, EventMap, NotificationEvent
from diator.mediator import Mediator
from diator.message_brokers.protocol import Message
from diator.middlewares import MiddlewareChain
from diator.requests import Request, RequestMap

CANNOT: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Echo(Request):
    number: int


class EchoHandler:
    @built
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock
        self.events: list[Any] = []

    @handler
    async def handle(self, request: Echo) -> int:
        return request.number


class Table:
    """A container that is written by hand."""

    def __init__(self, factories: dict[type, Callable[[], Any]]) -> None:
        self.factories = factories

    async def resolve(self, handler_type: type) -> Any:
        return self.factories[handler_type]()


def instances(*made: Any) -> Table:
    return Table({type(each): lambda each=each: each for each in made})


def make_rodi(*handler_types: type) -> RodiContainer:
    external = rodi.Container()
    external.add_instance(repo)
    external.add_instance(clock)
    for handler_type in handler_types:
        external.add_transient(handler_type)
    adapter = RodiContainer()
    adapter.attach_external_container(external)
    return adapter


def make_mediator(
    container: Any, request_type: type, handler_type: type, **options: Any
) -> Mediator:
    request_map = RequestMap()
    request_map.bind(request_type, handler_type)
    return Mediator(request_map=request_map, container=container, **options)


def prebuilt() -> Work:
    mediator = make_mediator(instances(EchoHandler(repo, clock)), Echo, EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def factory() -> Work:
    table = Table({EchoHandler: lambda: EchoHandler(repo, clock)})
    mediator = make_mediator(table, Echo, EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def container() -> Work:
    mediator = make_mediator(make_rodi(EchoHandler), Echo, EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def middlewares(number: int) -> Work:
    chain = MiddlewareChain()
    for _ in range(number):
        chain.add(PassOn())
    table = instances(EchoHandler(repo, clock))
    mediator = make_mediator(table, Echo, EchoHandler, middleware_chain=chain)
    return Work(mediator.send, Echo(number=1), answer=1)


class Happened(DomainEvent):
    pass


def fan_out(number: int) -> Work:
    event_map = EventMap()
    for _ in range(number):
        event_map.bind(Happened, parts.HappenedHandler)
    emitter = EventEmitter(event_map, instances(parts.HappenedHandler()))
    return Work(emitter.emit, Happened())


class OpenAndClose(Request):
    pass


class Opened(DomainEvent):
    pass


class Closed(DomainEvent):
    pass


class OpenAndCloseHandler:
    def __init__(self) -> None:
        self.events: list[Any] = []

    @handler
    async def handle(self, request: OpenAndClose) -> None:
        self.events.append(Opened())
        self.events.append(Closed())


def two_events() -> Work:
    event_map = EventMap()
    event_map.bind(Opened, parts.OpenedHandler)
    event_map.bind(Closed, parts.ClosedHandler)
    table = instances(parts.OpenedHandler(), parts.ClosedHandler())
    # Built anew, it does not hand out the events of earlier requests again.
    table.factories[OpenAndCloseHandler] = OpenAndCloseHandler
    emitter = EventEmitter(event_map, table)
    mediator = make_mediator(
        table, OpenAndClose, OpenAndCloseHandler, event_emitter=emitter
    )
    return Work(mediator.send, OpenAndClose())


@dataclass(frozen=True, kw_only=True)
class JoinMeeting(Request):
    meeting_id: int
    user: str


@dataclass(frozen=True, kw_only=True)
class MeetingFilled(DomainEvent):
    meeting_id: int


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user: str


class JoinMeetingHandler:
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock
        self.events: list[Any] = []

    @handler
    async def handle(self, request: JoinMeeting) -> None:
        self.repo[request.meeting_id] = request.user
        self.events.append(MeetingFilled(meeting_id=request.meeting_id))
        self.events.append(
            UserJoined(
                event_id=EVENT_ID,
                event_timestamp=self.clock.now(),
                meeting_id=request.meeting_id,
                user=request.user,
            )
        )


class InMemoryBroker:
    def __init__(self) -> None:
        self.published: deque[bytes] = deque(maxlen=KEPT)

    async def send_message(self, message: Message) -> None:
        self.published.append(orjson.dumps(message))

    def bodies(self) -> Sequence[bytes]:
        return list(self.published)


def realistic() -> Work:
    broker = InMemoryBroker()
    resolver = make_rodi(JoinMeetingHandler, parts.MeetingFilledHandler)
    event_map = EventMap()
    event_map.bind(MeetingFilled, parts.MeetingFilledHandler)
    chain = MiddlewareChain()
    for behaviour in BEHAVIOURS:
        chain.add(behaviour())
    mediator = make_mediator(
        resolver,
        JoinMeeting,
        JoinMeetingHandler,
        event_emitter=EventEmitter(event_map, resolver, broker),
        middleware_chain=chain,
    )
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    class WaitingHandler(parts.WaitingHandler):
        events: Sequence[Any] = ()

    table = instances(WaitingHandler(future))
    mediator = make_mediator(table, Echo, WaitingHandler)
    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    request_map = RequestMap()
    for kind in kinds:
        request_map.bind(kind, EchoHandler)
    table = instances(EchoHandler(repo, clock))
    mediator = Mediator(request_map=request_map, container=table)
    return Work(mediator.send, None, answer=1)

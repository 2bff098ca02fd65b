"""
python-cqrs: diator's fork, with sagas, an outbox and the container `di`.

`bootstrap` would add a middleware that logs, so the parts are put together by hand. The
container is a protocol, so that a table may take its place.
"""

from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import cqrs
import di
from cqrs.container.di import DIContainer
from cqrs.message_brokers.protocol import Message, MessageBroker
from cqrs.middlewares.base import MiddlewareChain
from di.dependent import Dependent

from benchmarks.peers.behaviours import BEHAVIOURS, PassOn
from benchmarks.peers.parts import EVENT_ID, KEPT, Clock, Repo, clock, repo
from benchmarks.peers.work import Work, built, event_handler, handler

CANNOT: dict[str, str] = {}


class Echo(cqrs.Request[int]):
    number: int


class EchoHandler(cqrs.RequestHandler[Echo, int]):
    @built
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

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


def make_di() -> DIContainer:
    external = di.Container()
    for instance in (repo, clock):
        dependent = Dependent(lambda instance=instance: instance, scope="request")
        external.bind(di.bind_by_type(dependent, type(instance)))
    container = DIContainer()
    container.attach_external_container(external)
    return container


def make_mediator(
    container: Any, request_type: type, handler_type: type, **options: Any
) -> cqrs.RequestMediator:
    request_map = cqrs.RequestMap()
    request_map.bind(request_type, handler_type)
    return cqrs.RequestMediator(request_map, container, **options)


def prebuilt() -> Work:
    return middlewares(0)


def factory() -> Work:
    table = Table({EchoHandler: lambda: EchoHandler(repo, clock)})
    mediator = make_mediator(table, Echo, EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def container() -> Work:
    mediator = make_mediator(make_di(), Echo, EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def middlewares(number: int) -> Work:
    chain = MiddlewareChain()
    for _ in range(number):
        chain.add(PassOn())
    table = instances(EchoHandler(repo, clock))
    mediator = make_mediator(table, Echo, EchoHandler, middleware_chain=chain)
    return Work(mediator.send, Echo(number=1), answer=1)


class Happened(cqrs.DomainEvent):
    pass


def fan_out(number: int) -> Work:
    event_map = cqrs.EventMap()
    handlers = [make_handler(Happened) for _ in range(number)]
    for each in handlers:
        event_map.bind(Happened, each)
    table = instances(*(each() for each in handlers))
    return Work(cqrs.EventEmitter(event_map, table).emit, Happened())


def make_handler(event_type: type) -> type[Any]:
    class Handler(cqrs.EventHandler[event_type]):
        @event_handler
        async def handle(self, event: Any) -> None:
            pass

    return Handler


class OpenAndClose(cqrs.Request[None]):
    pass


class Opened(cqrs.DomainEvent):
    pass


class Closed(cqrs.DomainEvent):
    pass


class OpenAndCloseHandler(cqrs.RequestHandler[OpenAndClose, None]):
    def __init__(self) -> None:
        self._events: list[Any] = []

    @property
    def events(self) -> Sequence[Any]:
        return self._events

    @handler
    async def handle(self, request: OpenAndClose) -> None:
        self._events.append(Opened())
        self._events.append(Closed())


def two_events() -> Work:
    opened, closed = make_handler(Opened), make_handler(Closed)
    event_map = cqrs.EventMap()
    event_map.bind(Opened, opened)
    event_map.bind(Closed, closed)
    table = instances(opened(), closed())
    table.factories[OpenAndCloseHandler] = OpenAndCloseHandler
    emitter = cqrs.EventEmitter(event_map, table)
    mediator = make_mediator(
        table,
        OpenAndClose,
        OpenAndCloseHandler,
        event_emitter=emitter,
        event_map=event_map,
        concurrent_event_handle_enable=False,
    )
    return Work(mediator.send, OpenAndClose())


class JoinMeeting(cqrs.Request[None]):
    meeting_id: int
    user: str


class MeetingFilled(cqrs.DomainEvent):
    meeting_id: int


class UserJoined(cqrs.NotificationEvent[dict[str, Any]]):
    event_name: str = "UserJoined"


class JoinMeetingHandler(cqrs.RequestHandler[JoinMeeting, None]):
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock
        self._events: list[Any] = []

    @property
    def events(self) -> Sequence[Any]:
        return self._events

    @handler
    async def handle(self, request: JoinMeeting) -> None:
        self.repo[request.meeting_id] = request.user
        self._events.append(MeetingFilled(meeting_id=request.meeting_id))
        self._events.append(
            UserJoined(
                event_id=EVENT_ID,
                event_timestamp=self.clock.now(),
                payload={"meeting_id": request.meeting_id, "user": request.user},
            )
        )


class MeetingFilledHandler(cqrs.EventHandler[MeetingFilled]):
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    @event_handler
    async def handle(self, event: MeetingFilled) -> None:
        self.repo.get(event.meeting_id)


class InMemoryBroker(MessageBroker):
    def __init__(self) -> None:
        self.published: deque[bytes] = deque(maxlen=KEPT)

    async def send_message(self, message: Message) -> None:
        self.published.append(message.payload_bytes)

    def bodies(self) -> Sequence[bytes]:
        return list(self.published)


def realistic() -> Work:
    broker = InMemoryBroker()
    resolver = make_di()
    event_map = cqrs.EventMap()
    event_map.bind(MeetingFilled, MeetingFilledHandler)
    chain = MiddlewareChain()
    for behaviour in BEHAVIOURS:
        chain.add(behaviour())
    mediator = make_mediator(
        resolver,
        JoinMeeting,
        JoinMeetingHandler,
        event_emitter=cqrs.EventEmitter(event_map, resolver, broker),
        event_map=event_map,
        middleware_chain=chain,
        concurrent_event_handle_enable=False,
    )
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    class WaitingHandler(cqrs.RequestHandler[Echo, Any]):
        async def handle(self, request: Echo) -> None:
            await future

    mediator = make_mediator(instances(WaitingHandler()), Echo, WaitingHandler)
    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    request_map = cqrs.RequestMap()
    for kind in kinds:
        request_map.bind(kind, EchoHandler)
    table = instances(EchoHandler(repo, clock))
    return Work(cqrs.RequestMediator(request_map, table).send, None, answer=1)

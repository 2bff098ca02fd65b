"""diator, as it is in this repository."""

from asyncio import Future
from dataclasses import dataclass

from benchmarks.peers.behaviours import BEHAVIOURS, PassOn
from benchmarks.peers.parts import EVENT_ID, Clock, Repo, clock, repo
from benchmarks.peers.work import Work, built, event_handler, handler
from diator import (
    Command,
    DomainEvent,
    EventHandler,
    Mediator,
    NotificationEvent,
    Request,
    RequestHandler,
)
from diator.events.message_brokers.memory import InMemoryMessageBroker

CANNOT: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Echo(Request[int]):
    number: int


class EchoHandler(RequestHandler[Echo, int]):
    @built
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    @handler
    async def handle(self, request: Echo) -> int:
        return request.number


def make_mediator() -> Mediator:
    mediator = Mediator(message_broker=InMemoryMessageBroker())
    mediator.container[Repo] = repo
    mediator.container[Clock] = clock
    return mediator


def prebuilt() -> Work:
    return middlewares(0)


def factory() -> Work:
    mediator = make_mediator()
    mediator.container[EchoHandler] = lambda: EchoHandler(repo, clock)
    mediator.bind(Echo, EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def container() -> Work:
    mediator = make_mediator()
    mediator.bind(Echo, EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def middlewares(number: int) -> Work:
    mediator = make_mediator()
    mediator.handles(Echo)(EchoHandler(repo, clock).handle)
    for _ in range(number):
        mediator.use(PassOn())
    return Work(mediator.send, Echo(number=1), answer=1)


class Happened(DomainEvent):
    pass


def fan_out(number: int) -> Work:
    mediator = make_mediator()
    for _ in range(number):

        @mediator.handles(Happened)
        @event_handler
        async def on_happened(event: Happened) -> None:
            pass

    return Work(mediator.event_emitter.emit, Happened())


class OpenAndClose(Command):
    pass


class Opened(DomainEvent):
    pass


class Closed(DomainEvent):
    pass


class OpenAndCloseHandler(RequestHandler[OpenAndClose, None]):
    @handler
    async def handle(self, request: OpenAndClose) -> None:
        self.events.append(Opened())
        self.events.append(Closed())


@event_handler
async def on_opened(event: Opened) -> None:
    pass


@event_handler
async def on_closed(event: Closed) -> None:
    pass


def two_events() -> Work:
    mediator = make_mediator()
    mediator.bind(OpenAndClose, OpenAndCloseHandler)
    mediator.handles(Opened)(on_opened)
    mediator.handles(Closed)(on_closed)
    return Work(mediator.send, OpenAndClose())


@dataclass(frozen=True, kw_only=True)
class JoinMeeting(Command):
    meeting_id: int
    user: str


@dataclass(frozen=True, kw_only=True)
class MeetingFilled(DomainEvent):
    meeting_id: int


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user: str


class JoinMeetingHandler(RequestHandler[JoinMeeting, None]):
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

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


class MeetingFilledHandler(EventHandler[MeetingFilled]):
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    @event_handler
    async def handle(self, event: MeetingFilled) -> None:
        self.repo.get(event.meeting_id)


def realistic() -> Work:
    broker = InMemoryMessageBroker()
    mediator = Mediator(message_broker=broker)
    mediator.container[Repo] = repo
    mediator.container[Clock] = clock
    for behaviour in BEHAVIOURS:
        mediator.use(behaviour())
    mediator.bind(JoinMeeting, JoinMeetingHandler)
    mediator.bind(MeetingFilled, MeetingFilledHandler)
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send, message, bodies=lambda: broker.bodies)


def waiting(future: Future[None]) -> Work:
    mediator = make_mediator()

    @mediator.handles(Echo)
    async def wait(request: Echo) -> None:
        await future

    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    mediator = make_mediator()
    echo = EchoHandler(repo, clock)
    for kind in kinds:
        mediator.handles(kind)(echo.handle)
    return Work(mediator.send, None, answer=1)

"""The shortest code that does the work: what all others are compared with."""

from asyncio import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from benchmarks.peers.work import (
    BEHAVIOURS,
    EVENT_ID,
    Broker,
    Clock,
    PassOn,
    Repo,
    Work,
    built,
    clock,
    event_handler,
    handler,
    repo,
    wrap,
)

CANNOT: dict[str, str] = {}


@dataclass(frozen=True, kw_only=True)
class Echo:
    number: int


class EchoHandler:
    @built
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    @handler
    async def handle(self, request: Echo) -> int:
        return request.number


def prebuilt() -> Work:
    echo = EchoHandler(repo, clock)

    async def send(request: Echo) -> int:
        return await echo.handle(request)

    return Work(send, Echo(number=1), answer=1)


def factory() -> Work:
    async def send(request: Echo) -> int:
        return await EchoHandler(repo, clock).handle(request)

    return Work(send, Echo(number=1), answer=1)


container = factory


def middlewares(number: int) -> Work:
    chain = wrap([PassOn() for _ in range(number)], prebuilt().send)
    return Work(chain, Echo(number=1), answer=1)


@dataclass(frozen=True, kw_only=True)
class Happened:
    pass


def fan_out(number: int) -> Work:
    @event_handler
    async def handle(event: Happened) -> None:
        pass

    handlers = [handle] * number

    async def publish(event: Happened) -> None:
        for each in handlers:
            await each(event)

    return Work(publish, Happened())


@dataclass(frozen=True, kw_only=True)
class OpenAndClose:
    pass


class Opened:
    pass


class Closed:
    pass


class OpenAndCloseHandler:
    def __init__(self) -> None:
        self.events: list[Any] = []

    @handler
    async def handle(self, _request: OpenAndClose) -> None:
        self.events.append(Opened())
        self.events.append(Closed())


@event_handler
async def on_opened(event: Opened) -> None:
    pass


@event_handler
async def on_closed(event: Closed) -> None:
    pass


def two_events() -> Work:
    event_handlers: dict[type, list[Any]] = {Opened: [on_opened], Closed: [on_closed]}

    async def send(request: OpenAndClose) -> None:
        handler = OpenAndCloseHandler()
        await handler.handle(request)
        for event in handler.events:
            for handle in event_handlers[type(event)]:
                await handle(event)

    return Work(send, OpenAndClose())


@dataclass(frozen=True, kw_only=True)
class JoinMeeting:
    meeting_id: int
    user: str


@dataclass(frozen=True, kw_only=True)
class MeetingFilled:
    meeting_id: int


@dataclass(frozen=True, kw_only=True)
class UserJoined:
    event_id: UUID
    event_timestamp: datetime
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


class MeetingFilledHandler:
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    @event_handler
    async def handle(self, event: MeetingFilled) -> None:
        self.repo.get(event.meeting_id)


def realistic() -> Work:
    broker = Broker()
    event_handlers: dict[type, list[Any]] = {
        MeetingFilled: [MeetingFilledHandler],
        UserJoined: [],
    }

    async def innermost(request: JoinMeeting) -> list[Any]:
        join = JoinMeetingHandler(repo, clock)
        await join.handle(request)
        return join.events

    chain = wrap([behaviour() for behaviour in BEHAVIOURS], innermost)

    async def send(request: JoinMeeting) -> None:
        for event in await chain(request):
            for handler_type in event_handlers[type(event)]:
                await handler_type(repo).handle(event)
            if isinstance(event, UserJoined):
                broker.publish(event)

    return Work(send, JoinMeeting(meeting_id=1, user="Ada"), bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    class WaitingHandler:
        async def handle(self, _request: Echo) -> None:
            await future

    waiting_handler = WaitingHandler()

    async def send(request: Echo) -> None:
        await waiting_handler.handle(request)

    return Work(send, Echo(number=1))


def registered(kinds: list[type]) -> Work:
    handlers = dict.fromkeys(kinds, EchoHandler(repo, clock))

    async def send(request: Echo) -> int:
        return await handlers[type(request)].handle(request)

    return Work(send, None, answer=1)

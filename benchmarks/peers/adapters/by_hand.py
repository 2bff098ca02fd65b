"""The shortest code that does the work: what all others are compared with."""

from asyncio import Future
from typing import Any

from benchmarks.peers.behaviours import BEHAVIOURS, PassOn, wrap
from benchmarks.peers.parts import (
    EVENT_ID,
    Broker,
    Clock,
    Closed,
    Echo,
    EchoHandler,
    Happened,
    JoinMeeting,
    MeetingFilled,
    MeetingFilledHandler,
    OpenAndClose,
    Opened,
    Repo,
    UserJoined,
    WaitingHandler,
    clock,
    on_closed,
    on_happened,
    on_opened,
    repo,
)
from benchmarks.peers.work import Work, handler

CANNOT: dict[str, str] = {}


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


def fan_out(number: int) -> Work:
    handlers = [on_happened] * number

    async def publish(event: Happened) -> None:
        for handle in handlers:
            await handle(event)

    return Work(publish, Happened())


class OpenAndCloseHandler:
    def __init__(self) -> None:
        self.events: list[Any] = []

    @handler
    async def handle(self, request: OpenAndClose) -> None:
        self.events.append(Opened())
        self.events.append(Closed())


def two_events() -> Work:
    event_handlers: dict[type, list[Any]] = {Opened: [on_opened], Closed: [on_closed]}

    async def send(request: OpenAndClose) -> None:
        handler = OpenAndCloseHandler()
        await handler.handle(request)
        for event in handler.events:
            for handle in event_handlers[type(event)]:
                await handle(event)

    return Work(send, OpenAndClose())


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


def realistic() -> Work:
    broker = Broker()
    event_handlers: dict[type, list[Any]] = {MeetingFilled: [MeetingFilledHandler]}

    async def innermost(request: JoinMeeting) -> list[Any]:
        join = JoinMeetingHandler(repo, clock)
        await join.handle(request)
        return join.events

    chain = wrap([behaviour() for behaviour in BEHAVIOURS], innermost)

    async def send(request: JoinMeeting) -> None:
        for event in await chain(request):
            for handler_type in event_handlers.get(type(event), ()):
                await handler_type(repo).handle(event)
            if isinstance(event, UserJoined):
                broker.publish(event)

    return Work(send, JoinMeeting(meeting_id=1, user="Ada"), bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    handler = WaitingHandler(future)

    async def send(request: Echo) -> None:
        await handler.handle(request)

    return Work(send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    handlers = dict.fromkeys(kinds, EchoHandler(repo, clock))

    async def send(request: Echo) -> int:
        return await handlers[type(request)].handle(request)

    return Work(send, None, answer=1)

"""A command as applications have it, with all that belongs to it."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pytest

from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from benchmarks.parts import Clock, Repo, clock, make_mediator, repo, wrap_by_hand
from diator import (
    Command,
    DomainEvent,
    EventHandler,
    Handle,
    Middleware,
    NotificationEvent,
    RequestHandler,
)
from diator.events.message_brokers.memory import InMemoryMessageBroker

pytestmark = pytest.mark.benchmark(timer=time.thread_time)

KEPT = 1_000
EVENT_ID = UUID("0b8f9d5e-6a1c-4c1e-9b57-5a3f0d3c2e11")


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

    async def handle(self, request: JoinMeeting) -> None:
        self.repo[request.meeting_id] = request.user
        self.events.append(MeetingFilled(meeting_id=request.meeting_id))
        self.events.append(
            UserJoined(
                # A new id would cost as much as all the rest, on both sides.
                event_id=EVENT_ID,
                event_timestamp=self.clock.now(),
                meeting_id=request.meeting_id,
                user=request.user,
            )
        )


class MeetingFilledHandler(EventHandler[MeetingFilled]):
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    async def handle(self, event: MeetingFilled) -> None:
        self.repo.get(event.meeting_id)


class Authorization:
    async def __call__(self, request: Any, handle: Handle) -> Any:
        if request.user != "Ada":
            raise PermissionError
        return await handle(request)


class Metrics:
    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()

    async def __call__(self, request: Any, handle: Handle) -> Any:
        self.requests[type(request).__name__] += 1
        return await handle(request)


class Stopwatch:
    def __init__(self) -> None:
        self.longest = 0

    async def __call__(self, request: Any, handle: Handle) -> Any:
        started = time.perf_counter_ns()
        try:
            return await handle(request)
        finally:
            self.longest = max(self.longest, time.perf_counter_ns() - started)


class Transaction:
    def __init__(self) -> None:
        self.committed = self.rolled_back = 0

    async def __call__(self, request: Any, handle: Handle) -> Any:
        try:
            response = await handle(request)
        except BaseException:
            self.rolled_back += 1
            raise
        self.committed += 1
        return response


class Envelope(msgspec.Struct, frozen=True, gc=False):
    message_type: str
    message_name: str
    message_id: UUID
    payload: NotificationEvent


class JoinMeetingHandlerByHand:
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock
        self.events: list[Any] = []

    handle: Any = JoinMeetingHandler.handle


def test_realistic_command(compare: Compare) -> None:
    middlewares: list[Middleware] = [
        Authorization(),
        Metrics(),
        Stopwatch(),
        Transaction(),
    ]
    broker = InMemoryMessageBroker(keep=KEPT)
    mediator = make_mediator(message_broker=broker)
    for middleware in middlewares:
        mediator.use(middleware)
    mediator.bind(JoinMeeting, JoinMeetingHandler)
    mediator.bind(MeetingFilled, MeetingFilledHandler)

    event_handlers: dict[type, list[Any]] = {
        MeetingFilled: [MeetingFilledHandler],
        UserJoined: [],
    }
    encode = msgspec.json.Encoder().encode
    published: deque[tuple[Envelope, bytes]] = deque(maxlen=KEPT)

    async def innermost(request: JoinMeeting) -> Any:
        handler = JoinMeetingHandlerByHand(repo, clock)
        await handler.handle(request)
        return handler.events

    chain = wrap_by_hand(middlewares, innermost)

    async def send_by_hand(request: JoinMeeting) -> None:
        for event in await chain(request):
            for event_handler in event_handlers[type(event)]:
                await event_handler(repo).handle(event)
            if isinstance(event, NotificationEvent):
                name = type(event).__name__
                envelope = Envelope("notification_event", name, event.event_id, event)
                published.append((envelope, encode(envelope)))

    compare(
        Case(
            name="realistic command",
            request=JoinMeeting(meeting_id=1, user="Ada"),
            counted=[
                JoinMeetingHandler.handle,
                MeetingFilledHandler.handle,
                *(type(middleware).__call__ for middleware in middlewares),
            ],
            sends=300,
            target=1.2,
            reached=1.55,
        ),
        by_hand=send_by_hand,
        diator=mediator.send,
    )

    assert [body for _, body in published] == broker.bodies

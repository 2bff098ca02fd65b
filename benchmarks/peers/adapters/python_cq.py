"""
python-cq: buses for commands, queries, events, with the container `python-injection`.

A handler is built for each dispatch, by the container or by a factory. A command
collects events, which are handled in tasks before its scope ends.
"""

from asyncio import Future
from collections.abc import Callable
from typing import Any

from cq import RelatedEvents, Router
from cq.ext.injection import InjectionAdapter
from injection import Module

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS, PassOn
from benchmarks.peers.parts import (
    EVENT_ID,
    Broker,
    Clock,
    Echo,
    JoinMeeting,
    MeetingFilled,
    OpenAndClose,
    Repo,
    UserJoined,
    clock,
    repo,
)
from benchmarks.peers.work import Work, handler

CANNOT: dict[str, str] = {}
IN_TASKS = "events are handled in tasks"
NOTES = {"fan_out": IN_TASKS, "two_events": IN_TASKS}
LACKS = {
    "realistic": f"{IN_TASKS}; knows no broker: an event handler encodes by hand",
}


def make(build: Callable[[], Any]) -> Any:
    async def factory() -> Any:
        return build()

    return factory


def prebuilt() -> Work:
    return middlewares(0)


def factory() -> Work:
    bus = Router().new_command_bus()
    bus.subscribe(Echo, make(lambda: parts.EchoHandler(repo, clock)))
    return Work(bus.dispatch, Echo(number=1), answer=1)


def make_router(*instances: Any) -> Router:
    module = Module("peer")
    for instance in (repo, clock, *instances):
        module.set_constant(instance)
    return Router(InjectionAdapter(module)).register_defaults()


def container() -> Work:
    router = make_router()
    router.command_handler(parts.EchoHandler)
    return Work(router.new_command_bus().dispatch, Echo(number=1), answer=1)


def turned(behaviour: Any) -> Any:
    return lambda call_next, message: behaviour(message, call_next)


def middlewares(number: int) -> Work:
    echo = parts.EchoHandler(repo, clock)
    bus = Router().new_command_bus()
    bus.subscribe(Echo, make(lambda: echo))
    bus.add_middlewares(*(turned(PassOn()) for _ in range(number)))
    return Work(bus.dispatch, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    happened = parts.HappenedHandler()
    bus = Router().new_event_bus()
    for _ in range(number):
        bus.subscribe(parts.Happened, make(lambda: happened))
    return Work(bus.dispatch, parts.Happened())


class OpenAndCloseHandler:
    def __init__(self, events: RelatedEvents) -> None:
        self.events = events

    @handler
    async def handle(self, command: OpenAndClose) -> None:
        self.events.add(parts.Opened())
        self.events.add(parts.Closed())


def two_events() -> Work:
    router = make_router()
    router.command_handler(OpenAndCloseHandler)
    router.event_handler(parts.OpenedHandler)
    router.event_handler(parts.ClosedHandler)
    return Work(router.new_command_bus().dispatch, OpenAndClose())


class JoinMeetingHandler:
    def __init__(self, repo: Repo, clock: Clock, events: RelatedEvents) -> None:
        self.repo = repo
        self.clock = clock
        self.events = events

    @handler
    async def handle(self, command: JoinMeeting) -> None:
        self.repo[command.meeting_id] = command.user
        self.events.add(MeetingFilled(meeting_id=command.meeting_id))
        self.events.add(
            UserJoined(
                event_id=EVENT_ID,
                event_timestamp=self.clock.now(),
                meeting_id=command.meeting_id,
                user=command.user,
            )
        )


def realistic() -> Work:
    broker = Broker()
    router = make_router(broker)
    router.command_handler(JoinMeetingHandler)
    router.event_handler(parts.MeetingFilledHandler)
    router.event_handler(parts.UserJoinedHandler)
    bus = router.new_command_bus()
    bus.add_middlewares(*(turned(behaviour()) for behaviour in BEHAVIOURS))
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(bus.dispatch, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    wait = parts.WaitingHandler(future)
    bus = Router().new_command_bus()
    bus.subscribe(Echo, make(lambda: wait))
    return Work(bus.dispatch, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    bus = Router().new_command_bus()
    echo = parts.EchoHandler(repo, clock)
    factory = make(lambda: echo)
    for kind in kinds:
        bus.subscribe(kind, factory)
    return Work(bus.dispatch, None, answer=1)

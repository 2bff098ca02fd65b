"""
python-mediator: a bus for requests and one for events.

Handlers are callables, told apart by their annotations. Events are handled in tasks,
and `publish` waits for them in the mode that is meant for tests alone.
"""

from asyncio import Future
from collections.abc import Awaitable, Callable
from typing import Any

from mediator.common.modifiers import ActionCallType, ActionResult, ActionSubject
from mediator.event import LocalEventBus
from mediator.request import LocalRequestBus

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS
from benchmarks.peers.parts import Broker, Echo, clock, repo
from benchmarks.peers.work import (
    BUILT_ONCE,
    HANDLER_PUBLISHES,
    INSTANCES_ONLY,
    PUBLISHES_BY_HAND,
    Work,
    event_handler,
    middleware,
)

CANNOT = {"factory": INSTANCES_ONLY, "container": INSTANCES_ONLY}
LACKS = {
    "fan_out": "handlers run in tasks, waited for in the mode that is meant for tests",
    "two_events": HANDLER_PUBLISHES,
    "realistic": f"{PUBLISHES_BY_HAND}; {BUILT_ONCE}",
}


def prebuilt() -> Work:
    bus = LocalRequestBus()
    bus.register(parts.EchoHandler(repo, clock).handle)
    return Work(bus.execute, Echo(number=1), answer=1)


class PassOn:
    def create(self, call: ActionCallType, **_context: Any) -> ActionCallType:
        @middleware
        async def pass_on(action: ActionSubject) -> ActionResult:
            return await call(action)

        return pass_on


def middlewares(number: int) -> Work:
    bus = LocalRequestBus(modifiers=[PassOn() for _ in range(number)])
    bus.register(parts.EchoHandler(repo, clock).handle)
    return Work(bus.execute, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    bus = LocalEventBus(sync_mode=True)
    for _ in range(number):

        @bus.register
        @event_handler
        async def on_happened(event: parts.Happened) -> None:
            pass

    return Work(bus.publish, parts.Happened())


def two_events() -> Work:
    requests = LocalRequestBus()
    events = LocalEventBus(sync_mode=True)
    requests.register(parts.OpenAndClosePublishing(events.publish).handle)
    events.register(parts.on_opened)
    events.register(parts.on_closed)
    return Work(requests.execute, parts.OpenAndClose())


class Behaviour:
    def __init__(self, behaviour: Callable[..., Awaitable[Any]]) -> None:
        self.behaviour = behaviour

    def create(self, call: ActionCallType, **_context: Any) -> ActionCallType:
        async def behave(action: ActionSubject) -> ActionResult:
            return await self.behaviour(action.subject, lambda _request: call(action))

        return behave


def realistic() -> Work:
    broker = Broker()
    requests = LocalRequestBus(modifiers=[Behaviour(each()) for each in BEHAVIOURS])
    events = LocalEventBus(sync_mode=True)
    requests.register(parts.JoinMeetingPublishing(repo, clock, events.publish).handle)
    events.register(parts.MeetingFilledHandler(repo).handle)
    events.register(parts.UserJoinedHandler(broker).handle)
    message = parts.JoinMeeting(meeting_id=1, user="Ada")
    return Work(requests.execute, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    bus = LocalRequestBus()
    bus.register(parts.WaitingHandler(future).handle)
    return Work(bus.execute, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    bus = LocalRequestBus()
    for kind in kinds:

        async def handle(request: Echo) -> int:
            return request.number

        handle.__annotations__["request"] = kind
        bus.register(handle)
    return Work(bus.execute, None, answer=1)

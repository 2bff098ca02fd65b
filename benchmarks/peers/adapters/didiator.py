"""
didiator: commands, queries and events, with the container `di`.

A handler is a class, which is built for each send, or a callable. The handler that
publishes events gets the mediator from the container, too.
"""

from asyncio import Future
from typing import Any

from di import Container, bind_by_type
from di.dependent import Dependent
from di.executors import AsyncExecutor
from didiator import (
    Command,
    CommandDispatcherImpl,
    Event,
    EventObserverImpl,
    MediatorImpl,
)
from didiator.middlewares.di import DiMiddleware, DiScopes
from didiator.utils.di_builder import DiBuilderImpl

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS
from benchmarks.peers.parts import Broker, Clock, Repo, clock, repo
from benchmarks.peers.work import (
    HANDLER_PUBLISHES,
    PUBLISHES_BY_HAND,
    Work,
    middleware,
)

CANNOT = {
    "factory": "takes a class, for its container, or a callable that handles",
}
LACKS = {"two_events": HANDLER_PUBLISHES, "realistic": PUBLISHES_BY_HAND}


class Echo(parts.Echo, Command[int]):
    pass


class Happened(parts.Happened, Event):
    pass


class OpenAndClose(parts.OpenAndClose, Command[None]):
    pass


class Opened(parts.Opened, Event):
    pass


class Closed(parts.Closed, Event):
    pass


class OpenAndCloseHandler(parts.OpenAndClosePublishing):
    opened, closed = Opened, Closed


class JoinMeeting(parts.JoinMeeting, Command[None]):
    pass


class MeetingFilled(parts.MeetingFilled, Event):
    pass


class UserJoined(parts.UserJoined, Event):
    pass


class JoinMeetingHandler(parts.JoinMeetingPublishing):
    meeting_filled, user_joined = MeetingFilled, UserJoined

    def __init__(self, repo: Repo, clock: Clock, mediator: MediatorImpl) -> None:
        super().__init__(repo, clock, mediator.publish)


def make_di(*instances: Any) -> DiMiddleware:
    container = Container()
    for instance in (repo, clock, *instances):
        dependent = Dependent(
            lambda instance=instance: instance, scope="mediator_request"
        )
        container.bind(bind_by_type(dependent, type(instance)))
    builder = DiBuilderImpl(container, AsyncExecutor(), ["mediator_request"])
    return DiMiddleware(builder, scopes=DiScopes())


def prebuilt() -> Work:
    mediator = MediatorImpl()
    mediator.register_command_handler(Echo, parts.EchoHandler(repo, clock))
    return Work(mediator.send, Echo(number=1), answer=1)


def container() -> Work:
    mediator = MediatorImpl(CommandDispatcherImpl(middlewares=[make_di()]))
    mediator.register_command_handler(Echo, parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


class PassOn:
    @middleware
    async def __call__(self, handler: Any, request: Any) -> Any:
        return await handler(request)


def middlewares(number: int) -> Work:
    dispatcher = CommandDispatcherImpl([PassOn() for _ in range(number)])
    mediator = MediatorImpl(dispatcher)
    mediator.register_command_handler(Echo, parts.EchoHandler(repo, clock))
    return Work(mediator.send, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    mediator = MediatorImpl()
    for _ in range(number):
        mediator.register_event_handler(Happened, parts.on_happened)
    return Work(mediator.publish, Happened())


def two_events() -> Work:
    mediator = MediatorImpl()
    handler = OpenAndCloseHandler(mediator.publish)
    mediator.register_command_handler(OpenAndClose, handler)
    mediator.register_event_handler(Opened, parts.on_opened)
    mediator.register_event_handler(Closed, parts.on_closed)
    return Work(mediator.send, OpenAndClose())


def behaviours() -> list[Any]:
    """Turn the arguments of the behaviours round."""

    def turned(behaviour: Any) -> Any:
        return lambda handler, request: behaviour(request, handler)

    return [turned(behaviour()) for behaviour in BEHAVIOURS]


def realistic() -> Work:
    broker = Broker()
    mediator = MediatorImpl()
    events = EventObserverImpl(middlewares=[make_di(broker)])
    commands = CommandDispatcherImpl(middlewares=[*behaviours(), make_di(mediator)])
    mediator.__init__(commands, event_observer=events)
    mediator.register_command_handler(JoinMeeting, JoinMeetingHandler)
    mediator.register_event_handler(MeetingFilled, parts.MeetingFilledHandler)
    mediator.register_event_handler(UserJoined, parts.UserJoinedHandler)
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    mediator = MediatorImpl()
    mediator.register_command_handler(Echo, parts.WaitingHandler(future))
    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    mediator = MediatorImpl()
    for kind in kinds:
        mediator.register_command_handler(kind, parts.EchoHandler(repo, clock))
    return Work(mediator.send, None, answer=1)

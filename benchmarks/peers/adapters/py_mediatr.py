"""
py-mediatR: MediatR with behaviours, notifications and a container of its own.

A handler is an instance, or is built by its container.
"""

from asyncio import Future
from typing import Any

from py_mediatR import (
    INotification,
    IPipelineBehavior,
    IRequest,
    Mediator,
    ServiceContainer,
)

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS_THEN_NEXT, proceed
from benchmarks.peers.parts import Broker, Clock, Repo, clock, repo
from benchmarks.peers.work import HANDLER_PUBLISHES, PUBLISHES_BY_HAND, Work

CANNOT: dict[str, str] = {}
LACKS = {"two_events": HANDLER_PUBLISHES, "realistic": PUBLISHES_BY_HAND}


class Echo(parts.Echo, IRequest):
    pass


class Happened(parts.Happened, INotification):
    pass


class OpenAndClose(parts.OpenAndClose, IRequest):
    pass


class Opened(parts.Opened, INotification):
    pass


class Closed(parts.Closed, INotification):
    pass


class OpenAndCloseHandler(parts.OpenAndClosePublishing):
    opened, closed = Opened, Closed


class JoinMeeting(parts.JoinMeeting, IRequest):
    pass


class MeetingFilled(parts.MeetingFilled, INotification):
    pass


class UserJoined(parts.UserJoined, INotification):
    pass


class JoinMeetingHandler(parts.JoinMeetingPublishing):
    meeting_filled, user_joined = MeetingFilled, UserJoined

    def __init__(self, repo: Repo, clock: Clock, mediator: Mediator) -> None:
        super().__init__(repo, clock, mediator.publish_async)


def prebuilt() -> Work:
    mediator = Mediator(auto_discover=False)
    mediator.register_handler(Echo, parts.EchoHandler(repo, clock))
    return Work(mediator.send_async, Echo(number=1), answer=1)


def factory() -> Work:
    factories = {parts.EchoHandler: lambda: parts.EchoHandler(repo, clock)}
    mediator = Mediator(
        auto_discover=False,
        handler_factory=lambda handler_type: factories[handler_type](),
        handler_lifetime="transient",
    )
    mediator.register_handler(Echo, parts.EchoHandler)
    return Work(mediator.send_async, Echo(number=1), answer=1)


def make_container() -> ServiceContainer:
    container = ServiceContainer()
    container.register_instance(Repo, repo)
    container.register_instance(Clock, clock)
    return container


def container() -> Work:
    mediator = Mediator(
        auto_discover=False,
        handler_factory=make_container(),
        handler_lifetime="transient",
    )
    mediator.register_handler(Echo, parts.EchoHandler)
    return Work(mediator.send_async, Echo(number=1), answer=1)


def behaviours(kinds: Any) -> list[Any]:
    return [type("Behaviour", (kind, IPipelineBehavior), {})() for kind in kinds]


def middlewares(number: int) -> Work:
    mediator = Mediator(auto_discover=False, behaviors=behaviours(proceed(number)))
    mediator.register_handler(Echo, parts.EchoHandler(repo, clock))
    return Work(mediator.send_async, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    mediator = Mediator(auto_discover=False)
    for _ in range(number):
        mediator.register_notification_handler(Happened, parts.HappenedHandler())
    return Work(mediator.publish_async, Happened())


def two_events() -> Work:
    mediator = Mediator(auto_discover=False)
    handler = OpenAndCloseHandler(mediator.publish_async)
    mediator.register_handler(OpenAndClose, handler)
    mediator.register_notification_handler(Opened, parts.OpenedHandler())
    mediator.register_notification_handler(Closed, parts.ClosedHandler())
    return Work(mediator.send_async, OpenAndClose())


def realistic() -> Work:
    broker = Broker()
    container = make_container()
    mediator = Mediator(
        auto_discover=False,
        behaviors=behaviours(BEHAVIOURS_THEN_NEXT),
        handler_factory=container,
        handler_lifetime="transient",
    )
    container.register_instance(Broker, broker)
    container.register_instance(Mediator, mediator)
    mediator.register_handler(JoinMeeting, JoinMeetingHandler)
    mediator.register_notification_handler(MeetingFilled, parts.MeetingFilledHandler)
    mediator.register_notification_handler(UserJoined, parts.UserJoinedHandler)
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send_async, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    mediator = Mediator(auto_discover=False)
    mediator.register_handler(Echo, parts.WaitingHandler(future))
    return Work(mediator.send_async, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    mediator = Mediator(auto_discover=False)
    echo = parts.EchoHandler(repo, clock)
    for kind in kinds:
        mediator.register_handler(kind, echo)
    return Work(mediator.send_async, None, answer=1)

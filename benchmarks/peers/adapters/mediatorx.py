"""
mediatorx: a mediator with behaviours and notifications.

It has no container, only a table of instances and factories. Events that a handler
raises are its own affair, and it knows no message broker.
"""

from asyncio import Future

from mediatorx import DictResolver, ICommand, INotification, Mediator

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS_THEN_NEXT, proceed
from benchmarks.peers.parts import clock, repo
from benchmarks.peers.work import (
    HANDLER_PUBLISHES,
    NO_CONTAINER,
    PUBLISHES_BY_HAND,
    Work,
)

CANNOT = {"container": NO_CONTAINER}
LACKS = {"two_events": HANDLER_PUBLISHES, "realistic": PUBLISHES_BY_HAND}


class Echo(parts.Echo, ICommand[int]):
    pass


class Happened(parts.Happened, INotification):
    pass


class OpenAndClose(parts.OpenAndClose, ICommand[None]):
    pass


class JoinMeeting(parts.JoinMeeting, ICommand[None]):
    pass


def prebuilt() -> Work:
    resolver = DictResolver()
    resolver.add_instance(parts.EchoHandler, parts.EchoHandler(repo, clock))
    mediator = Mediator(resolver).register(Echo, parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def factory() -> Work:
    resolver = DictResolver()
    resolver.add_factory(parts.EchoHandler, lambda: parts.EchoHandler(repo, clock))
    mediator = Mediator(resolver).register(Echo, parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def middlewares(number: int) -> Work:
    resolver = DictResolver()
    resolver.add_instance(parts.EchoHandler, parts.EchoHandler(repo, clock))
    mediator = Mediator(resolver).register(Echo, parts.EchoHandler)
    for behaviour in proceed(number):
        resolver.add_instance(behaviour, behaviour())
        mediator.add_behavior(behaviour)
    return Work(mediator.send, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    resolver = DictResolver()
    resolver.add_instance(parts.HappenedHandler, parts.HappenedHandler())
    mediator = Mediator(resolver)
    for _ in range(number):
        mediator.register_notification(Happened, parts.HappenedHandler)
    return Work(mediator.publish, Happened())


def two_events() -> Work:
    resolver = DictResolver()
    mediator = Mediator(resolver)
    resolver.add_instance(
        parts.OpenAndClosePublishing, parts.OpenAndClosePublishing(mediator.publish)
    )
    resolver.add_instance(parts.OpenedHandler, parts.OpenedHandler())
    resolver.add_instance(parts.ClosedHandler, parts.ClosedHandler())
    mediator.register(OpenAndClose, parts.OpenAndClosePublishing)
    mediator.register_notification(parts.Opened, parts.OpenedHandler)
    mediator.register_notification(parts.Closed, parts.ClosedHandler)
    return Work(mediator.send, OpenAndClose())


def realistic() -> Work:
    broker = parts.Broker()
    resolver = DictResolver()
    mediator = Mediator(resolver)
    resolver.add_factory(
        parts.JoinMeetingPublishing,
        lambda: parts.JoinMeetingPublishing(repo, clock, mediator.publish),
    )
    resolver.add_factory(
        parts.MeetingFilledHandler, lambda: parts.MeetingFilledHandler(repo)
    )
    resolver.add_instance(parts.UserJoinedHandler, parts.UserJoinedHandler(broker))
    for behaviour in BEHAVIOURS_THEN_NEXT:
        resolver.add_instance(behaviour, behaviour())
        mediator.add_behavior(behaviour)
    mediator.register(JoinMeeting, parts.JoinMeetingPublishing)
    mediator.register_notification(parts.MeetingFilled, parts.MeetingFilledHandler)
    mediator.register_notification(parts.UserJoined, parts.UserJoinedHandler)
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    resolver = DictResolver()
    resolver.add_instance(parts.WaitingHandler, parts.WaitingHandler(future))
    mediator = Mediator(resolver).register(Echo, parts.WaitingHandler)
    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    resolver = DictResolver()
    resolver.add_instance(parts.EchoHandler, parts.EchoHandler(repo, clock))
    mediator = Mediator(resolver)
    for kind in kinds:
        mediator.register(kind, parts.EchoHandler)
    return Work(mediator.send, None, answer=1)

"""
mediary: a mediator with behaviours, notifications and the container `dishka`.

Handlers of a notification are called in the order of their names. A scope of the
container is made for each unit of work; here one lasts for the whole case.
"""

from asyncio import Future
from collections.abc import Callable
from typing import Any

from dishka import Provider, Scope, make_container
from mediary import Mediator, notification, request
from mediary.ext.dishka import DishkaResolver

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS_THEN_NEXT
from benchmarks.peers.parts import Broker, Clock, Repo, clock, repo
from benchmarks.peers.work import (
    HANDLER_PUBLISHES,
    PUBLISHES_BY_HAND,
    Work,
    event_handler,
    middleware,
)

CANNOT: dict[str, str] = {}
LACKS = {"two_events": HANDLER_PUBLISHES, "realistic": PUBLISHES_BY_HAND}

Echo = request(parts.Echo)
Happened = notification(parts.Happened)
OpenAndClose = request(parts.OpenAndClose)
Opened = notification(parts.Opened)
Closed = notification(parts.Closed)
JoinMeeting = request(parts.JoinMeeting)
MeetingFilled = notification(parts.MeetingFilled)
UserJoined = notification(parts.UserJoined)


class Table:
    """A resolver that is written by hand."""

    def __init__(self, factories: dict[type, Callable[[], Any]]) -> None:
        self.factories = factories

    def resolve(self, cls: type) -> Any:
        return self.factories[cls]()


def instances(*made: Any) -> Table:
    return Table({type(each): give(each) for each in made})


def give(instance: Any) -> Callable[[], Any]:
    return lambda: instance


def make_dishka(handler_types: list[type], *made: Any) -> DishkaResolver:
    provider = Provider(scope=Scope.REQUEST)
    for kind, factory in instances(repo, clock, *made).factories.items():
        provider.provide(factory, provides=kind)
    for handler_type in handler_types:
        provider.provide(handler_type, cache=False)
    return DishkaResolver(make_container(provider)().__enter__())


def prebuilt() -> Work:
    mediator = Mediator(resolver=instances(parts.EchoHandler(repo, clock)))
    mediator.register(Echo, parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def factory() -> Work:
    table = Table({parts.EchoHandler: lambda: parts.EchoHandler(repo, clock)})
    mediator = Mediator(resolver=table)
    mediator.register(Echo, parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def container() -> Work:
    mediator = Mediator(resolver=make_dishka([parts.EchoHandler]))
    mediator.register(Echo, parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


class PassOn:
    @middleware
    async def handle(self, message: object, next: Callable[[], Any]) -> Any:  # noqa: A002
        return await next()


def middlewares(number: int) -> Work:
    mediator = Mediator(resolver=instances(parts.EchoHandler(repo, clock)))
    mediator.register(Echo, parts.EchoHandler)
    for _ in range(number):
        mediator.use(PassOn())
    return Work(mediator.send, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    mediator = Mediator()
    for _ in range(number):

        @event_handler
        async def on_happened(event: Happened) -> None:
            pass

        mediator.register(Happened, on_happened)
    return Work(mediator.publish, Happened())


def two_events() -> Work:
    table = Table({})
    mediator = Mediator(resolver=table)
    handler = parts.OpenAndClosePublishing(mediator.publish)
    table.factories[parts.OpenAndClosePublishing] = lambda: handler
    mediator.register(OpenAndClose, parts.OpenAndClosePublishing)
    mediator.register(Opened, parts.on_opened)
    mediator.register(Closed, parts.on_closed)
    return Work(mediator.send, OpenAndClose())


class Publisher:
    """Stands for the mediator, which needs the container that it is in."""

    mediator: Mediator


class JoinMeetingHandler(parts.JoinMeetingPublishing):
    def __init__(self, repo: Repo, clock: Clock, publisher: Publisher) -> None:
        super().__init__(repo, clock, publisher.mediator.publish)


def realistic() -> Work:
    broker, publisher = Broker(), Publisher()
    mediator = Mediator()
    mediator.register(JoinMeeting, JoinMeetingHandler)
    mediator.register(MeetingFilled, parts.MeetingFilledHandler)
    mediator.register(UserJoined, parts.UserJoinedHandler)
    for behaviour in BEHAVIOURS_THEN_NEXT:
        mediator.use(behaviour(), kinds={"request"})
    resolver = make_dishka(
        [JoinMeetingHandler, parts.MeetingFilledHandler, parts.UserJoinedHandler],
        broker,
        publisher,
    )
    publisher.mediator = mediator = mediator.with_resolver(resolver)
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    mediator = Mediator(resolver=instances(parts.WaitingHandler(future)))
    mediator.register(Echo, parts.WaitingHandler)
    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type]) -> Work:
    mediator = Mediator(resolver=instances(parts.EchoHandler(repo, clock)))
    for kind in kinds:
        mediator.register(request(kind), parts.EchoHandler)
    return Work(mediator.send, None, answer=1)

"""
pymediate: a typed mediator with behaviours and notifications.

Handlers are bound to messages for the whole process, when their classes are made, and
instances come from a table or from the container `dependency-injector`. Handlers of a
notification run concurrently, in tasks.
"""

from asyncio import Future
from typing import Any

from dependency_injector import containers, providers
from pymediate import (
    Mediator,
    Notification,
    NotificationHandler,
    PipelineBehavior,
    Request,
    RequestHandler,
    Services,
)
from pymediate.providers import DependencyInjectorServiceProvider

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS_THEN_NEXT, proceed
from benchmarks.peers.parts import EVENT_ID, Broker, Clock, Repo, clock, repo
from benchmarks.peers.work import (
    HANDLER_PUBLISHES,
    PUBLISHES_BY_HAND,
    Work,
    built,
    event_handler,
    handler,
)

CANNOT = {
    "factory": "its container is the way to build a handler for each send",
}
LACKS = {
    "container": "is told the dependencies by name, and reads no annotations",
    "two_events": HANDLER_PUBLISHES,
    "realistic": PUBLISHES_BY_HAND,
}


class Echo(parts.Echo, Request[int]):
    pass


class EchoHandler(RequestHandler[Echo]):
    @built
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    @handler
    async def __call__(self, request: Echo) -> int:
        return request.number


def prebuilt() -> Work:
    mediator = Mediator(Services(EchoHandler(repo, clock)))
    return Work(mediator.send, Echo(number=1), answer=1)


def container() -> Work:
    class Container(containers.DeclarativeContainer):
        repo = providers.Object(repo_)
        clock = providers.Object(clock_)
        echo = providers.Factory(EchoHandler, repo=repo, clock=clock)

    mediator = Mediator(DependencyInjectorServiceProvider(Container()))
    return Work(mediator.send, Echo(number=1), answer=1)


# A class body cannot read a name that it assigns.
repo_, clock_ = repo, clock


def make_behaviour(kind: type) -> type[Any]:
    class Behaviour(kind, PipelineBehavior[Request[Any]]):
        pass

    return Behaviour


def middlewares(number: int) -> Work:
    behaviours = [make_behaviour(kind) for kind in proceed(number)]
    services = Services(EchoHandler(repo, clock), *(kind() for kind in behaviours))
    mediator = Mediator(services, behaviors=behaviours)
    return Work(mediator.send, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    class Happened(Notification):
        pass

    handlers = []
    for _ in range(number):

        class HappenedHandler(NotificationHandler[Happened]):
            @event_handler
            async def __call__(self, notification: Happened) -> None:
                pass

        handlers.append(HappenedHandler())
    return Work(Mediator(Services(*handlers)).publish, Happened())


class Opened(Notification):
    pass


class Closed(Notification):
    pass


class OpenAndClose(Request[None]):
    pass


class OpenAndCloseHandler(RequestHandler[OpenAndClose]):
    mediator: Mediator

    @handler
    async def __call__(self, request: OpenAndClose) -> None:
        await self.mediator.publish(Opened())
        await self.mediator.publish(Closed())


class OpenedHandler(NotificationHandler[Opened]):
    @event_handler
    async def __call__(self, notification: Opened) -> None:
        pass


class ClosedHandler(NotificationHandler[Closed]):
    @event_handler
    async def __call__(self, notification: Closed) -> None:
        pass


def two_events() -> Work:
    open_and_close = OpenAndCloseHandler()
    mediator = Mediator(Services(open_and_close, OpenedHandler(), ClosedHandler()))
    open_and_close.mediator = mediator
    return Work(mediator.send, OpenAndClose())


class JoinMeeting(parts.JoinMeeting, Request[None]):
    pass


class MeetingFilled(parts.MeetingFilled, Notification):
    pass


class UserJoined(parts.UserJoined, Notification):
    pass


class Publisher:
    """Stands for the mediator, which needs the container that it is in."""

    mediator: Mediator


class JoinMeetingHandler(RequestHandler[JoinMeeting]):
    def __init__(self, repo: Repo, clock: Clock, publisher: Publisher) -> None:
        self.repo = repo
        self.clock = clock
        self.mediator = publisher.mediator

    @handler
    async def __call__(self, request: JoinMeeting) -> None:
        self.repo[request.meeting_id] = request.user
        await self.mediator.publish(MeetingFilled(meeting_id=request.meeting_id))
        await self.mediator.publish(
            UserJoined(
                event_id=EVENT_ID,
                event_timestamp=self.clock.now(),
                meeting_id=request.meeting_id,
                user=request.user,
            )
        )


class MeetingFilledHandler(NotificationHandler[MeetingFilled]):
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    @event_handler
    async def __call__(self, notification: MeetingFilled) -> None:
        self.repo.get(notification.meeting_id)


class UserJoinedHandler(NotificationHandler[UserJoined]):
    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def __call__(self, notification: UserJoined) -> None:
        self.broker.publish(notification)


def realistic() -> Work:
    broker, publisher = Broker(), Publisher()
    behaviours = [make_behaviour(kind) for kind in BEHAVIOURS_THEN_NEXT]
    container = containers.DynamicContainer()
    container.join = providers.Factory(
        JoinMeetingHandler, repo=repo, clock=clock, publisher=publisher
    )
    container.filled = providers.Factory(MeetingFilledHandler, repo=repo)
    container.joined = providers.Factory(UserJoinedHandler, broker=broker)
    for index, behaviour in enumerate(behaviours):
        setattr(container, f"behaviour{index}", providers.Singleton(behaviour))
    services = DependencyInjectorServiceProvider(container)
    publisher.mediator = Mediator(services, behaviors=behaviours)
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(publisher.mediator.send, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    class Wait(Request[None]):
        pass

    class WaitingHandler(RequestHandler[Wait]):
        async def __call__(self, request: Wait) -> None:
            await future

    return Work(Mediator(Services(WaitingHandler())).send, Wait())


def registered(kinds: list[type[Echo]]) -> Work:
    handlers = [make_handler(kind)(repo, clock) for kind in kinds]
    return Work(Mediator(Services(*handlers)).send, None, answer=1)


def make_handler(kind: type[Echo]) -> type[Any]:
    class Handler(RequestHandler[kind]):
        def __init__(self, repo: Repo, clock: Clock) -> None:
            self.repo = repo
            self.clock = clock

        async def __call__(self, request: kind) -> int:
            return request.number

    return Handler

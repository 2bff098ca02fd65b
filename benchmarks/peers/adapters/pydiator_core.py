"""
pydiator-core: a mediator with pipelines and notifications.

Handlers are instances, so that nothing builds them. Messages are told apart by the
names of their classes alone. Errors in notification handlers are printed and forgotten,
unless one asks.
"""

from asyncio import Future
from typing import Any

from pydiator_core.interfaces import (
    BaseHandler,
    BaseNotification,
    BaseNotificationHandler,
    BasePipeline,
    BaseRequest,
)
from pydiator_core.mediatr import Mediatr
from pydiator_core.mediatr_container import MediatrContainer

from benchmarks.peers import parts
from benchmarks.peers.behaviours import BEHAVIOURS
from benchmarks.peers.parts import clock, repo
from benchmarks.peers.work import (
    BUILT_ONCE,
    HANDLER_PUBLISHES,
    INSTANCES_ONLY,
    PUBLISHES_BY_HAND,
    Work,
    event_handler,
    handler,
    middleware,
)

CANNOT = {"factory": INSTANCES_ONLY, "container": INSTANCES_ONLY}
LACKS = {
    "two_events": HANDLER_PUBLISHES,
    "realistic": f"{PUBLISHES_BY_HAND}; {BUILT_ONCE}",
}


class Echo(parts.Echo, BaseRequest):
    pass


class EchoHandler(BaseHandler):
    @handler
    async def handle(self, req: Echo) -> int:
        return req.number


class PassOn(BasePipeline):
    @middleware
    async def handle(self, req: BaseRequest, **kwargs: Any) -> Any:
        return await self.next().handle(req=req, **kwargs)


def make_mediator(container: MediatrContainer) -> Mediatr:
    mediator = Mediatr()
    mediator.ready(container)
    return mediator


def prebuilt() -> Work:
    return middlewares(0)


def middlewares(number: int) -> Work:
    container = MediatrContainer()
    container.register_request(Echo, EchoHandler())
    for _ in range(number):
        container.register_pipeline(PassOn())
    return Work(make_mediator(container).send, Echo(number=1), answer=1)


class Happened(BaseNotification):
    pass


class HappenedHandler(BaseNotificationHandler):
    @event_handler
    async def handle(self, notification: BaseNotification) -> None:
        pass


def fan_out(number: int) -> Work:
    container = MediatrContainer()
    handlers = [HappenedHandler() for _ in range(number)]
    container.register_notification(Happened, handlers)
    return Work(make_mediator(container).publish, Happened())


class Opened(BaseNotification):
    pass


class Closed(BaseNotification):
    pass


class OpenAndClose(BaseRequest):
    pass


class OpenAndCloseHandler(BaseHandler):
    def __init__(self, mediator: Mediatr) -> None:
        self.mediator = mediator

    @handler
    async def handle(self, req: OpenAndClose) -> None:
        await self.mediator.publish(Opened())
        await self.mediator.publish(Closed())


def two_events() -> Work:
    container = MediatrContainer()
    mediator = make_mediator(container)
    container.register_request(OpenAndClose, OpenAndCloseHandler(mediator))
    container.register_notification(Opened, [HappenedHandler()])
    container.register_notification(Closed, [HappenedHandler()])
    return Work(mediator.send, OpenAndClose())


class JoinMeeting(parts.JoinMeeting, BaseRequest):
    pass


class MeetingFilled(parts.MeetingFilled, BaseNotification):
    pass


class UserJoined(parts.UserJoined, BaseNotification):
    pass


class JoinMeetingHandler(parts.JoinMeetingPublishing, BaseHandler):
    meeting_filled, user_joined = MeetingFilled, UserJoined

    async def handle(self, req: JoinMeeting) -> None:
        await parts.JoinMeetingPublishing.handle(self, req)


class MeetingFilledHandler(parts.MeetingFilledHandler, BaseNotificationHandler):
    pass


class UserJoinedHandler(parts.UserJoinedHandler, BaseNotificationHandler):
    pass


class Behaviour(BasePipeline):
    def __init__(self, behaviour: Any) -> None:
        self.behaviour = behaviour

    async def handle(self, req: BaseRequest, **kwargs: Any) -> Any:
        return await self.behaviour(req, self.next().handle)


def realistic() -> Work:
    broker = parts.Broker()
    container = MediatrContainer()
    for behaviour in BEHAVIOURS:
        container.register_pipeline(Behaviour(behaviour()))
    mediator = make_mediator(container)
    handler = JoinMeetingHandler(repo, clock, mediator.publish)
    container.register_request(JoinMeeting, handler)
    container.register_notification(MeetingFilled, [MeetingFilledHandler(repo)])
    container.register_notification(UserJoined, [UserJoinedHandler(broker)])
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(mediator.send, message, bodies=broker.bodies)


def waiting(future: Future[None]) -> Work:
    class WaitingHandler(BaseHandler):
        async def handle(self, req: Echo) -> None:
            await future

    container = MediatrContainer()
    container.register_request(Echo, WaitingHandler())
    return Work(make_mediator(container).send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    container = MediatrContainer()
    echo = EchoHandler()
    for kind in kinds:
        container.register_request(kind, echo)
    return Work(make_mediator(container).send, None, answer=1)

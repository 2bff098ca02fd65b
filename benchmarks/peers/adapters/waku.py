"""
waku: modules, the container `dishka`, and a bus for messages.

Handlers belong to a scope of the container. Events are put into a queue and handled
some time after `publish` has returned, in a task of their own.
"""

from asyncio import Future
from dataclasses import dataclass
from typing import Any

from waku import WakuApplication, WakuFactory, module
from waku.di import object_
from waku.messaging import (
    IMessageBus,
    IPipelineBehavior,
    IRequest,
    MessagingConfig,
    MessagingExtension,
    MessagingModule,
    RequestHandler,
)

from benchmarks.peers.parts import Clock, Repo, clock, repo
from benchmarks.peers.work import Work, built, handler, middleware

QUEUED = "its events are queued, and handled after `publish` has returned"
CANNOT = {
    "factory": "its container builds the handlers",
    "fan_out": QUEUED,
    "two_events": QUEUED,
    "realistic": QUEUED,
}
NOTES = {
    "prebuilt": "in one scope of the container, which keeps the handler",
    "container": "in a scope of the container for each send",
}


@dataclass(frozen=True, kw_only=True)
class Echo(IRequest[int]):
    number: int


class EchoHandler(RequestHandler[Echo, int]):
    @built
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    @handler
    async def handle(self, request: Echo, /) -> int:
        return request.number


def make_application(
    extension: MessagingExtension, *behaviours: type[Any]
) -> WakuApplication:
    config = MessagingConfig(pipeline_behaviors=behaviours)

    @module(
        imports=[MessagingModule.register(config)],
        providers=[object_(repo), object_(clock)],
        extensions=[extension],
    )
    class AppModule:
        pass

    return WakuFactory(AppModule).create()


class Scoped:
    """Sends within one scope, which is entered with the first send."""

    def __init__(self, application: WakuApplication) -> None:
        self.application = application
        self.bus: Any = None

    async def send(self, request: Any) -> Any:
        if self.bus is None:
            scope = self.application.container()
            await self.application.initialize()
            self.bus = await (await scope.__aenter__()).get(IMessageBus)
        return await self.bus.invoke(request)


def prebuilt() -> Work:
    return middlewares(0)


def container() -> Work:
    application = make_application(MessagingExtension().bind(Echo, EchoHandler))

    async def send(request: Echo) -> int:
        async with application.container() as scope:
            bus = await scope.get(IMessageBus)
            return await bus.invoke(request)

    return Work(send, Echo(number=1), answer=1)


class PassOn(IPipelineBehavior[Any, Any]):
    @middleware
    async def handle(self, message: Any, /, call_next: Any) -> Any:
        return await call_next()


def middlewares(number: int) -> Work:
    behaviours = [type(f"PassOn{index}", (PassOn,), {}) for index in range(number)]
    extension = MessagingExtension().bind(Echo, EchoHandler)
    scoped = Scoped(make_application(extension, *behaviours))
    return Work(scoped.send, Echo(number=1), answer=1)


def waiting(future: Future[None]) -> Work:
    class WaitingHandler(RequestHandler[Echo, None]):
        async def handle(self, request: Echo, /) -> None:
            await future

    scoped = Scoped(make_application(MessagingExtension().bind(Echo, WaitingHandler)))
    return Work(scoped.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    extension = MessagingExtension()
    for kind in kinds:
        extension.bind(kind, type("Handler", (EchoHandler,), {}))
    return Work(Scoped(make_application(extension)).send, None, answer=1)

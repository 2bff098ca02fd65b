"""
mediatr: MediatR with handlers and behaviours that are registered for the process.

It has no events. A function of one's own builds handlers and behaviours. The process
has one list of behaviours, so that the adapter empties it for each case.
"""

from asyncio import Future
from typing import Any

import mediatr
from mediatr import Mediator

from benchmarks.peers import parts
from benchmarks.peers.parts import Echo, clock, repo
from benchmarks.peers.work import NO_CONTAINER, NO_EVENTS, Work, middleware

CANNOT = {
    "container": NO_CONTAINER,
    "fan_out": NO_EVENTS,
    "two_events": NO_EVENTS,
    "realistic": NO_EVENTS,
}


def make_mediator(*handlers: Any) -> Mediator:
    mediatr.__handlers__.clear()
    mediatr.__behaviors__.clear()
    instances = {type(handler): handler for handler in handlers}
    # It passes whether a behaviour is meant, too.
    return Mediator(lambda handler_type, _is_behavior=False: instances[handler_type])


def prebuilt() -> Work:
    mediator = make_mediator(parts.EchoHandler(repo, clock))
    Mediator.register_handler(parts.EchoHandler)
    return Work(mediator.send_async, Echo(number=1), answer=1)


def factory() -> Work:
    make_mediator()
    factories = {parts.EchoHandler: lambda: parts.EchoHandler(repo, clock)}
    mediator = Mediator(lambda kind, _is_behavior=False: factories[kind]())
    Mediator.register_handler(parts.EchoHandler)
    return Work(mediator.send_async, Echo(number=1), answer=1)


def middlewares(number: int) -> Work:
    mediator = make_mediator(parts.EchoHandler(repo, clock))
    Mediator.register_handler(parts.EchoHandler)
    for _ in range(number):

        @Mediator.behavior
        @middleware
        async def behaviour(request: object, next: Any) -> Any:  # noqa: A002
            return await next()

    return Work(mediator.send_async, Echo(number=1), answer=1)


def waiting(future: Future[None]) -> Work:
    mediator = make_mediator(parts.WaitingHandler(future))
    Mediator.register_handler(parts.WaitingHandler)
    return Work(mediator.send_async, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    mediator = make_mediator()
    for kind in kinds:

        async def handle(request: Echo) -> int:
            return request.number

        handle.__annotations__["request"] = kind
        Mediator.register_handler(handle)
    return Work(mediator.send_async, None, answer=1)

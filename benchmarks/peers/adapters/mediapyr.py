"""
mediapyr: a mediator of seventy lines.

It has no middlewares. A provider of one's own builds the handlers.
"""

from asyncio import Future
from typing import Any

from mediapyr import Event, Mediator, Request

from benchmarks.peers import parts
from benchmarks.peers.parts import clock, repo
from benchmarks.peers.work import HANDLER_PUBLISHES, NO_CONTAINER, NO_MIDDLEWARES, Work

CANNOT = {
    "container": NO_CONTAINER,
    "middlewares": NO_MIDDLEWARES,
    "realistic": NO_MIDDLEWARES,
}
LACKS = {"two_events": HANDLER_PUBLISHES}


class Echo(parts.Echo, Request):
    pass


class Happened(parts.Happened, Event):
    pass


class OpenAndClose(parts.OpenAndClose, Request):
    pass


def make_mediator(*handlers: Any) -> Mediator:
    instances = {type(handler): handler for handler in handlers}
    return Mediator(provider=instances.__getitem__)


def prebuilt() -> Work:
    mediator = make_mediator(parts.EchoHandler(repo, clock))
    mediator.request_handler(Echo)(parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def factory() -> Work:
    factories = {parts.EchoHandler: lambda: parts.EchoHandler(repo, clock)}
    mediator = Mediator(provider=lambda handler_type: factories[handler_type]())
    mediator.request_handler(Echo)(parts.EchoHandler)
    return Work(mediator.send, Echo(number=1), answer=1)


def fan_out(number: int) -> Work:
    mediator = make_mediator(parts.HappenedHandler())
    for _ in range(number):
        mediator.event_handler(Happened)(parts.HappenedHandler)
    return Work(mediator.publish, Happened())


def two_events() -> Work:
    instances: dict[type, Any] = {}
    mediator = Mediator(provider=instances.__getitem__)
    instances[parts.OpenedHandler] = parts.OpenedHandler()
    instances[parts.ClosedHandler] = parts.ClosedHandler()
    instances[parts.OpenAndClosePublishing] = parts.OpenAndClosePublishing(
        mediator.publish
    )
    mediator.request_handler(OpenAndClose)(parts.OpenAndClosePublishing)
    mediator.event_handler(parts.Opened)(parts.OpenedHandler)
    mediator.event_handler(parts.Closed)(parts.ClosedHandler)
    return Work(mediator.send, OpenAndClose())


def waiting(future: Future[None]) -> Work:
    mediator = make_mediator(parts.WaitingHandler(future))
    mediator.request_handler(Echo)(parts.WaitingHandler)
    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    mediator = make_mediator(parts.EchoHandler(repo, clock))
    for kind in kinds:
        mediator.request_handler(kind)(parts.EchoHandler)
    return Work(mediator.send, None, answer=1)

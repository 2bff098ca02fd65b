"""
pymediator: takes a request to its handler, and no more.

It builds a handler for each send, with the dependencies that were given by name: that
is all its container, and the only way to a handler. There are neither middlewares nor
events. What the handler returns is awaited by the caller.
"""

from asyncio import Future

from pymediator import InstanceRegistry, Mediator

from benchmarks.peers import parts
from benchmarks.peers.parts import Echo, clock, repo
from benchmarks.peers.work import NO_EVENTS, NO_MIDDLEWARES, Work

CANNOT = {
    "prebuilt": "builds the handler for each send",
    "factory": "builds the handler by itself",
    "middlewares": NO_MIDDLEWARES,
    "fan_out": NO_EVENTS,
    "two_events": NO_EVENTS,
    "realistic": NO_EVENTS,
}


def container() -> Work:
    registry = InstanceRegistry()
    registry.register(Echo, parts.EchoHandler)
    mediator = Mediator(registry=registry).inject(repo=repo, clock=clock)
    return Work(mediator.send, Echo(number=1), answer=1)


def waiting(future: Future[None]) -> Work:
    registry = InstanceRegistry()
    registry.register(Echo, parts.WaitingHandler)
    mediator = Mediator(registry=registry).inject(future=future)
    return Work(mediator.send, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    registry = InstanceRegistry()
    for kind in kinds:
        registry.register(kind, parts.EchoHandler)
    mediator = Mediator(registry=registry).inject(repo=repo, clock=clock)
    return Work(mediator.send, None, answer=1)

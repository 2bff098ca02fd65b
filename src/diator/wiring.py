"""What `Mediator.check` looks for: all that would fail later."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from diator.events.event import Event
from diator.events.sinks import message_type
from diator.exceptions import (
    ConfigurationError,
    DiatorError,
    HandlerNotFoundError,
    UnresolvableError,
)
from diator.invocation import check_dependencies
from diator.requests.request import Request, StreamRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diator.container.protocol import Container
    from diator.events.event_emitter import EventEmitter
    from diator.middlewares.base import MiddlewareChain
    from diator.requests.map import RequestMap


def wiring_errors(
    *,
    request_map: RequestMap,
    request_chain: MiddlewareChain,
    container: Container,
    event_emitter: EventEmitter,
) -> list[DiatorError]:
    """Give everything that is wrong, in the order of a send."""
    modules = {request_type.__module__ for request_type in request_map} | {
        binding.event_type.__module__ for binding in event_emitter.event_map
    }
    return [
        *_missing_handlers(request_map, modules),
        *_unbuildable(
            [*request_chain.classes(), *map(request_map.get, request_map)], container
        ),
        *_unbuildable(
            [
                *event_emitter.middleware_chain.classes(),
                *(binding.handler for binding in event_emitter.event_map),
            ],
            event_emitter.container,
        ),
        *_missing_broker(event_emitter, modules),
    ]


def _missing_handlers(
    request_map: RequestMap, modules: Iterable[str]
) -> Iterator[DiatorError]:
    for declared in _declared(modules, (Request, StreamRequest)):
        # A class that others derive from is a base that is not sent itself.
        if declared not in request_map and not declared.__subclasses__():
            try:
                request_map.get(declared)
            except HandlerNotFoundError as error:
                yield error


def _unbuildable(
    handlers: Iterable[Any], container: Container
) -> Iterator[DiatorError]:
    for handler in handlers:
        try:
            check_dependencies(handler, container)
        except UnresolvableError as error:
            yield error


def _missing_broker(
    event_emitter: EventEmitter, modules: Iterable[str]
) -> Iterator[DiatorError]:
    if event_emitter.message_broker is not None:
        return
    for declared in _declared(modules, (Event,)):
        if message_type(declared) is not None:
            msg = (
                f"{declared.__qualname__} is for other processes, but there is no "
                "message broker: give the EventEmitter a message_broker"
            )
            yield ConfigurationError(msg)


def _declared(modules: Iterable[str], bases: tuple[type, ...]) -> list[type]:
    """Give the classes that modules declare at their top level, in their order."""
    return [
        declared
        for name in sorted(modules)
        for declared in vars(sys.modules.get(name, object)).values()
        if inspect.isclass(declared)
        and issubclass(declared, bases)
        and declared.__module__ == name
        and not declared.__module__.startswith("diator.")
    ]

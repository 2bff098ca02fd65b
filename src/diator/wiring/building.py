"""What the container cannot build, or supply."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from diator.container.injection import injected_parameters
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name
from diator.invocation import check_dependencies
from diator.middlewares.applying import applying
from diator.middlewares.roles import Injected, role
from diator.wiring.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.container.protocol import Container
    from diator.middlewares.base import MiddlewareChain
    from diator.wiring.parts import Parts


def unbuildable(parts: Parts) -> Iterator[Finding]:
    """Find what the container cannot build, for requests and for events."""
    requests = [(each, parts.request_map.get(each)) for each in parts.request_map]
    events = [(each.event_type, each.handler) for each in parts.emitter.event_map]
    emitter = parts.emitter
    for handlers, chain, container in (
        (requests, parts.request_chain, parts.container),
        (events, emitter.middleware_chain, emitter.container),
    ):
        message_types = [message_type for message_type, _ in handlers]
        yield from _unbuildable(handlers, chain, container)
        yield from _uninjectable(message_types, chain, container)


def _unbuildable(
    handlers: list[tuple[type, Any]], chain: MiddlewareChain, container: Container
) -> Iterator[Finding]:
    """Find the middlewares and handlers that lack something, parameter by parameter."""
    used: dict[Any, dict[type, None]] = {each: {} for each in chain.classes()}
    for message_type, handler in handlers:
        for middleware in applying(chain, message_type):
            if inspect.isclass(middleware):
                used[middleware][message_type] = None
        used.setdefault(handler, {})[message_type] = None
    for built, message_types in used.items():
        try:
            check_dependencies(built, container)
        except UnresolvableError as error:
            for problem in error.problems:
                yield Finding(UnresolvableError(problem), list(message_types))


def _uninjectable(
    message_types: list[type], chain: MiddlewareChain, container: Container
) -> Iterator[Finding]:
    """Find what middlewares ask for while messages pass, and will not get."""
    asked: dict[Injected, tuple[str, dict[type, None]]] = {}
    for passing in message_types:
        for middleware in applying(chain, passing):
            injected = role(middleware, "injected")
            if injected is not None:
                for each in injected(passing):
                    _, asking = asked.setdefault(each, (qualified_name(middleware), {}))
                    asking[passing] = None
    for (thing, given), (middleware, asking) in asked.items():
        try:
            if inspect.isclass(thing):
                container.check(thing)
            else:
                injected_parameters(
                    thing, container.check, container.knows, given=given
                )
        except UnresolvableError as error:
            for problem in error.problems:
                msg = f"{middleware} cannot ask for what it needs: {problem}"
                yield Finding(UnresolvableError(msg), list(asking))

"""How a handler is built by the container, and called."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from diator.container.injection import (
    all_at_once,
    argument_factories,
    injected_parameters,
)
from diator.container.plan import calling, injecting
from diator.container.protocol import Scoped
from diator.container.scope import current_scope
from diator.own_events import handle_with_own_events, keeps_events, take_over_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from diator.container.protocol import Container, Factory
    from diator.handler import Handler
    from diator.middlewares.base import Handle


def check_dependencies(handler: Handler, container: Container) -> None:
    """
    Find out whether the container could build what a handler needs.

    Raises:
        UnresolvableError: It could not; the message names the parameter.

    """
    if inspect.isclass(handler):
        container.check(handler)
    else:
        injected_parameters(handler, container.check, container.knows, given=1)


def invocation(handler: Handler, container: Container) -> Handle:
    """
    Work out how a handler is built anew and awaited with each message.

    Raises:
        UnresolvableError: The container cannot build what it needs.

    """
    if inspect.isclass(handler):
        build: Factory[Any] | Scoped = container.factory(handler)
        if keeps_events(handler):
            return _invocation_with_own_events(build, container)
        if not isinstance(build, Scoped):
            return calling("handle", build)
        return _invocation_in_scope(_map_scoped(build, _handle_of), container)
    factories = argument_factories(handler, container, given=1)
    if not factories:
        return handler
    arguments = all_at_once(factories)
    if not isinstance(arguments, Scoped):
        return injecting(handler, factories)
    return _invocation_in_scope(
        _map_scoped(arguments, lambda given: partial(handler, **given)), container
    )


def call_factory(
    handler: Handler, container: Container
) -> Factory[Callable[[Any], Any]] | Scoped:
    """
    Work out how to get, from a handler, what is called with the message alone.

    Raises:
        UnresolvableError: The container cannot build what it needs.

    """
    if inspect.isclass(handler):
        return _map_factory(container.factory(handler), _handle_of)
    return _map_factory(
        all_at_once(argument_factories(handler, container, given=1)),
        lambda arguments: partial(handler, **arguments),
    )


def _handle_of(handler: Any) -> Callable[[Any], Any]:
    if keeps_events(handler.__class__):
        take_over_list(handler)
    handle: Callable[[Any], Any] = handler.handle
    return handle


def _map_factory(
    factory: Factory[Any] | Scoped, change: Callable[[Any], Any]
) -> Factory[Any] | Scoped:
    if not isinstance(factory, Scoped):
        return lambda: change(factory())
    return _map_scoped(factory, change)


def _map_scoped(factory: Scoped, change: Callable[[Any], Any]) -> Scoped:
    async def build(resources: Any) -> Any:
        return change(await factory.build(resources))

    return Scoped(build)


def _invocation_in_scope(build: Scoped, container: Container) -> Handle:
    async def invoke(message: Any) -> Any:
        call: Handle = await current_scope().build(container, build)
        return await call(message)

    return invoke


def _invocation_with_own_events(
    factory: Factory[Any] | Scoped, container: Container
) -> Handle:
    """Call a handler that keeps its events in itself, as those of diator 0.1 do."""

    async def invoke(message: Any) -> Any:
        built: Any
        if isinstance(factory, Scoped):
            built = await current_scope().build(container, factory)
        else:
            built = factory()
        return await handle_with_own_events(built, message)

    return invoke

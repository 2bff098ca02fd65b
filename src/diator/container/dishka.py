"""The adapter to dishka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from dishka import (
    DEFAULT_COMPONENT,
    AsyncContainer,
    DependencyKey,
    Provider,
    make_async_container,
)
from dishka.registry import Registry

from diator.container.foreign import refuse_foreign
from diator.container.injection import giving
from diator.container.protocol import Scoped
from diator.exceptions import UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


class DishkaContainer:
    """
    Builds handlers by way of a dishka container.

    Whatever a send needs is registered with a `dishka.Provider`, the handlers too, with
    `scope=Scope.REQUEST`. That scope is entered once per outermost send, at first use;
    its generators are sent the exception if the send failed. The scope APP stays the
    caller's to close.

    Args:
        container: What `dishka.make_async_container` made.

    Raises:
        ConfigurationError: It is something else, such as a synchronous container.

    """

    def __init__(self, container: AsyncContainer) -> None:
        refuse_foreign(
            container, AsyncContainer, "make one with dishka.make_async_container"
        )
        self.container = container

    @property
    def has_scopes(self) -> bool:
        """Whether it has scopes, which dishka's containers always have."""
        return True

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether a provider knows a dependency, without building anything."""
        self._level(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a provider knows a dependency, in the scope of a send."""
        try:
            self._level(dependency)
        except UnresolvableError:
            return False
        return True

    def _level(self, dependency: type[Any]) -> AsyncContainer:
        key = DependencyKey(dependency, DEFAULT_COMPONENT)
        # As dishka itself looks for it: in the innermost scope first, then further out.
        level: AsyncContainer | None = self.container()
        while level is not None:
            if level.registry.get_factory(key) is not None:
                return level
            level = level.parent_container
        name = getattr(dependency, "__qualname__", dependency)
        msg = (
            f"no dishka provider gives {name} in the scope of a send: register it with "
            f"Provider.provide({name}, scope=Scope.REQUEST)"
        )
        raise UnresolvableError(msg)

    def factory(self, dependency: type[T], /) -> Scoped:
        """Have a dependency built by the scope of the send."""
        level = self._level(dependency)

        async def build(request: AsyncContainer) -> T:
            return await request.get(dependency)

        return Scoped(build, lasts=level is self.container)

    def scope(self) -> AbstractAsyncContextManager[AsyncContainer]:
        """Prepare dishka's scope for one send."""
        # Tasks of one send may ask at the same time, and share what is built once.
        return self.container(lock_factory=asyncio.Lock)

    def overriding(self, values: Mapping[Any, Any], /) -> DishkaContainer:
        """
        Make an adapter that gives values for types, as the protocol says.

        What lasts and needs none of them is that of the container behind.
        """
        outermost = self.container.registry
        provider = Provider(scope=outermost.scope)
        for dependency in values:
            give = giving(values, dependency)
            provider.provide(give, provides=dependency, cache=False)
        given = make_async_container(
            provider, scopes=type(outermost.scope), start_scope=outermost.scope
        )
        keys = {DependencyKey(dependency, DEFAULT_COMPONENT) for dependency in values}
        factories = {key: given.registry.factories[key] for key in keys}
        # Who asks for the container may ask it for anything.
        leading = {*keys, outermost.container_key}
        leading = _leading_to(leading, outermost.factories) - leading
        factories |= {key: outermost.factories[key] for key in leading}
        registry = _with_factories(outermost, factories)
        inner = registry
        while inner.child_registry is not None:
            child = inner.child_registry
            kept = {
                key: factory
                for key, factory in child.factories.items()
                if key not in keys
            }
            inner.child_registry = _with_factories(child, kept)
            inner = inner.child_registry
        return DishkaContainer(
            AsyncContainer(
                registry=registry,
                parent_container=self.container,
                context=None,
                lock_factory=asyncio.Lock,
                parent_closer=None,
                # What is not here is there.
                parent_getter=self.container._get,  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # as dishka itself does
            )
        )

    def keeps(self, dependency: type[Any], /) -> bool:
        """Tell whether it is built further out than where overrides are."""
        level = self._level(dependency)
        outer = self.container.parent_container
        while outer is not None and outer is not level:
            outer = outer.parent_container
        return outer is not None


def _leading_to(keys: set[DependencyKey], factories: Any) -> set[DependencyKey]:
    """Give what is built from something, at any depth, with that."""
    leading = set(keys)
    before = 0
    while len(leading) > before:
        before = len(leading)
        leading |= {
            key
            for key, factory in factories.items()
            if not leading.isdisjoint(
                (*factory.dependencies, *factory.kw_dependencies.values())
            )
        }
    return leading


def _with_factories(registry: Registry, factories: Any) -> Registry:
    copy = Registry(
        registry.scope,
        has_fallback=registry.has_fallback,
        container_key=registry.container_key,
        child_registry=registry.child_registry,
    )
    copy.factories.update(factories)
    return copy

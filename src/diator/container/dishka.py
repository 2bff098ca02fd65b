"""The adapter to dishka."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from dishka import DEFAULT_COMPONENT, AsyncContainer, DependencyKey

from diator.container.protocol import Scoped
from diator.exceptions import ConfigurationError, UnresolvableError

if TYPE_CHECKING:
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
        if not isinstance(container, AsyncContainer):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
            msg = (
                f"{container!r} is not a dishka.AsyncContainer: "
                "make one with dishka.make_async_container"
            )
            raise ConfigurationError(msg)
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

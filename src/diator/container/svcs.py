"""The adapter to svcs."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import svcs

from diator.container.foreign import refuse_foreign
from diator.container.injection import giving
from diator.container.protocol import Scoped
from diator.container.unregistered import Unregistered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from diator.container.protocol import Factory

T = TypeVar("T")

Opened = tuple[svcs.Container, asyncio.Lock]


class SvcsContainer:
    """
    Builds handlers by way of a svcs registry.

    Handlers and middlewares need no registration, their services do. Each outermost
    send has a `svcs.Container` of its own, which is closed at its end. A cleanup is
    told of the exception only where svcs does so, since its version 26, for what is
    registered with `suppress_context_exit=False`. The registry stays the caller's to
    close.

    Args:
        registry: The svcs registry.

    Raises:
        ConfigurationError: It is something else, such as a `svcs.Container`.

    """

    def __init__(self, registry: svcs.Registry) -> None:
        refuse_foreign(
            registry,
            svcs.Registry,
            "each send makes a svcs.Container of its own from it",
        )
        self.registry = registry
        self._values: Mapping[Any, Any] = {}
        self._unregistered = Unregistered(
            self, "register it with svcs.Registry.register_factory({name}, ...)"
        )

    @property
    def has_scopes(self) -> bool:
        """Whether it has scopes, which svcs's containers are."""
        return True

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether a dependency is registered, or built from what is."""
        self._unregistered.check(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a service is registered."""
        return dependency in self.registry or dependency in self._values

    def factory(self, dependency: type[T], /) -> Factory[T] | Scoped:
        """Have a service built by the container of the send."""
        if not self.knows(dependency):
            return self._unregistered.factory(dependency)
        if dependency in self._values:
            return giving(self._values, dependency)
        registered = self.registry.get_registered_service_for(dependency)

        async def build(opened: Opened) -> T:
            container, lock = opened
            async with lock:
                return await container.aget(dependency)

        # What is never entered is never left, and is of use for longer.
        return Scoped(
            build, lasts=not registered.enter and not registered.takes_container
        )

    def scope(self) -> AbstractAsyncContextManager[Opened]:
        """Prepare a container for one send."""
        return _open(self.registry, self._values)

    def overriding(self, values: Mapping[Any, Any], /) -> SvcsContainer:
        """Make an adapter that gives values for types, as the protocol says."""
        overriding = SvcsContainer(self.registry)
        overriding._values = values
        return overriding

    def keeps(self, dependency: type[Any], /) -> bool:
        """Tell that nothing is built without the values of `overriding`."""
        del dependency
        return False


@asynccontextmanager
async def _open(
    registry: svcs.Registry, values: Mapping[Any, Any]
) -> AsyncGenerator[Opened]:
    async with svcs.Container(registry) as container:
        untyped: Any = container
        for dependency, value in values.items():
            untyped.register_local_value(dependency, value)
        # Tasks of one send may ask at the same time, and share what is built once.
        yield container, asyncio.Lock()

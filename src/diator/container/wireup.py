"""The adapter to wireup."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from wireup import AsyncContainer

from diator.container.foreign import refuse_foreign
from diator.container.protocol import Scoped
from diator.container.unregistered import Unregistered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wireup import ScopedAsyncContainer

    from diator.container.protocol import Factory

    Opened = tuple[ScopedAsyncContainer, asyncio.Lock]

T = TypeVar("T")


class WireupContainer:
    """
    Builds handlers by way of a wireup container.

    Handlers and middlewares need no registration, what they need does. wireup's scope
    is entered once per outermost send, at first use; its generators are sent the
    exception if the send failed. The container stays the caller's to close.

    Args:
        container: What `wireup.create_async_container` made.

    Raises:
        ConfigurationError: It is something else, such as a synchronous container.

    """

    def __init__(self, container: AsyncContainer) -> None:
        refuse_foreign(
            container, AsyncContainer, "make one with wireup.create_async_container"
        )
        self.container = container
        # Nothing public tells what is registered.
        self._registry = container._registry  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._unregistered = Unregistered(
            self,
            "mark {name}, or what makes it, with @wireup.injectable and pass that to "
            "wireup.create_async_container",
        )

    @property
    def has_scopes(self) -> bool:
        """Whether it has scopes, which wireup's containers always have."""
        return True

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether a dependency is registered, or built from what is."""
        self._unregistered.check(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency is registered, without a qualifier."""
        return self._registry.is_type_with_qualifier_known(dependency, None)

    def factory(self, dependency: type[T], /) -> Factory[T] | Scoped:
        """Have a dependency built by the scope of the send."""
        if not self.knows(dependency):
            return self._unregistered.factory(dependency)

        async def build(opened: Opened) -> T:
            scope, lock = opened
            async with lock:
                return await scope.get(dependency)

        lifetime = self._registry.get_lifetime(dependency, None)
        return Scoped(build, lasts=lifetime == "singleton")

    def scope(self) -> AbstractAsyncContextManager[Opened]:
        """Prepare wireup's scope for one send."""
        return _open(self.container)

    def needs(self, dependency: type[Any], /) -> set[Any]:
        """Tell from which types a registered one is built."""
        registry: Any = self._registry
        built = registry.get_implementation(dependency, None)
        # Older releases have the qualifier in the key, also where there is none.
        known = registry.factories.get(built) or registry.factories[built, None]
        return {
            parameter.klass
            for parameter in registry.dependencies[known.factory].values()
            if not parameter.is_parameter
        }


@asynccontextmanager
async def _open(container: AsyncContainer) -> AsyncGenerator[Opened]:
    async with container.enter_scope() as scope:
        # Tasks of one send may ask at the same time, and share what is built once.
        yield scope, asyncio.Lock()

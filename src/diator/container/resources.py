"""What is open in one send, for containers that know no scopes themselves."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any

from diator.container.injection import all_at_once, argument_factories
from diator.container.protocol import Scoped
from diator.container.scope import leave
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from diator.container.protocol import Container


class NotOpenedError(UnresolvableError):
    """A resource of a send was asked for before it was opened."""

    def __init__(self, dependency: type) -> None:
        self.dependency = dependency
        super().__init__(
            f"{qualified_name(dependency)} is opened and closed with each send: ask "
            "for it in a parameter of a handler, or of what a handler is built from"
        )


class Resources:
    """
    The resources of one send, each opened when it is first asked for.

    Args:
        container: Injects the parameters of the openers.
        openers: What gives the context manager of each resource.
        factories: How their arguments are built, as far as it is known.

    """

    def __init__(
        self,
        container: Container,
        openers: Mapping[type, Callable[..., Any]],
        factories: dict[type, Any],
    ) -> None:
        self._factories = factories
        self._container = container
        self._openers = openers
        self._managers: list[AbstractAsyncContextManager[Any]] = []
        self._locks: dict[type, asyncio.Lock] = {}
        self.open: dict[type, Any] = {}

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what is open, the last one first, and tell it of the exception."""
        self.open.clear()
        await leave(self._managers, error)

    async def ensure(self, dependency: type) -> None:
        """
        Open a resource, if it is not open yet.

        Raises:
            UnresolvableError: What is to open it does not give a context manager.

        """
        # Two tasks of one send share the resource, whichever asks first.
        async with self._locks.setdefault(dependency, asyncio.Lock()):
            if dependency not in self.open:
                manager = await self._manager(dependency)
                self.open[dependency] = await manager.__aenter__()
                self._managers.append(manager)

    async def _manager(self, dependency: type) -> AbstractAsyncContextManager[Any]:
        opener = self._openers[dependency]
        factory = self._factories.get(dependency)
        if factory is None:
            factory = all_at_once(argument_factories(opener, self._container, given=0))
            self._factories[dependency] = factory
        if isinstance(factory, Scoped):
            arguments = await factory.build(self)
        else:
            arguments = factory()
        manager: Any = opener(**arguments)
        opened: Any = manager
        if isinstance(manager, AbstractAsyncContextManager):
            is_async: AbstractAsyncContextManager[Any] = opened
            return is_async
        if isinstance(manager, AbstractContextManager):
            return _Async(opened)
        msg = (
            f"{qualified_name(dependency)} was opened as {manager!r}, which is not a "
            "context manager: declare it with a function that yields it"
        )
        raise UnresolvableError(msg)


class _Async(AbstractAsyncContextManager[Any]):
    """A plain context manager, used as an async one."""

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self._manager = manager

    async def __aenter__(self) -> Any:
        return self._manager.__enter__()

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._manager.__exit__(error_type, error, traceback)

"""What belongs to one outermost send: resources, running transactions."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from diator.container.injection import arguments_factory
from diator.container.protocol import Scoped
from diator.events.collector import collecting, enclosing
from diator.exceptions import NoSendError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from diator.container.protocol import Container, Factory

T = TypeVar("T")


def current_scope() -> Scope:
    """
    Give the scope of the send, or of the event, that is being handled here.

    Raises:
        NoSendError: Nothing is being handled here.

    """
    collector = innermost = collecting()
    while collector.scope is None:
        outer = enclosing(collector.outer, innermost.owner)
        if outer is not None:
            collector = outer
        elif enclosing(collector, innermost.owner) is None:
            msg = (
                "the request that this task was started for was handled, and its scope "
                "is closed: await the task in the handler, or have it send a request"
            )
            raise NoSendError(msg)
        else:
            collector.scope = Scope(innermost.owner.container)  # type: ignore[union-attr]  # collecting() gives open collectors alone
    return collector.scope


@asynccontextmanager
async def own_scope() -> AsyncGenerator[None]:
    """Give what runs inside a scope of its own, apart from that of the send."""
    collector = collecting()
    shared = collector.scope
    collector.scope = scope = Scope(collector.owner.container)  # type: ignore[union-attr]  # collecting() gives open collectors alone
    try:
        yield
    except BaseException as error:
        await scope.close(error)
        raise
    else:
        await scope.close(None)
    finally:
        collector.scope = shared


class Scope:
    """
    What one outermost send shares with everything below it.

    Attributes:
        transactions: Whose transactions are running in it.

    """

    __slots__ = ("_container", "_exits", "_lock", "_opened", "transactions")

    def __init__(self, container: Container) -> None:
        self._container = container
        self._exits = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._opened: dict[int, Any] = {}
        self.transactions: set[object] = set()

    async def get(self, dependency: type[T]) -> T:
        """
        Give a dependency: the scope's own where it is scoped.

        Raises:
            UnresolvableError: The container cannot build it.

        """
        return await self.build(self._container, self._container.factory(dependency))

    async def call(self, function: Callable[..., Any], *given: Any) -> Any:
        """
        Call a function with what is given and with dependencies for all else.

        Raises:
            UnresolvableError: The container cannot build one of the parameters.

        """
        factory = arguments_factory(function, self._container, given=len(given))
        return function(*given, **await self.build(self._container, factory))

    async def build(self, container: Container, factory: Factory[T] | Scoped) -> T:
        """Build from a container's factory, in this scope."""
        if not isinstance(factory, Scoped):
            return factory()
        built: T = await factory.build(await self._enter(container))
        return built

    def opened(self, container: Container) -> Any:
        """Give what a container's scope was entered as, None before its first use."""
        return self._opened.get(id(container))

    async def close(self, error: BaseException | None) -> None:
        """Close what is open, the last one first, and tell it of the error."""
        try:
            await self._exits.__aexit__(
                type(error) if error else None,
                error,
                error.__traceback__ if error else None,
            )
        except Exception as closing_error:
            if error is None or isinstance(error, Exception):
                raise
            # A cancellation is not to be hidden by what closing made of it.
            raise error from closing_error

    async def _enter(self, container: Container) -> Any:
        async with self._lock:
            if id(container) not in self._opened:
                self._opened[id(container)] = await self._exits.enter_async_context(
                    container.scope()
                )
        return self._opened[id(container)]

"""What belongs to one outermost send: the resources that are open in it."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from diator.container.injection import all_at_once, argument_factories
from diator.container.protocol import Scoped
from diator.events.collector import AttemptCollector, collecting, enclosing
from diator.exceptions import NoSendError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from diator.container.protocol import Container, Factory
    from diator.events.collector import Collector

T = TypeVar("T")


def current_scope() -> Scope:
    """
    Give the scope of the send, or of the event, that is being handled here.

    Raises:
        NoSendError: Nothing is being handled here.

    """
    collector = collecting()
    owner: Any = collector.owner
    while collector.scope is None:
        outer = enclosing(collector.outer, owner)
        if outer is not None:
            collector = outer
        elif isinstance(collector, AttemptCollector):
            msg = (
                "the send that this task was started in has ended, and its scope is "
                "closed: await the task in the handler, or have it send a request"
            )
            raise NoSendError(msg)
        else:
            collector.scope = Scope(owner.container, owner.factories)
    return collector.scope


def is_in_transaction() -> bool:
    """Tell whether a transaction runs in the scope around here, if there is one."""
    collector: Collector | None = collecting()
    while collector is not None:
        if collector.scope is not None:
            return collector.scope.transactions > 0
        collector = enclosing(collector.outer, collector.owner)
    return False


@asynccontextmanager
async def own_scope() -> AsyncGenerator[None]:
    """Give what runs inside a scope of its own, apart from that of the send."""
    collector = collecting()
    shared = collector.scope
    owner: Any = collector.owner
    collector.scope = scope = Scope(owner.container, owner.factories)
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

    Args:
        container: Builds what is asked for by its type alone.
        factories: How that is built, as far as it is known from other sends.

    Attributes:
        transactions: How many transactions are running in it.

    """

    __slots__ = (
        "_closed",
        "_container",
        "_entered",
        "_factories",
        "_lock",
        "_opened",
        "transactions",
    )

    def __init__(self, container: Container, factories: dict[Any, Any]) -> None:
        self._container = container
        self._factories = factories
        self.transactions = 0
        self._closed = False
        self._entered: dict[int, AbstractAsyncContextManager[Any]] = {}
        self._lock = asyncio.Lock()
        self._opened: dict[int, Any] = {}

    async def get(self, dependency: type[T]) -> T:
        """
        Give a dependency: the scope's own where it is scoped.

        Raises:
            UnresolvableError: The container cannot build it.

        """
        factory: Factory[T] | Scoped | None = self._factories.get(dependency)
        if factory is None:
            factory = self._container.factory(dependency)
            self._factories[dependency] = factory
        return await self.build(self._container, factory)

    async def call(self, function: Callable[..., Any], *given: Any) -> Any:
        """
        Call a function with what is given and with dependencies for all else.

        Raises:
            UnresolvableError: The container cannot build one of the parameters.

        """
        key = (function, len(given))
        factory = self._factories.get(key)
        if factory is None:
            arguments = argument_factories(function, self._container, given=len(given))
            factory = all_at_once(arguments)
            self._factories[key] = factory
        return function(*given, **await self.build(self._container, factory))

    async def build(self, container: Container, factory: Factory[T] | Scoped) -> T:
        """Build from a container's factory, in this scope."""
        if not isinstance(factory, Scoped):
            return factory()
        if self._closed:
            msg = "the scope is closed, or about to be, with the send that it was for"
            raise NoSendError(msg)
        built: T = await factory.build(await self._enter(container))
        return built

    def opened(self, container: Container) -> Any:
        """Give what a container's scope was entered as, None before its first use."""
        return self._opened.get(id(container))

    async def close(self, error: BaseException | None) -> None:
        """Close what is open, the last one first, and tell it of the error."""
        self._closed = True
        await leave(list(self._entered.values()), error)

    async def _enter(self, container: Container) -> Any:
        async with self._lock:
            if id(container) in self._opened:
                return self._opened[id(container)]
            manager = container.scope()
            opened = await manager.__aenter__()
            self._opened[id(container)] = opened
            self._entered[id(container)] = manager
            return opened


async def leave(
    managers: Sequence[AbstractAsyncContextManager[Any]], error: BaseException | None
) -> None:
    """
    Leave context managers, the last one first, and tell each of the error.

    Unlike `with`, which lets them swallow it, and an error of theirs hide a
    cancellation.
    """
    told = error
    # Neither may the failure of one hide a cancellation, of the send or of another.
    interruption = None if isinstance(error, Exception) else error
    for manager in reversed(managers):
        try:
            if told is None:
                await manager.__aexit__(None, None, None)
            else:
                await manager.__aexit__(type(told), told, told.__traceback__)
        except Exception as raised:  # noqa: BLE001  # the others are to be left, too
            told = raised
        except BaseException as raised:  # noqa: BLE001  # as above
            interruption = interruption or raised
            told = raised
    if told is error or told is None:
        return
    if interruption is None or interruption is told:
        raise told
    raise interruption from told

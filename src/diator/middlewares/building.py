"""How the middlewares that were added as classes are built, once."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from diator.container.protocol import Scoped
from diator.container.scope import Scope
from diator.events.collector import current
from diator.exceptions import UnresolvableError

if TYPE_CHECKING:
    from diator.container.protocol import Container, Factory
    from diator.middlewares.base import MiddlewareChain


class MiddlewareBuilder:
    """
    Gives the middlewares for a type of message, ready to be called.

    Args:
        chain: All middlewares.
        container: Builds those that are classes.

    """

    def __init__(self, chain: MiddlewareChain, container: Container) -> None:
        self._chain = chain
        self._container = container
        self._built: dict[type, Any] = {}
        # Two first sends at once must not build one middleware twice.
        self._lock = asyncio.Lock()

    async def middlewares(self, message_type: type) -> list[Any]:
        """
        Give the middlewares for a type of message, the outermost first.

        Raises:
            UnresolvableError: The container cannot build one.

        """
        async with self._lock:
            return [
                await self._instance(middleware)
                for middleware in self._chain.select(message_type)
            ]

    async def _instance(self, middleware: Any) -> Any:
        if not inspect.isclass(middleware):
            return middleware
        if middleware not in self._built:
            self._built[middleware] = await self._build(middleware)
        return self._built[middleware]

    async def _build(self, middleware: type) -> Any:
        builds: type[Any] = middleware
        factory: Factory[Any] | Scoped = self._container.factory(builds)
        if not isinstance(factory, Scoped):
            return factory()
        if not factory.lasts:
            msg = (
                f"{middleware.__qualname__} needs what ends with each send, but a "
                "middleware lasts: ask for it in the send, by "
                "diator.container.scope.current_scope"
            )
            raise UnresolvableError(msg)
        # The send that happens to be the first has nothing to do with it.
        token = current.set(None)
        scope = Scope(self._container, {})
        try:
            return await scope.build(self._container, factory)
        finally:
            current.reset(token)
            await scope.close(None)

"""The onion: middlewares around a handler, of whatever message."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from diator.exceptions import BindingError, InUseError
from diator.handler import is_async, qualified_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Handle = Callable[[Any], Awaitable[Any]]
"""The rest of the chain, down to the handler."""


class Middleware(Protocol):
    """
    A behaviour around the handling of a message.

    Any async callable is one; its parameters may have any name.

    One that often has nothing to do (logging that is filtered out, a flag that is off)
    may also have a method `is_idle()`, not async, which says so. It is asked for each
    message, and where it answers True the message passes the middleware by, which then
    costs no more than the question.
    """

    async def __call__(self, message: Any, handle: Handle, /) -> Any:
        """
        Do something around the rest of the chain.

        Args:
            message: The request, or the event.
            handle: The rest of the chain. It may be awaited once, not at all (to
                answer oneself), or again (to retry), with this message or another.

        Returns:
            The answer.

        """


# With `type[Any]`, pyright would not know what a lambda takes.
Selector = type[object] | tuple[type[object], ...] | Callable[[type[Any]], bool]
"""Which messages a middleware is for: a type, types, or a predicate on the type."""


class MiddlewareChain:
    """
    The middlewares around a handler, the first one outermost.

    A class instead of an instance is built by the container, once, at its first use.
    """

    def __init__(self) -> None:
        self._links: list[tuple[Middleware | type[Middleware], Selector | None]] = []
        self._in_use = False

    def add(
        self,
        middleware: Middleware | type[Middleware],
        *,
        only: Selector | None = None,
    ) -> None:
        """
        Put a middleware inside those that are there already.

        Args:
            middleware: An async callable, or a class that the container builds.
            only: The messages it is for: a type (or types) whose instances it sees,
                or a predicate on the type. All messages if left out.

        Raises:
            BindingError: It is not callable, not async, or does not take a message
                and the rest of the chain.
            InUseError: A message went through the chain already.

        """
        if self._in_use:
            msg = (
                f"{qualified_name(middleware)} comes too late: a message went through "
                "the chain already; add middlewares before the first send"
            )
            raise InUseError(msg)
        _check_middleware(middleware)
        _check_selector(only)
        self._links.append((middleware, only))

    def set(self, chain: Iterable[Middleware | type[Middleware]]) -> None:
        """
        Replace all middlewares.

        Raises:
            BindingError: As `add` does.
            InUseError: As `add` does.

        """
        if self._in_use:
            msg = "the chain is set too late: a message went through it already"
            raise InUseError(msg)
        replacement = MiddlewareChain()
        for middleware in chain:
            replacement.add(middleware)
        self._links = replacement._links

    def freeze(self) -> None:
        """Refuse changes from here on, because somebody relies on what is there."""
        self._in_use = True

    def select(self, message_type: type[Any]) -> list[Middleware | type[Middleware]]:
        """Give the middlewares for a type of message, the outermost first."""
        return [
            middleware
            for middleware, only in self._links
            if applies(only, message_type)
        ]

    def __iter__(
        self,
    ) -> Iterator[tuple[Middleware | type[Middleware], Selector | None]]:
        """Give each middleware with what says which messages it is for."""
        return iter(self._links)

    def classes(self) -> list[type[Any]]:
        """Give the middlewares that the container has to build."""
        return [
            middleware for middleware, _ in self._links if inspect.isclass(middleware)
        ]

    def wrap(self, handle: Handle) -> Handle:
        """
        Put all middlewares, which have to be instances here, around a handler.

        Args:
            handle: What the innermost middleware calls.

        Returns:
            What calls the outermost middleware, or `handle` itself if there is none.

        """
        return compose([middleware for middleware, _ in self._links], handle)


def compose(
    middlewares: Iterable[Any],
    handle: Handle,
    *,
    guard: Callable[[Any, Handle], Handle] = lambda _, handle: handle,
) -> Handle:
    """
    Put middlewares around a handler, the first one outermost.

    Args:
        middlewares: Instances, the outermost first.
        handle: What the innermost calls.
        guard: Is given each middleware and the rest of the chain inside it, and gives
            what the middleware calls.

    """
    for middleware in reversed(list(middlewares)):
        layer = _layer(middleware, guard(middleware, handle))
        handle = _layer_unless_idle(middleware, layer, handle)
    return handle


def _layer(middleware: Middleware, handle: Handle) -> Handle:
    # Not a coroutine of its own: the middleware's is awaited by who calls the layer,
    # which saves a frame; and `__call__` looked up once saves about 50 ns a call.
    call = call_of(middleware)
    return lambda message: call(message, handle)


def _layer_unless_idle(middleware: Any, layer: Handle, handle: Handle) -> Handle:
    is_idle: Callable[[], bool] | None = getattr(middleware, "is_idle", None)
    if is_idle is None:
        return layer
    return lambda message: handle(message) if is_idle() else layer(message)


def call_of(middleware: Any) -> Any:
    """Give the function, or the bound method, that a middleware consists of."""
    return middleware if inspect.isroutine(middleware) else middleware.__call__


def applies(only: Selector | None, message_type: type[Any]) -> bool:
    """Tell whether a middleware with this `only=` is for a type of message."""
    if only is None:
        return True
    if isinstance(only, (type, tuple)):
        return issubclass(message_type, only)
    return bool(only(message_type))


def _check_middleware(middleware: object) -> None:
    call = middleware
    given = 2
    if inspect.isclass(middleware):
        call = getattr(middleware, "__call__", None)  # noqa: B004  # not whether, but which
        given = 3
    elif not inspect.isroutine(middleware):
        call = getattr(middleware, "__call__", None)  # noqa: B004  # not whether, but which
    if not is_async(call):
        msg = (
            f"{qualified_name(middleware)} is not a middleware: it needs "
            "`async def __call__(self, request, handle)`, "
            "or to be an async function of these two"
        )
        raise BindingError(msg)
    try:
        inspect.signature(call).bind(*range(given))  # type: ignore[arg-type]  # async, hence callable
    except TypeError as error:
        msg = (
            f"{qualified_name(middleware)} is not a middleware: it is called with a "
            f"request and the rest of the chain, but {error}"
        )
        raise BindingError(msg) from error


def _check_selector(only: object) -> None:
    # A type is callable, like a predicate.
    if only is None or callable(only):
        return
    if not isinstance(only, tuple) or not all(
        isinstance(selected, type) for selected in cast("tuple[object, ...]", only)
    ):
        msg = f"only= takes a type, a tuple of types or a predicate, not {only!r}"
        raise BindingError(msg)

"""What counts as a handler of a message."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

from diator.exceptions import BindingError

Handler = type[Any] | Callable[..., Any]
"""A class with a method `handle`, or a function."""


def is_async(function: Any) -> bool:
    """Tell whether a function is async, also below decorators that are not."""
    return inspect.iscoroutinefunction(function) or (
        callable(function) and inspect.iscoroutinefunction(inspect.unwrap(function))
    )


def qualified_name(thing: Any) -> str:
    """Give the name to tell a class, a function or an instance's class by."""
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))


def check_handler(
    handler: Any, message_type: type, *, base: type, streams: bool = False
) -> None:
    """
    Refuse what cannot handle a type of message.

    Args:
        handler: A class or a function.
        message_type: What it is to handle.
        base: The class whose type argument says what a handler's class is for.
        streams: Whether it answers with an async iterator instead of being awaited.

    Raises:
        BindingError: It cannot; the message says why and what to do.

    """
    reason = _unfit(handler, message_type, base, streams=streams)
    if reason is not None:
        msg = (
            f"{qualified_name(handler)} cannot handle {message_type.__name__}: {reason}"
        )
        raise BindingError(msg)


def _unfit(
    handler: Any, message_type: type, base: type, *, streams: bool
) -> str | None:
    is_class = inspect.isclass(handler)
    call = getattr(handler, "handle", None) if is_class else handler
    if not callable(call):
        return (
            f"bind a class that derives from {base.__name__} and has a method "
            "`handle`, or an async function"
        )
    if inspect.isabstract(handler):
        missing = ", ".join(sorted(handler.__abstractmethods__))
        return f"it is abstract, for it lacks {missing}"
    if streams and is_async(call):
        return "a stream is answered by an async generator: `yield` the items"
    if not streams and not is_async(call):
        return "it has to be `async def`, and must not `yield`"
    unsuitable = _unfit_signature(call, is_class=is_class)
    if unsuitable is not None:
        return unsuitable
    declared = _declared_by_class(handler, base) if is_class else _declared_by(call)
    if isinstance(declared, type) and not issubclass(message_type, declared):
        return f"it is written for {declared.__name__}"
    return None


def _unfit_signature(call: Callable[..., Any], *, is_class: bool) -> str | None:
    signature = inspect.signature(call)
    # A function's further parameters are injected; a method is given the message alone.
    given = [None, None] if is_class else [None]
    try:
        if is_class:
            signature.bind(*given)
        else:
            signature.bind_partial(*given)
    except TypeError as error:
        return f"it is called with the message alone, but has {error}"
    return None


def _declared_by_class(handler: type, base: type) -> Any:
    """Give `Req` of the `RequestHandler[Req, Res]` that a class derives from."""
    for ancestor in handler.__mro__:
        for generic in getattr(ancestor, "__orig_bases__", ()):
            if get_origin(generic) is base:
                return get_args(generic)[0]
    return None


def _declared_by(function: Callable[..., Any]) -> Any:
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        # Names for type checkers alone; injection tells of those that it needs.
        return None
    parameters = [name for name in inspect.signature(function).parameters]
    return hints.get(parameters[0])

"""What counts as a handler of a message."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

from diator.exceptions import BindingError

Handler = Callable[..., Any]
"""A class with a method `handle`, or a function."""


def is_async(function: Any) -> bool:
    """Tell whether a function is async, also below decorators that are not."""
    return inspect.iscoroutinefunction(function) or (
        callable(function) and inspect.iscoroutinefunction(inspect.unwrap(function))
    )


def qualified_name(thing: Any) -> str:
    """Give the name to tell a class, a function or an instance's class by."""
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))


def module_of(thing: Any) -> str:
    """Give the module that declares a class, a function, or an instance's class."""
    return str(getattr(thing, "__module__", None) or type(thing).__module__)


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
    fault = next(_faults(handler, message_type, base, streams=streams), None)
    if fault is not None:
        msg = (
            f"{qualified_name(handler)} cannot handle {message_type.__name__}: {fault}"
        )
        raise BindingError(msg)


def _faults(
    handler: Any, message_type: type, base: type, *, streams: bool
) -> Iterator[str]:
    """Find what is wrong, the first thing first: the rest relies on it."""
    is_class = inspect.isclass(handler)
    call: Any = getattr(handler, "handle", None) if is_class else handler
    if not callable(call) and hasattr(call, "handle"):
        yield (
            f"it is an instance: bind its class, {type(call).__name__}, which the "
            "container builds anew for each message"
        )
    if not callable(call):
        yield (
            f"bind a class that derives from {base.__name__} and has a method "
            "`handle`, or an async function"
        )
    if inspect.isabstract(handler):
        missing = ", ".join(sorted(handler.__abstractmethods__))
        yield f"it is abstract, for it lacks {missing}"
    if streams and is_async(call):
        yield "a stream is answered by an async generator: `yield` the items"
    if not streams and not is_async(call):
        yield "it has to be `async def`, and must not `yield`"
    signature = inspect.signature(call)
    try:
        # A function's further parameters are injected; a method has the message alone.
        if is_class:
            signature.bind(None, None)
        else:
            signature.bind_partial(None)
    except TypeError as error:
        yield f"it is called with the message alone, but has {error}"
    declared = _declared_by_class(handler) if is_class else _declared_by(call)
    # Since 3.11, `Any` is a class, too.
    if declared is not Any and not issubclass(message_type, declared):
        yield f"it is written for {declared.__name__}"


def _declared_by_class(handler: type) -> Any:
    """Give `Req` of the `RequestHandler[Req, Res]` that a class derives from."""
    for ancestor in handler.__mro__:
        for generic in getattr(ancestor, "__orig_bases__", ()):
            # Of whatever kind: the handler of an event is not for requests.
            base = get_origin(generic)
            if hasattr(base, "handle") and base.__module__.startswith("diator."):
                return _class_of(get_args(generic)[0])
    return Any


def _declared_by(function: Callable[..., Any]) -> Any:
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        # Names for type checkers alone; injection tells of those that it needs.
        return Any
    message = next(iter(inspect.signature(function).parameters))
    return _class_of(hints.get(message))


def _class_of(annotation: Any) -> Any:
    """Give the class of an annotation, Any for what says nothing of the class."""
    origin = get_origin(annotation) or annotation
    return origin if isinstance(origin, type) else Any

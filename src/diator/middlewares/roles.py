"""What a middleware may tell of itself, so that one in a wrong place is found."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from diator.handler import module_of

OURS = "diator."


class Injected(NamedTuple):
    """
    What the container builds, or injects into, while a message passes a middleware.

    Attributes:
        asked: A class that is built, or a function whose parameters are injected.
        given: How many arguments the function is called with already.

    """

    asked: Callable[..., Any]
    given: int = 0


class Role(Protocol):
    """
    What a middleware may have beside `__call__`, to be checked and described by.

    Each is optional. The attributes may be those of the class, because a middleware
    may be added as one. Who wraps another middleware names it as `__wrapped__`.

    Attributes:
        begins_transaction: Whether the rest of the chain runs in a transaction.
        needs_transaction: The types of messages, a tuple as for `issubclass`, that it
            fails at where no transaction runs around it.
        takes_outbound: Whether the events for other processes that are raised inside it
            leave by way of an outbox, and not of the message broker.
        emits_within: Whether it has the domain events handled that are raised inside
            it, before it ends.

    """

    begins_transaction: bool
    needs_transaction: tuple[type, ...]
    takes_outbound: bool
    emits_within: bool

    def injected(self, message_type: type, /) -> Iterable[Injected]:
        """Give what the container is asked for when a message of a type passes."""
        ...

    def refuses(self, message_type: type, /) -> str | None:
        """Say why all messages of a type are refused, None where they are not."""
        ...


ROLES = (
    "begins_transaction",
    "needs_transaction",
    "takes_outbound",
    "emits_within",
    "injected",
    "refuses",
)


def role(middleware: Any, name: str) -> Any:
    """Give what a middleware, or one that it wraps, says of itself, else None."""
    for each in _wrapped(middleware):
        found = getattr(each, name, None)
        # Of a property, a class only says that its instances know.
        if found is not None and not isinstance(found, property):
            # Neither can a method be asked without one.
            return None if inspect.isclass(each) and callable(found) else found
    return None


def is_known(middleware: Any) -> bool:
    """Tell whether what a middleware does not say of itself does not hold."""
    return any(
        module_of(each).startswith(OURS) or any(hasattr(each, name) for name in ROLES)
        for each in _wrapped(middleware)
    )


def _wrapped(middleware: Any) -> Iterator[Any]:
    yield middleware
    while hasattr(middleware, "__wrapped__"):
        middleware = middleware.__wrapped__
        yield middleware

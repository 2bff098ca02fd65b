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
        takes_inbound: Whether what comes from other processes is handled once inside
            it, by way of an inbox.
        emits_within: Whether it has the domain events handled that are raised inside
            it, before it ends.

    """

    begins_transaction: bool
    needs_transaction: tuple[type, ...]
    takes_outbound: bool
    takes_inbound: bool
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
    "takes_inbound",
    "emits_within",
    "injected",
    "refuses",
)


def role(middleware: Any, name: str) -> Any:
    """Give what a middleware, or one that it wraps, says of itself, else None."""
    for each in layers_of(middleware):
        if _has(each, name):
            found = getattr(each, name)
            # A class has no instance yet that its properties and methods could ask.
            says = not inspect.isclass(each) or type(found) in (bool, tuple)
            return found if says else None
    return None


def is_known(middleware: Any) -> bool:
    """Tell whether what a middleware does not say of itself does not hold."""
    return any(
        module_of(each).startswith(OURS) or any(_has(each, name) for name in ROLES)
        for each in layers_of(middleware)
    )


def layers_of(middleware: Any) -> Iterator[Any]:
    """Give a middleware, and those that are wrapped in it, the innermost last."""
    yield middleware
    while _has(middleware, "__wrapped__"):
        middleware = middleware.__wrapped__
        yield middleware


def _has(middleware: Any, name: str) -> bool:
    # A mock, or a proxy, would have every attribute that it is asked for.
    return inspect.getattr_static(middleware, name, None) is not None

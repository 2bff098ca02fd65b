"""What a middleware tells of itself, so that what is wrong with its place is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol


class Injected(NamedTuple):
    """
    What a middleware has built, or called, by the container while a message passes.

    Attributes:
        asked: A class that is built, or a function whose parameters are injected.
        given: How many arguments the function is called with already.

    """

    asked: Callable[..., Any]
    given: int = 0


class Role(Protocol):
    """
    What a middleware may have beside `__call__`, to be checked and described by.

    Each is optional, and may stand in the class: a middleware may be added as one.

    Attributes:
        begins_transaction: Whether the rest of the chain runs in a transaction.
        needs_transaction: Whether it fails where no transaction runs around it.
        takes_outbound: Whether the events for other processes that are raised inside
            it leave by way of an outbox, and not of the message broker.
        emits_within: Whether it has domain events handled that are raised inside it.

    """

    begins_transaction: bool
    needs_transaction: bool
    takes_outbound: bool
    emits_within: bool

    def injected(self, message_type: type, /) -> Iterable[Injected]:
        """Give what the container builds for it when a message of a type passes."""
        ...

    def refuses(self, message_type: type, /) -> str | None:
        """Say why all messages of a type are refused, None where they are not."""
        ...


def has_role(middleware: Any, name: str) -> bool:
    """Tell whether a middleware says of itself what an attribute of `Role` means."""
    # A class may have it as a property, which says nothing without an instance.
    return getattr(middleware, name, False) is True

"""A case as one peer does it, and what is counted in it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Work:
    """
    A case as one peer does it.

    Attributes:
        send: Takes the message to its handlers; awaited again and again.
        message: What is sent.
        answer: What `send` must return, where it answers.
        bodies: Gives the encoded messages that were published last, where some are.

    """

    send: Callable[[Any], Awaitable[object]]
    message: Any
    answer: object = None
    bodies: Callable[[], Sequence[bytes]] | None = None


# The calls of these functions are counted by a profiler while a case is checked, so
# that what is timed need not count anything.
counted: dict[CodeType, Sequence[str]] = {}


def built(function: F) -> F:
    """Mark the `__init__` of a request handler."""
    counted[function.__code__] = ["built"]
    return function


def handler(function: F) -> F:
    """Mark what handles a request."""
    counted[function.__code__] = ["handler"]
    return function


def injected(function: F) -> F:
    """Mark a function that handles a request, and is passed its dependencies."""
    counted[function.__code__] = ["handler", "built"]
    return function


def event_handler(function: F) -> F:
    """Mark what handles an event."""
    counted[function.__code__] = ["event handler"]
    return function


def middleware(function: F) -> F:
    """Mark what stands around a handler."""
    counted[function.__code__] = ["middleware"]
    return function


# What several peers have in common.
NO_CONTAINER = "has no container, and none is documented for it"
NO_MIDDLEWARES = "has no middlewares"
NO_EVENTS = "has no events"
EVENTS_ONLY = "knows events alone"
INSTANCES_ONLY = "takes handlers that are built already, and builds none"
BUILT_ONCE = "its handlers are built once, not for each send"
HANDLER_PUBLISHES = (
    "collects no events: the handler publishes them itself, while it may still fail"
)
PUBLISHES_BY_HAND = (
    "collects no events: the handler publishes them itself, while it may still fail; "
    "knows no broker: an event handler encodes by hand"
)

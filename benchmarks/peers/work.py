"""What the adapters are made of: the work that every peer has to do, and count."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter_ns
from types import CodeType
from typing import Any, TypeVar
from uuid import UUID

import msgspec

KEPT = 1_000
EVENT_ID = UUID("0b8f9d5e-6a1c-4c1e-9b57-5a3f0d3c2e11")
"""A new id would cost as much as all the rest, everywhere."""

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
counted: dict[CodeType, str] = {}


def built(function: F) -> F:
    """Mark the `__init__` of a request handler."""
    counted[function.__code__] = "built"
    return function


def handler(function: F) -> F:
    """Mark what handles a request."""
    counted[function.__code__] = "handler"
    return function


def event_handler(function: F) -> F:
    """Mark what handles an event."""
    counted[function.__code__] = "event handler"
    return function


def middleware(function: F) -> F:
    """Mark what stands around a handler."""
    counted[function.__code__] = "middleware"
    return function


class Repo(dict[int, str]):
    """Stands in for a database."""


class Clock:
    """Tells the time, and as cheaply as can be."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now


repo = Repo()
clock = Clock()


class PassOn:
    """The least that a middleware can do, where it passes the request on."""

    async def handle(self, request: Any, handle: Any) -> Any:
        return await handle(request)

    __call__ = handle


class Proceed:
    """The least that a middleware can do, where the request goes on by itself."""

    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002, ARG002  # peers prescribe the names
        return await next()

    __call__ = handle


def pass_on(number: int) -> list[type[PassOn]]:
    """Make middlewares of types of their own."""
    return [type(f"PassOn{index}", (PassOn,), {}) for index in range(number)]


def proceed(number: int) -> list[type[Proceed]]:
    """Make middlewares of types of their own."""
    return [type(f"Proceed{index}", (Proceed,), {}) for index in range(number)]


class Authorization:
    async def handle(self, request: Any, handle: Any) -> Any:
        if request.user != "Ada":
            raise PermissionError
        return await handle(request)

    __call__ = handle


class Metrics:
    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()

    async def handle(self, request: Any, handle: Any) -> Any:
        self.requests[type(request).__name__] += 1
        return await handle(request)

    __call__ = handle


class Stopwatch:
    def __init__(self) -> None:
        self.longest = 0

    async def handle(self, request: Any, handle: Any) -> Any:
        started = perf_counter_ns()
        try:
            return await handle(request)
        finally:
            self.longest = max(self.longest, perf_counter_ns() - started)

    __call__ = handle


class Transaction:
    def __init__(self) -> None:
        self.committed = self.rolled_back = 0

    async def handle(self, request: Any, handle: Any) -> Any:
        try:
            response = await handle(request)
        except BaseException:
            self.rolled_back += 1
            raise
        self.committed += 1
        return response

    __call__ = handle


class AuthorizationThenNext:
    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002
        if request.user != "Ada":
            raise PermissionError
        return await next()

    __call__ = handle


class MetricsThenNext(Metrics):
    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002
        self.requests[type(request).__name__] += 1
        return await next()

    __call__ = handle


class StopwatchThenNext(Stopwatch):
    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002, ARG002
        started = perf_counter_ns()
        try:
            return await next()
        finally:
            self.longest = max(self.longest, perf_counter_ns() - started)

    __call__ = handle


class TransactionThenNext(Transaction):
    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002, ARG002
        try:
            response = await next()
        except BaseException:
            self.rolled_back += 1
            raise
        self.committed += 1
        return response

    __call__ = handle


BEHAVIOURS = (Authorization, Metrics, Stopwatch, Transaction)
"""The realistic command's middlewares, where they pass the request on."""

BEHAVIOURS_THEN_NEXT = (
    AuthorizationThenNext,
    MetricsThenNext,
    StopwatchThenNext,
    TransactionThenNext,
)
"""The same, where the request goes on by itself."""


# Not by decorators: a middleware as applications have it has none.
for _kind in (PassOn, Proceed, *BEHAVIOURS, *BEHAVIOURS_THEN_NEXT):
    middleware(_kind.handle)


class Envelope(msgspec.Struct, frozen=True, gc=False):
    message_type: str
    message_name: str
    message_id: UUID
    payload: Any


class Broker:
    """What is written by hand where a peer knows no message broker."""

    def __init__(self) -> None:
        self.published: deque[bytes] = deque(maxlen=KEPT)
        self._encode = msgspec.json.Encoder().encode

    def publish(self, event: Any) -> None:
        name = type(event).__name__
        envelope = Envelope("notification_event", name, event.event_id, event)
        self.published.append(self._encode(envelope))

    def bodies(self) -> Sequence[bytes]:
        return list(self.published)


def wrap(behaviours: Iterable[Any], innermost: Any) -> Any:
    """Put middlewares around a handler by hand."""
    inner = innermost
    for behaviour in reversed(list(behaviours)):
        inner = _wrap_one(behaviour, inner)
    return inner


def _wrap_one(behaviour: Any, inner: Any) -> Any:
    return lambda request: behaviour(request, inner)

"""The middlewares that every peer has to call, in the two shapes that peers ask for."""

from collections import Counter
from collections.abc import Iterable
from time import perf_counter_ns
from typing import Any

from benchmarks.peers.work import middleware


class PassOn:
    """The least that a middleware can do, where it passes the request on."""

    async def handle(self, request: Any, handle: Any) -> Any:
        return await handle(request)

    __call__ = handle


class Proceed:
    """The least that a middleware can do, where the request goes on by itself."""

    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002  # peers prescribe the names
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
    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002
        started = perf_counter_ns()
        try:
            return await next()
        finally:
            self.longest = max(self.longest, perf_counter_ns() - started)

    __call__ = handle


class TransactionThenNext(Transaction):
    async def handle(self, request: Any, next: Any) -> Any:  # noqa: A002
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


def wrap(behaviours: Iterable[Any], innermost: Any) -> Any:
    """Put middlewares around a handler by hand."""
    inner = innermost
    for behaviour in reversed(list(behaviours)):
        inner = _wrap_one(behaviour, inner)
    return inner


def _wrap_one(behaviour: Any, inner: Any) -> Any:
    return lambda request: behaviour(request, inner)

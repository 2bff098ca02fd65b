"""Handle so many requests at once, and no more."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from diator.exceptions import ConcurrencyLimitError, ConfigurationError

if TYPE_CHECKING:
    from diator.middlewares.base import Handle


class ConcurrencyLimitMiddleware:
    """
    Let so many requests through at once, and have some wait for their turn.

    They get it in the order in which they came. One that comes when too many are
    waiting is refused, so that an overload shows at once instead of as ever longer
    waits. Place it outside of what takes a connection, and inside of a
    `TimeoutMiddleware`, whose deadline then counts the wait, too.

    All requests that go through one instance count together. What is sent by a request
    that has its turn (nested sends, also those of `Mediator.independent()` and of its
    tasks) is a part of it, and does not wait. Of two limits, one is to be inside of
    the other wherever they meet, or they may wait for each other.

    It works around events as well. A stream has its turn until it has ended, however
    long its reader takes, and so what its reader sends should not need the same limit.

    Args:
        limit: How many are let through at once.
        waiting: How many may wait.

    Raises:
        ConfigurationError: `limit` is not above 0, or `waiting` is below it.

    """

    def __init__(self, limit: int, *, waiting: int) -> None:
        if limit < 1 or waiting < 0:
            msg = (
                "limit must be at least 1 and waiting at least 0, "
                f"not {limit} and {waiting}"
            )
            raise ConfigurationError(msg)
        self._limit = limit
        self._may_wait = waiting
        # With their turn, or waiting for it.
        self._inside = 0
        self._turns = asyncio.Semaphore(limit)

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Pass a request on when it is its turn.

        Raises:
            ConcurrencyLimitError: Too many are waiting.

        """
        # Of those that have ended, a task may have outlived the request.
        around = tuple(turn for turn in _turns.get() if not turn.is_over)
        if any(turn.limit is self for turn in around):
            return await handle(request)
        if self._inside >= self._limit + self._may_wait:
            raise ConcurrencyLimitError(request, self._limit, self._may_wait)
        self._inside += 1
        try:
            async with self._turns:
                turn = _Turn(self)
                token = _turns.set((*around, turn))
                try:
                    return await handle(request)
                finally:
                    turn.is_over = True
                    _turns.reset(token)
        finally:
            self._inside -= 1


class _Turn:
    __slots__ = ("is_over", "limit")

    def __init__(self, limit: ConcurrencyLimitMiddleware) -> None:
        self.limit = limit
        self.is_over = False


_turns: ContextVar[tuple[_Turn, ...]] = ContextVar("diator_turns", default=())

"""Try a request again."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from random import uniform
from typing import TYPE_CHECKING, Any, cast

from diator.exceptions import ConfigurationError
from diator.handler import is_async
from diator.requests.request import StreamRequest

if TYPE_CHECKING:
    from diator.middlewares.base import Handle

Transient = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Which failures may pass: of a type, or of types, or those a predicate says so of."""


class RetryMiddleware:
    """
    Handle a request again when it fails in a way that may pass.

    Each attempt gets a new handler, and the events of one that failed are dropped. The
    scope is that of the send, so that all attempts share its session: a
    `TransactionMiddleware` belongs inside, to begin anew with each. The last failure
    is raised as it is.

    The wait before another attempt is random, so that those who failed together do not
    come back together: from nothing up to `delay` at first, and up to twice as much
    after each further failure ("full jitter", see
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

    Streams pass untouched, for their reader may have some of the items already. Around
    events it works, too, but all handlers of an event get it again, also those that
    succeeded, and what it is told of is their `EventsError`.

    Args:
        transient: The failures that are worth another attempt.
        attempts: How often a request is handled at most.
        delay: The longest wait after the first failure, in seconds.
        max_delay: The longest wait of all, in seconds.

    Raises:
        ConfigurationError: One of the arguments cannot work.

    """

    def __init__(
        self,
        transient: Transient,
        *,
        attempts: int = 3,
        delay: float = 0.1,
        max_delay: float = 5.0,
    ) -> None:
        if attempts < 1:
            msg = f"attempts must be at least 1, not {attempts}"
            raise ConfigurationError(msg)
        if not (delay >= 0 and max_delay >= 0):
            msg = f"waits are seconds, at least 0, not {delay} and {max_delay}"
            raise ConfigurationError(msg)
        self._is_transient = _predicate(transient)
        self._attempts = attempts
        self._delay = delay
        self._max_delay = max_delay

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """Handle a request, up to so many times."""
        ceiling = self._delay
        again = 0 if isinstance(request, StreamRequest) else self._attempts - 1
        for _ in range(again):
            try:
                return await handle(request)
            except Exception as error:
                if not self._is_transient(error):
                    raise
                # Here, so that whatever ends the wait shows what it was for.
                await asyncio.sleep(uniform(0, min(ceiling, self._max_delay)))  # noqa: S311  # no secret
                ceiling *= 2
        return await handle(request)


def _predicate(transient: Any) -> Callable[[Exception], bool]:
    if _names_failures(transient):
        return lambda error: isinstance(error, transient)
    if not callable(transient) or inspect.isclass(transient) or is_async(transient):
        msg = (
            f"{transient!r} does not tell which failures may pass: give a type of "
            "exceptions, a tuple of such types, or a function of the exception that "
            "returns a bool"
        )
        raise ConfigurationError(msg)
    return cast("Callable[[Exception], bool]", transient)


def _names_failures(transient: Any) -> bool:
    if isinstance(transient, tuple):
        return all(map(_names_failures, cast("tuple[object, ...]", transient)))
    return inspect.isclass(transient) and issubclass(transient, Exception)

"""Give up on what takes too long."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from math import inf
from typing import TYPE_CHECKING, Any

from diator.exceptions import ConfigurationError, DeadlineExceededError

if TYPE_CHECKING:
    from diator.middlewares.base import Handle


class TimeoutMiddleware:
    """
    Cancel the rest of the chain when it takes longer than some seconds.

    What it sets is a deadline, a point in time, that holds for everything below:
    nested sends, also those of `Mediator.independent()`, in whatever task. One that
    comes to a `TimeoutMiddleware` with a later deadline keeps to the nearer one. A task
    that outlives the send it was started in is no more bound by its deadline. A
    cancellation from outside stays one.

    It works around events as well. Around a stream, the time that its reader takes
    counts, too.

    Args:
        seconds: How long it may take.

    Raises:
        ConfigurationError: The seconds are no number above 0.

    """

    def __init__(self, seconds: float) -> None:
        if not 0 < seconds < inf:
            msg = f"a timeout is a number of seconds above 0, not {seconds}"
            raise ConfigurationError(msg)
        self._seconds = seconds

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Pass a request on, and wait for its answer until the deadline.

        Raises:
            DeadlineExceededError: The deadline passed.

        """
        loop = asyncio.get_running_loop()
        around = _nearest()
        deadline = _Deadline(request, self._seconds, loop, around)
        if around is not None and around.time <= deadline.time:
            # Whoever set that one will cancel this here as well.
            return await handle(request)
        timeout = asyncio.timeout_at(deadline.time)
        token = _innermost.set(deadline)
        try:
            async with timeout:
                return await handle(request)
        except TimeoutError as error:
            # Another one may come from inside, such as that of a socket.
            if not timeout.expired():
                raise
            raise deadline.error() from error
        finally:
            deadline.end()
            _innermost.reset(token)


def remaining() -> float | None:
    """
    Give the seconds that are left until the nearest deadline around.

    A client that is given them as its timeout gives up no later than the send, and can
    tell its server so: `await client.get(url, timeout=remaining())`. There is always
    some time left, because clients take a timeout of 0 for none.

    Returns:
        The seconds, more than 0; None where no `TimeoutMiddleware` is around.

    Raises:
        DeadlineExceededError: The deadline has passed, and nothing was awaited since
            that could have been cancelled.

    """
    deadline = _nearest()
    if deadline is None:
        return None
    seconds = deadline.time - deadline.loop.time()
    if seconds <= 0:
        raise deadline.error()
    return seconds


class _Deadline:
    def __init__(
        self,
        request: Any,
        seconds: float,
        loop: asyncio.AbstractEventLoop,
        outer: _Deadline | None,
    ) -> None:
        # Kept, because in a thread none is running.
        self.loop = loop
        self.outer = outer
        self.time = loop.time() + seconds
        self.is_over = False
        self._request = request
        self._seconds = seconds

    def error(self) -> DeadlineExceededError:
        return DeadlineExceededError(self._request, self._seconds)

    def end(self) -> None:
        self.is_over = True
        # A task that was left behind must not keep it in memory.
        self._request = None


_innermost: ContextVar[_Deadline | None] = ContextVar("diator_deadline", default=None)


def _nearest() -> _Deadline | None:
    """Give the deadline that holds here: of those around, the innermost is nearest."""
    deadline = _innermost.get()
    # A task may outlive what it was started in.
    while deadline is not None and deadline.is_over:
        deadline = deadline.outer
    return deadline

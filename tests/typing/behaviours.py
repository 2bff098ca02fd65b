# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
What the behaviours take.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from typing import assert_type

from diator import Mediator
from diator.middlewares.retry import RetryMiddleware
from diator.middlewares.timeout import TimeoutMiddleware, remaining


def is_locked(error: Exception) -> bool:
    return "locked" in str(error)


async def is_locked_later(error: Exception) -> bool:
    return "locked" in str(error)


def retry(mediator: Mediator) -> None:
    mediator.use(RetryMiddleware(ConnectionError))
    mediator.use(RetryMiddleware((ConnectionError, TimeoutError), attempts=5))
    mediator.use(RetryMiddleware(is_locked, delay=1, max_delay=2.5))
    mediator.use(RetryMiddleware(lambda error: error.args == ()))
    RetryMiddleware(is_locked_later)  # type: ignore[arg-type]  # not awaited
    RetryMiddleware(int)  # type: ignore[arg-type]  # no failure
    RetryMiddleware(BaseException)  # type: ignore[arg-type]  # cancellation passes
    RetryMiddleware(ConnectionError, 5)  # type: ignore[call-arg]  # by keyword
    RetryMiddleware()  # type: ignore[call-arg]  # everything would be too much


def timeout(mediator: Mediator) -> None:
    mediator.use(TimeoutMiddleware(5))
    mediator.use(TimeoutMiddleware(0.5))
    assert_type(remaining(), float | None)
    TimeoutMiddleware()  # type: ignore[call-arg]  # no timeout fits all
    TimeoutMiddleware("5")  # type: ignore[arg-type]  # no number

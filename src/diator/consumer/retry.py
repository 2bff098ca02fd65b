"""When to try again, and what for."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from diator.exceptions import ConfigurationError, DiatorError, EventError

# What is put aside is for people to read, who need no more of it.
MAX_CAUSE_LENGTH = 2_000

# So that no power of two gets too large to count with.
MAX_DOUBLINGS = 64


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """
    How long to wait before trying again: twice as long each time.

    A random part of up to a half is taken off, so that what failed together does not
    come back together.

    Attributes:
        first: How many seconds after the first failure, at most.
        longest: How many seconds at most, however often it failed.

    Raises:
        ConfigurationError: They are not above 0, or the longest is the shorter one.

    """

    first: float = 0.1
    longest: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.longest:
            msg = f"a backoff cannot begin with {self.first} s and end with "
            msg += f"{self.longest} s"
            raise ConfigurationError(msg)

    def delay(self, failures: int) -> float:
        """Give the seconds to wait after a number of failures, at least 1."""
        doublings = min(failures - 1, MAX_DOUBLINGS)
        delay = min(self.first * 2.0**doublings, self.longest)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311  # no secret


def is_transient(error: Exception) -> bool:
    """
    Tell a passing failure from a lasting one, as well as that can be done in general.

    Errors of diator itself (a request that is not valid, a handler that is missing or
    cannot be built) are lasting: they come again each time. All others may pass.
    """
    return not isinstance(error, DiatorError)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give what an error comes from: the members of groups, what failed at an event."""
    if isinstance(error, BaseExceptionGroup):
        for member in _members(error):
            yield from causes(member)
    elif isinstance(error, EventError) and error.__cause__ is not None:
        yield from causes(error.__cause__)
    else:
        yield error


def described(error: BaseException) -> str:
    """Say what an error is, in words that any broker can keep."""
    text = "; ".join(_sentences(error))[:MAX_CAUSE_LENGTH]
    return text.encode(errors="backslashreplace").decode()


def _sentences(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for member in _members(error):
            yield from _sentences(member)
        return
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # whatever its author did wrong
        text = ""
    yield f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, EventError) and error.__cause__ is not None:
        yield from _sentences(error.__cause__)


def _members(group: Any) -> tuple[BaseException, ...]:
    members: tuple[BaseException, ...] = group.exceptions
    return members

"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from diator.exceptions import ConfigurationError

# So that no power of two gets too large to count with.
MAX_DOUBLINGS = 64

MAX_SECONDS = 366 * 86_400.0  # What is longer, no calendar could hold at some point.


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
        ConfigurationError: They are not above 0, or the longest is the shorter one, or
            more than a year.

    """

    first: float = 0.1
    longest: float = 30.0

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.longest <= MAX_SECONDS:
            msg = f"a backoff cannot begin with {self.first} s and end with "
            msg += f"{self.longest} s"
            raise ConfigurationError(msg)

    def delay(self, failures: int) -> float:
        """Give the seconds to wait after a number of failures, at least 1."""
        doublings = min(failures - 1, MAX_DOUBLINGS)
        delay = min(self.first * 2.0**doublings, self.longest)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311  # no secret

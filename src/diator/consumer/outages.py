"""Whether the broker can be reached, and how to get through to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from diator.backoff import Backoff
from diator.cancellation import raise_if_cancelled
from diator.consumer.failures import described
from diator.consumer.telling import tell
from diator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RECONNECTING = Backoff(first=0.1, longest=5.0)
"""
How long to wait for a broker that cannot be reached.

Not so long that a consumer would still sleep when it is back.
"""


class Outages:
    """
    What is known of a broker's being away.

    Args:
        group: The consumer group, for logs.
        stop: Is called when the broker can never do what is asked of it.

    Attributes:
        is_connected: Whether the broker answered last time.
        broken_by: Why there is no use in going on, None while there is.

    """

    def __init__(self, group: str, stop: Callable[[], None]) -> None:
        self._group = group
        self._stop = stop
        self.is_connected = False
        self.broken_by: ConfigurationError | None = None

    def note(self, doing: str, error: BaseException) -> None:
        """Note, and log, that the broker failed while something was done."""
        self.is_connected = False
        tell(
            "warning" if isinstance(error, OSError) else "error",
            "broker failed",
            doing=doing,
            group=self._group,
            # What a broker says of itself holds nothing of the messages.
            error=described(error, places=False),
        )
        if isinstance(error, ConfigurationError) and self.broken_by is None:
            # No repetition will change it. What is being handled can still finish.
            self.broken_by = error
            self._stop()

    def delay(self, failures: int) -> float:
        """Tell how many seconds to wait after so many failures in a row."""
        return RECONNECTING.delay(failures)

    async def insist(self, doing: str, call: Callable[[], Awaitable[None]]) -> bool:
        """Tell the broker something until it has taken it, unless it never will."""
        failures = 0
        while True:
            try:
                await call()
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # nothing must end the consumer
                raise_if_cancelled(error)
                failures += 1
                self.note(doing, error)
                if isinstance(error, ConfigurationError):
                    return False
                await asyncio.sleep(self.delay(failures))
            else:
                self.is_connected = True
                return True

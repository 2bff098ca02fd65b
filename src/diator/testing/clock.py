"""A clock that tests can move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class MovableClock:
    """
    The clock of the running event loop, which goes on when all tasks wait.

    In `with MovableClock() as clock:`, waits that would take seconds end at once, in
    their order, and take exactly as long as they say. It is for asyncio's own loops
    and for tasks alone: who waits for a socket or a thread finds time flying.

    Args:
        start: The date that it begins with; 1 January 2030, in UTC, if left out.

    """

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._seconds = 0.0

    def now(self) -> datetime:
        """Give the date, for what is injected into handlers as their clock."""
        return self._start + timedelta(seconds=self._seconds)

    def advance(self, seconds: float) -> None:
        """
        Let time pass at once, while a task works.

        Args:
            seconds: How much time passes; what waits for it goes on at the next await.

        Raises:
            ValueError: They are less than 0: time does not go back.

        """
        if seconds < 0:
            msg = f"seconds must be at least 0, not {seconds}"
            raise ValueError(msg)
        self._seconds += seconds

    def __enter__(self) -> Self:
        # Of any type, for what is replaced is not for the public.
        loop: Any = asyncio.get_running_loop()
        self._loop = loop
        self._time = self._loop.time
        self._select = self._loop._selector.select  # noqa: SLF001  # no public way
        begun = self._time() - self._seconds

        def skip(timeout: float | None) -> Any:
            ready = self._select(timeout and 0)
            if timeout and not ready:
                self._seconds += timeout
            return ready

        # Going on from the loop's own time, timers that are set already stay right.
        self._loop.time = lambda: begun + self._seconds
        self._loop._selector.select = skip  # noqa: SLF001  # as above
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        skipped = self._loop.time() - self._time()
        self._loop.time = self._time
        self._loop._selector.select = self._select  # noqa: SLF001  # as above
        # What still waits has as long to wait as before, and so in the same order.
        for timer in self._loop._scheduled:  # noqa: SLF001  # as above
            timer._when -= skipped  # noqa: SLF001  # as above

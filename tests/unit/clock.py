"""Time that passes at once."""

from __future__ import annotations

import asyncio
from typing import Any


class Clock:
    """
    The clock of the running event loop, which goes on when all tasks wait.

    Waits that would take seconds then end at once, in their order, and take exactly
    as long as they say.

    Attributes:
        now: The time, in seconds. Setting it lets time pass while a task works.

    """

    def __init__(self) -> None:
        self.now = 0.0
        loop: Any = asyncio.get_running_loop()
        select = loop._selector.select

        def skip(timeout: float | None) -> Any:
            ready = select(timeout and 0)
            if timeout and not ready:
                self.now += timeout
            return ready

        loop.time = lambda: self.now
        loop._selector.select = skip

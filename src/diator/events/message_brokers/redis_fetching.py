"""Fetch messages from Redis in a task, so that to cancel the waiting loses none."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from diator.events.message_brokers.redis_connections import end_task
from diator.events.message_brokers.subscription import Delivery


class Fetcher:
    """
    Hands out what was fetched, and fetches when there is none.

    Args:
        fetch: Fills the buffer, with about as many as it is told.
        is_behind: Tells whether to fetch although there are some.

    Attributes:
        buffer: What was fetched, and is not handed out yet.

    """

    def __init__(
        self,
        fetch: Callable[[int], Awaitable[None]],
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self.buffer: deque[Delivery] = deque()
        self._fetch = fetch
        self._is_behind = is_behind
        self._fetching: asyncio.Future[None] | None = None

    async def receive(self, limit: int) -> list[Delivery]:
        """
        Wait for messages, and give at least one and at most `limit`.

        Raises:
            Exception: What fetching raised.

        """
        while self._is_behind() or not self.buffer:
            # It goes on when the caller is cancelled: what the broker has given by then
            # is here, and the connection remains of use.
            if self._fetching is None:
                self._fetching = asyncio.ensure_future(self._fetch(limit))
            await asyncio.wait([self._fetching])
            fetching, self._fetching = self._fetching, None
            fetching.result()
        number = min(limit, len(self.buffer))
        return [self.buffer.popleft() for _ in range(number)]

    async def aclose(self) -> None:
        """End what is being fetched."""
        if self._fetching is not None:
            await end_task(self._fetching)
            self._fetching = None

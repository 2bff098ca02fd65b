"""Send together what many callers want sent at the same time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

MAX_BATCH = 1_000
"""
How many items at least make a batch full.

Larger ones go no faster, but hold up the callers at their beginning.
"""

Item = TypeVar("Item")
Outcomes = Sequence[Exception | None]
Send = Callable[[Sequence[Item], float], Awaitable[Outcomes]]
"""Sends items until a deadline and tells of each; raises only when cancelled."""


class Batcher(Generic[Item]):
    """
    Keep one batch in flight; the next one is whatever was queued meanwhile.

    Who comes alone sends by itself, in its own task. A task of the batcher's own lives
    only while others wait. It belongs to one event loop.

    Args:
        send: Sends a batch.
        timeout: After how many seconds a caller has its answer, whatever happens.

    """

    def __init__(self, send: Send[Item], timeout: float) -> None:
        self._send = send
        self._timeout = timeout
        self._busy = False
        self._queue: deque[_Entry[Item]] = deque()
        self._in_flight: list[_Entry[Item]] = []
        # Event loops hold their tasks weakly.
        self._flusher: asyncio.Task[None] | None = None

    async def send(self, items: Sequence[Item]) -> Outcomes:
        """Send items, in one batch, and give what became of each."""
        deadline = asyncio.get_running_loop().time() + self._timeout
        if self._busy:
            return await self._wait(items, deadline)
        self._busy = True
        try:
            return await self._send(items, deadline)
        finally:
            self._go_on()

    async def drain(self) -> None:
        """Wait until everything that was given so far has been dealt with."""
        if self._busy:
            deadline = asyncio.get_running_loop().time() + self._timeout
            await self._wait((), deadline)

    async def _wait(self, items: Sequence[Item], deadline: float) -> Outcomes:
        loop = asyncio.get_running_loop()
        entry = _Entry(items, deadline, loop.create_future())
        self._queue.append(entry)
        timer = loop.call_at(deadline, self._expire, entry)
        try:
            return await entry.outcomes
        finally:
            timer.cancel()

    def _expire(self, entry: _Entry[Item]) -> None:
        told = "it may have been sent" if entry.in_flight else "nothing was sent"
        entry.fail(TimeoutError, f"{told}: it took more than {self._timeout:g} s")

    def _go_on(self) -> None:
        if not self._queue:
            self._busy = False
            return
        # What is sent for many must not run in the context of one of them.
        self._flusher = asyncio.create_task(self._flush(), context=Context())
        self._flusher.add_done_callback(self._tell_stranded)

    async def _flush(self) -> None:
        while self._queue:
            items = self._fill_batch()
            if items:
                deadline = self._in_flight[-1].deadline
                self._hand_out(await self._send(items, deadline))
            self._hand_out(())
        self._busy = False
        self._flusher = None

    def _fill_batch(self) -> list[Item]:
        items: list[Item] = []
        while self._queue and len(items) < MAX_BATCH:
            entry = self._queue.popleft()
            # Whose caller was cancelled, or has been told of a timeout, is left out.
            if not entry.outcomes.done():
                entry.in_flight = True
                self._in_flight.append(entry)
                items += entry.items
        return items

    def _hand_out(self, outcomes: Outcomes) -> None:
        end = 0
        for entry in self._in_flight:
            start, end = end, end + len(entry.items)
            entry.settle(outcomes[start:end])
        self._in_flight.clear()

    def _tell_stranded(self, flusher: asyncio.Task[None]) -> None:
        if flusher.cancelled():
            reason = "the task that sends was cancelled"
        elif (error := flusher.exception()) is not None:
            reason = repr(error)
        else:
            return
        for entry in (*self._in_flight, *self._queue):
            told = "it may have been sent" if entry.in_flight else "nothing was sent"
            entry.fail(ConnectionError, f"{told}: {reason}")
        self._in_flight.clear()
        self._queue.clear()
        self._busy = False
        self._flusher = None


class _Entry(Generic[Item]):
    """What one caller wants sent."""

    __slots__ = ("deadline", "in_flight", "items", "outcomes")

    def __init__(
        self, items: Sequence[Item], deadline: float, outcomes: asyncio.Future[Outcomes]
    ) -> None:
        self.items = items
        self.deadline = deadline
        self.outcomes = outcomes
        self.in_flight = False

    def settle(self, outcomes: Outcomes) -> None:
        if not self.outcomes.done():
            self.outcomes.set_result(outcomes)

    def fail(self, error_type: type[Exception], message: str) -> None:
        self.settle([error_type(message) for _ in self.items])

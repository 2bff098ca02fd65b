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

# A tuple, because a class of its own would cost each caller more than its place in the
# queue does.
Entry = tuple[Sequence[Item], float, asyncio.Future[Outcomes]]
"""What one caller wants sent, until when, and the future of its outcomes."""


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
        # Both are in the order of their deadlines, since all wait equally long.
        self._in_flight: list[Entry[Item]] = []
        self._queue: deque[Entry[Item]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        # Event loops hold their tasks weakly.
        self._flusher: asyncio.Task[None] | None = None

    async def send(self, items: Sequence[Item]) -> Outcomes:
        """Send items, in one batch, and give what became of each."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        if self._busy:
            waiting: asyncio.Future[Outcomes] = loop.create_future()
            self._queue.append((items, deadline, waiting))
            if self._timer is None:
                self._set_timer(deadline)
            return await waiting
        self._busy = True
        try:
            return await self._send(items, deadline)
        finally:
            self._go_on()

    async def drain(self) -> None:
        """Wait until everything that was given so far has been dealt with."""
        if self._busy:
            await self.send(())

    def _set_timer(self, deadline: float) -> None:
        # One for all, because a timer each would cost as much as all else that waiting
        # does. It outlives who sets it, and must not hold on to their context.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(deadline, self._expire, context=Context())

    def _expire(self) -> None:
        """Tell those who have waited for too long, and wait for the next of them."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        reason = f"it took more than {self._timeout:g} s"
        for told, entries in (
            ("it may have been sent", self._in_flight),
            ("nothing was sent", self._queue),
        ):
            for entry in entries:
                _, deadline, _ = entry
                if deadline > now:
                    self._set_timer(deadline)
                    return
                _fail(entry, TimeoutError(f"{told}: {reason}"))

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
                _, deadline, _ = self._in_flight[-1]
                self._hand_out(await self._send(items, deadline))
            self._hand_out(())
        self._rest()

    def _fill_batch(self) -> list[Item]:
        batch: list[Item] = []
        while self._queue and len(batch) < MAX_BATCH:
            entry = self._queue.popleft()
            items, _, waiting = entry
            # Whose caller was cancelled, or has been told of a timeout, is left out.
            if not waiting.done():
                self._in_flight.append(entry)
                batch += items
        return batch

    def _hand_out(self, outcomes: Outcomes) -> None:
        end = 0
        for items, _, waiting in self._in_flight:
            start, end = end, end + len(items)
            if not waiting.done():
                waiting.set_result(outcomes[start:end])
        self._in_flight.clear()

    def _rest(self) -> None:
        self._busy = False
        self._flusher = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell_stranded(self, flusher: asyncio.Task[None]) -> None:
        if flusher.cancelled():
            reason = "the task that sends was cancelled"
        elif (error := flusher.exception()) is not None:
            reason = repr(error)
        else:
            return
        for entry in self._in_flight:
            _fail(entry, ConnectionError(f"it may have been sent: {reason}"))
        for entry in self._queue:
            _fail(entry, ConnectionError(f"nothing was sent: {reason}"))
        self._in_flight.clear()
        self._queue.clear()
        self._rest()


class LoopBatchers(Generic[Item]):
    """
    Give the batcher of the event loop that runs.

    Args:
        send: As for `Batcher`.
        timeout: As for `Batcher`.

    """

    def __init__(self, send: Send[Item], timeout: float) -> None:
        self._send = send
        self._timeout = timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batcher = Batcher(send, timeout)

    def of_this_loop(self) -> Batcher[Item]:
        """Give the same one, until it is asked for in another event loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._batcher = Batcher(self._send, self._timeout)
        return self._batcher


def _fail(entry: Entry[Item], error: Exception) -> None:
    items, _, waiting = entry
    if not waiting.done():
        waiting.set_result([error] * len(items))

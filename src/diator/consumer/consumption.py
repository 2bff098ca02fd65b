"""One run of a consumer, from the first message to the last one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from diator.consumer.failures import described
from diator.consumer.held import Held
from diator.consumer.lanes import Lanes
from diator.consumer.outages import Outages
from diator.consumer.retry import is_outage, is_worthwhile
from diator.consumer.settling import Settling
from diator.consumer.telling import tell_message
from diator.exceptions import UnknownMessageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from diator.consumer.dispatch import Dispatch
    from diator.consumer.settings import Counters, Settings
    from diator.events.message_brokers.subscription import Delivery, Subscription

SETTLING_SECONDS = 2.0
"""
How long the end may take, after what was handled has finished or was cancelled.

To tell the broker is a matter of milliseconds, and where it cannot be told it delivers
again.
"""

BATCHES = 4
"""
In how many parts what may be held is received, and acknowledged.

With one message less, and one message more, each time, the broker would be asked as
often as there are messages: half of the throughput.
"""

SUSPICIOUS_ATTEMPT = 3
"""
From which delivery on a message is handled alone.

The first time, whatever was held may have ended the process, and the second time what
was handled together. Alone, what is innocent shows that it is.
"""


class Consumption:
    """
    Receives messages and has them handled, once.

    Args:
        subscribe: Opens the subscription.
        dispatch: Handles a message.
        settings: How.
        counters: Count what was done.

    """

    _subscription: Subscription
    _settling: Settling

    def __init__(
        self,
        subscribe: Callable[[], AbstractAsyncContextManager[Subscription]],
        dispatch: Dispatch,
        settings: Settings,
        counters: Counters,
    ) -> None:
        self._open = subscribe
        self._dispatch = dispatch
        self._settings = settings
        self._batch = max(1, settings.prefetch // BATCHES)
        self._counters = counters
        self._stopping = asyncio.Event()
        # Whether a message that is cancelled now was so by the consumer.
        self._is_giving_up = False
        self._lanes: Lanes[Held] = Lanes()
        self._held: set[Held] = set()
        # What is handled alone, or will be when all else is settled.
        self._alone: Held | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        # Set when there is room for more.
        self._room = asyncio.Event()
        self._outages = Outages(settings.group, self._stopping.set)

    @property
    def in_flight(self) -> int:
        """How many messages are held."""
        return len(self._held)

    @property
    def is_connected(self) -> bool:
        """Whether the broker answered last time."""
        return self._outages.is_connected

    def stop(self) -> None:
        """Have it finish."""
        self._stopping.set()

    async def run(self) -> None:
        """
        Receive and handle, until it is to stop; then finish.

        Raises:
            ConfigurationError: The broker cannot do what is asked of it.

        """
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            if not await self._subscribe(stack):
                return
            receiving = asyncio.create_task(self._receive())
            extending = asyncio.create_task(self._extend())
            acknowledging = asyncio.create_task(
                self._settling.acknowledge(self._is_batch)
            )
            try:
                await self._stopping.wait()
                await _cancel(receiving)
                await self._drain()
            finally:
                self._is_giving_up = True
                await self._end(receiving, extending, acknowledging)
        if self._outages.broken_by is not None:
            raise self._outages.broken_by

    # --- Receiving ---

    async def _subscribe(self, stack: AsyncExitStack) -> bool:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._subscription = await stack.enter_async_context(self._open())
            except Exception as error:
                self._outages.note("subscribing", error)
                # A `ConnectionError` is one. All else will not be better later.
                if not isinstance(error, OSError):
                    raise
                failures += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._outages.delay(failures)):
                        await self._stopping.wait()
            else:
                self._outages.is_connected = True
                self._settling = Settling(
                    self._subscription, self._outages, self._let_go
                )
                return True
        return False

    async def _receive(self) -> None:
        failures = 0
        while True:
            while len(self._held) + self._batch > self._settings.prefetch:
                self._room.clear()
                await self._room.wait()
            try:
                deliveries = await self._subscription.receive(
                    self._settings.prefetch - len(self._held)
                )
            except Exception as error:  # noqa: BLE001  # nothing must end it
                failures += 1
                self._outages.note("receiving", error)
                await asyncio.sleep(self._outages.delay(failures))
                continue
            failures = 0
            self._outages.is_connected = True
            for delivery in deliveries:
                held = Held(delivery)
                self._held.add(held)
                self._lanes.add(held, held.lane)
            self._start()
            # A broker in memory may never wait for anything.
            await asyncio.sleep(0)

    def _start(self) -> None:
        while len(self._tasks) < self._settings.concurrency:
            if self._stopping.is_set():
                break
            held = self._alone or self._lanes.take()
            if held is None:
                break
            if self._is_suspicious(held.delivery):
                self._alone = held
                # What is not acknowledged would come again with it, and be suspected.
                if self._tasks or any(other.is_decided for other in self._held):
                    break
            # Each in a context of its own, so that none finds what another left there.
            held.task = self._loop.create_task(
                self._handle(held), context=self._context.copy()
            )
            self._tasks.add(held.task)

    def _is_suspicious(self, delivery: Delivery) -> bool:
        most = self._settings.max_attempts
        return max(2, min(SUSPICIOUS_ATTEMPT, most)) <= delivery.attempt <= most

    # --- Handling ---

    async def _handle(self, held: Held) -> None:
        try:
            await self._try(held)
        finally:
            self._tasks.discard(held.task)
            # While it pauses, others have its place, but none of those behind it.
            if held.pause is None:
                self._lanes.leave(held.lane)
            self._start()

    async def _try(self, held: Held) -> None:
        if not self._subscription.begin(held.delivery):
            held.is_decided = True
            self._log("warning", "message left to another member", held)
            self._let_go([held])
            return
        if held.attempt > self._settings.max_attempts:
            cause = (
                f"tried {held.attempt - 1} times without an end, as by a process that "
                "crashed"
            )
            await self._dead_letter(held, cause)
            return
        if not held.is_begun:
            held.is_begun = True
            if held.delivery.attempt > 1:
                # It was received without being counted, for it might not be begun.
                count = partial(self._subscription.extend, [held.delivery])
                if not await self._outages.insist("extending", count):
                    return
        failure = await self._failure(held)
        if failure is None:
            return
        await self._forget_cancellation(held)
        counts = not self._is_outage(held, failure)
        is_last = counts and held.attempt >= self._settings.max_attempts
        if is_last or not is_worthwhile(failure, self._settings.is_transient):
            await self._dead_letter(held, described(failure), failure)
            return
        self._counters.retried += 1
        self._log("warning", "message failed", held, failure)
        pause = self._settings.backoff.delay(held.attempt + held.outages)
        if counts:
            held.attempt += 1
        else:
            held.outages += 1
        held.pause = self._loop.call_later(pause, self._resume, held)
        if self._alone is held:
            self._alone = None

    def _resume(self, held: Held) -> None:
        held.pause = None
        self._lanes.again(held)
        self._start()

    async def _failure(self, held: Held) -> BaseException | None:
        """Have a message handled, and give what it failed by."""
        try:
            await self._dispatch.handle(held.delivery, held.attempt)
        except UnknownMessageError as error:
            if not self._settings.skips_unknown:
                return error
            self._counters.skipped += 1
        except asyncio.CancelledError as error:
            # What a handler did to itself is a failure like others.
            if self._is_giving_up:
                raise
            return error
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # nothing must end the consumer
            return error
        else:
            self._counters.handled += 1
        self._settling.add(held)
        return None

    async def _forget_cancellation(self, held: Held) -> None:
        """
        Forget what a handler did to its task, which may be raised only now.

        Where a program ends, and cancels all tasks, the consumer has its turn meanwhile
        and says so.
        """
        task: Any = held.task
        while task.cancelling():
            task.uncancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                if self._is_giving_up:
                    raise

    def _is_outage(self, held: Held, failure: BaseException) -> bool:
        """
        Tell whether a message has failed by what all others fail by as well.

        As soon as others are handled in between, it may be its own fault.
        """
        before, held.handled = held.handled, self._counters.handled
        return before in (None, held.handled) and is_outage(failure)

    # --- Settling ---

    async def _dead_letter(
        self, held: Held, cause: str, failure: BaseException | None = None
    ) -> None:
        self._log("error", "message put aside", held, failure)
        if await self._settling.put_aside(held, cause):
            self._counters.dead_lettered += 1

    def _is_batch(self, number: int) -> bool:
        """Tell whether so many handled messages are worth being acknowledged."""
        return number >= min(self._batch, len(self._held))

    def _let_go(self, settled: Sequence[Held]) -> None:
        self._held.difference_update(settled)
        self._counters.last_progress = datetime.now(UTC)
        self._room.set()
        if self._alone in settled:
            self._alone = None
        # It may be that something waited to be alone, or for something that was.
        self._start()

    async def _extend(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat)
            deliveries = [held.counted() for held in self._held]
            if deliveries:
                try:
                    await self._subscription.extend(deliveries)
                except Exception as error:  # noqa: BLE001  # as above
                    self._outages.note("extending", error)

    # --- Ending ---

    async def _drain(self) -> None:
        """Let what is being handled finish; nothing more begins."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.drain_timeout)

    async def _end(
        self,
        receiving: asyncio.Task[None],
        extending: asyncio.Task[None],
        acknowledging: asyncio.Task[None],
    ) -> None:
        # Where it was cancelled, nothing more is to begin, either.
        self._stopping.set()
        for held in self._held:
            if held.pause is not None:
                held.pause.cancel()
        try:
            await _cancel(receiving, extending, *self._tasks)
            self._settling.finish()
            await asyncio.wait([acknowledging], timeout=SETTLING_SECONDS)
        finally:
            # Also where this is cancelled itself.
            acknowledging.cancel()
        # Of the others the broker may know already; it sees to them by itself.
        unfinished = [held.delivery for held in self._held if not held.is_decided]
        if unfinished:
            try:
                async with asyncio.timeout(SETTLING_SECONDS):
                    await self._subscription.nack(unfinished)
            except Exception as error:  # noqa: BLE001  # then it delivers them later
                self._outages.note("giving back", error)

    def _log(
        self,
        level: str,
        text: str,
        held: Held,
        failure: BaseException | None = None,
    ) -> None:
        tell_message(level, text, held, group=self._settings.group, failure=failure)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks, and wait for those that heed it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=SETTLING_SECONDS)

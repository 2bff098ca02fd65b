"""One run of a consumer, from the first message to the last one."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from diator.backoff import Backoff
from diator.consumer.lanes import Lanes
from diator.consumer.retry import causes, described
from diator.exceptions import ConfigurationError, DecodingError, UnknownMessageError
from diator.logger import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from contextlib import AbstractAsyncContextManager

    from diator.consumer.dispatch import Dispatch
    from diator.events.message_brokers.subscription import Delivery, Subscription

RECONNECTING = Backoff(first=0.1, longest=5.0)
"""
How long to wait for a broker that cannot be reached.

Not so long that a consumer would still sleep when it is back.
"""

SETTLING_SECONDS = 2.0
"""
How long the end may take, after what was handled has finished or was cancelled.

To tell the broker is a matter of milliseconds, and where it cannot be told it delivers
again.
"""

GATHERING_SECONDS = 0.002
"""
For how long what was handled waits for more of it, to be acknowledged together.

Longer than a broker takes to answer, and shorter than anybody notices. A message that
is the only one does not wait.
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

MAX_SHOWN = 200  # Names and ids in logs are no longer; others may be anything.


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `Consumer` was told, in the same words."""

    group: str
    concurrency: int
    prefetch: int
    max_attempts: int
    backoff: Backoff
    is_transient: Callable[[Exception], bool]
    skips_unknown: bool
    heartbeat: float
    drain_timeout: float


@dataclass(slots=True)
class Counters:
    """What a consumer has done so far."""

    handled: int = 0
    retried: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    last_progress: datetime | None = None


class Held:
    """
    A message that was received, and is not settled.

    Attributes:
        delivery: The message.
        lane: What others have in common with it that have to wait for it.
        attempt: Which attempt to handle it is the next, or is being made.
        task: What handles it, in the attempt that is being made or was the last.
        is_begun: Whether it was handled here already, or is being so.
        pause: What ends its waiting for the next attempt, None while it does not wait.
        is_decided: Whether the broker is being told what became of it.

    """

    __slots__ = (
        "attempt",
        "delivery",
        "is_begun",
        "is_decided",
        "lane",
        "pause",
        "task",
    )

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.lane: Hashable | None = None
        if delivery.key is not None:
            self.lane = delivery.topic, delivery.key
        self.attempt = delivery.attempt
        self.task: asyncio.Task[None] | None = None
        self.pause: asyncio.TimerHandle | None = None
        self.is_begun = False
        self.is_decided = False


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
        self._handled: list[Held] = []
        self._is_over = False
        # Why it cannot go on.
        self._broken_by: ConfigurationError | None = None
        # Set when there is room for more, and when there is something to acknowledge.
        self._room = asyncio.Event()
        self._unacknowledged = asyncio.Event()
        self.is_connected = False

    @property
    def in_flight(self) -> int:
        """How many messages are held."""
        return len(self._held)

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
            acknowledging = asyncio.create_task(self._acknowledge())
            try:
                await self._stopping.wait()
                await _cancel(receiving)
                await self._drain()
            finally:
                self._is_giving_up = True
                await self._end(receiving, extending, acknowledging)
        if self._broken_by is not None:
            raise self._broken_by

    # --- Receiving ---

    async def _subscribe(self, stack: AsyncExitStack) -> bool:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._subscription = await stack.enter_async_context(self._open())
            except Exception as error:
                self._tell_outage("subscribing", error)
                # A `ConnectionError` is one. All else will not be better later.
                if not isinstance(error, OSError):
                    raise
                failures += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(RECONNECTING.delay(failures)):
                        await self._stopping.wait()
            else:
                self.is_connected = True
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
                self._tell_outage("receiving", error)
                await asyncio.sleep(RECONNECTING.delay(failures))
                continue
            failures = 0
            self.is_connected = True
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
                if not await self._insist("extending", count):
                    return
        failure = await self._failure(held)
        if failure is None:
            return
        await self._forget_cancellation(held)
        if not self._is_worthwhile(failure, held.attempt):
            await self._dead_letter(held, described(failure), failure)
            return
        self._counters.retried += 1
        self._log("warning", "message failed", held, failure)
        pause = self._settings.backoff.delay(held.attempt)
        held.attempt += 1
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
        held.is_decided = True
        self._handled.append(held)
        self._unacknowledged.set()
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

    def _is_worthwhile(self, failure: BaseException, attempt: int) -> bool:
        if attempt >= self._settings.max_attempts:
            return False
        return all(self._is_transient(cause) for cause in causes(failure))

    def _is_transient(self, cause: BaseException) -> bool:
        if isinstance(cause, (DecodingError, UnknownMessageError)):
            return False
        # What is no `Exception` may be anything, a cancellation of the handler's, say.
        if not isinstance(cause, Exception):
            return True
        try:
            return self._settings.is_transient(cause)
        except Exception as error:  # noqa: BLE001  # as above
            self._write("error", "is_transient failed", error=type(error).__name__)
            return True

    # --- Settling ---

    async def _acknowledge(self) -> None:
        """Acknowledge what was handled: each time all that was since the last time."""
        while self._handled or not self._is_over:
            if not self._handled:
                self._unacknowledged.clear()
                await self._unacknowledged.wait()
                continue
            if len(self._handled) < min(self._batch, len(self._held)):
                await asyncio.sleep(GATHERING_SECONDS)
            handled, self._handled = self._handled, []
            deliveries = [held.delivery for held in handled]
            acknowledge = partial(self._subscription.ack, deliveries)
            if await self._insist("acknowledging", acknowledge):
                self._let_go(handled)

    async def _dead_letter(
        self, held: Held, cause: str, failure: BaseException | None = None
    ) -> None:
        held.is_decided = True
        self._log("error", "message put aside", held, failure)
        delivery = msgspec.structs.replace(held.delivery, attempt=held.attempt)
        put_aside = partial(self._subscription.dead_letter, delivery, cause)
        if await self._insist("putting aside", put_aside):
            self._counters.dead_lettered += 1
            self._let_go([held])

    async def _insist(self, doing: str, call: Callable[[], Awaitable[None]]) -> bool:
        """Tell the broker something until it has taken it, unless it never will."""
        failures = 0
        while True:
            try:
                await call()
            except Exception as error:  # noqa: BLE001  # as above
                failures += 1
                self._tell_outage(doing, error)
                if isinstance(error, ConfigurationError):
                    return False
                await asyncio.sleep(RECONNECTING.delay(failures))
            else:
                self.is_connected = True
                return True

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
            deliveries = [_counted(held) for held in self._held]
            if deliveries:
                try:
                    await self._subscription.extend(deliveries)
                except Exception as error:  # noqa: BLE001  # as above
                    self._tell_outage("extending", error)

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
            self._is_over = True
            self._unacknowledged.set()
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
                self._tell_outage("giving back", error)

    # --- Telling ---

    def _tell_outage(self, doing: str, error: Exception) -> None:
        self.is_connected = False
        level = "warning" if isinstance(error, OSError) else "error"
        self._write(
            level,
            "broker failed",
            doing=doing,
            group=self._settings.group,
            # What a broker says of itself holds nothing of the messages.
            error=described(error),
        )
        if isinstance(error, ConfigurationError) and self._broken_by is None:
            # No repetition will change it. What is being handled can still finish.
            self._broken_by = error
            self._stopping.set()

    def _log(
        self,
        level: str,
        text: str,
        held: Held,
        failure: BaseException | None = None,
    ) -> None:
        delivery = held.delivery
        fields: dict[str, Any] = {
            "topic": delivery.topic,
            "message_name": delivery.message_name[:MAX_SHOWN],
            "message_id": delivery.message_id[:MAX_SHOWN],
            "group": self._settings.group,
            "attempt": held.attempt,
        }
        if failure is not None:
            fields["causes"] = [type(cause).__name__ for cause in causes(failure)]
        self._write(level, text, **fields)

    def _write(self, level: str, text: str, **fields: Any) -> None:
        # Neither must a processor of the application's end the consumer.
        with suppress(Exception):
            getattr(get_logger(), level)(text, **fields)


def _counted(held: Held) -> Delivery:
    """Give a delivery with the attempts that were begun, for the broker to count."""
    attempt = held.delivery.attempt
    if held.is_begun or attempt == 1:
        return held.delivery
    return msgspec.structs.replace(held.delivery, attempt=attempt - 1)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks, and wait for those that heed it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=SETTLING_SECONDS)

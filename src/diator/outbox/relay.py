"""Publish what waits in an outbox."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from diator.backoff import Backoff
from diator.cancellation import raise_if_cancelled
from diator.events.message_brokers.protocol import Message, checked
from diator.exceptions import (
    ConfigurationError,
    DiatorError,
    EncodingError,
    InUseError,
    TopicUnavailableError,
)
from diator.logger import get_logger
from diator.outbox.batch import Batches, Failure, Outcome
from diator.outbox.postgresql import LockedBuckets
from diator.outbox.sqlite import Lease, uninterrupted
from diator.outbox.tables import tables_needed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType
    from typing import Self

    from diator.events.message_brokers.protocol import MessageBroker
    from diator.outbox.batch import Waiting
    from diator.outbox.outbox import Outbox

T = TypeVar("T")

PUBLISH_SECONDS = 30.0
"""After how long a broker that does not answer counts as out of order."""

LASTING = (ConfigurationError, EncodingError)
"""Why a broker refuses a message for good, such as a topic that it has no name for."""

RETRYING = Backoff(first=1.0, longest=300.0)
"""How long a message waits that was refused: it may be somebody who mends it."""

RECOVERING = Backoff(first=0.1, longest=15.0)
"""How long a relay waits for a database or a broker that is away."""


class Relay:
    """
    Publish the messages of an outbox, in order for each key, and at least once.

    Any number of relays may be at work at once, in any number of processes; on SQLite
    one is, and the others stand by. On PostgreSQL each takes up to three connections
    of the outbox's engine. A message that is published is deleted; if the
    relay is killed in between, it is published again. One that the broker refuses is
    tried again later, and holds back those with the same key; in the end it is given
    up, see `OutboxDeadLetters`, and so it is at once where no attempt will change
    anything. What is not taken because the broker cannot be reached, or is set up
    wrongly, waits for as long as that lasts: it does not count as an attempt. A message
    that takes too long though it goes alone, and though the broker answers its `check`
    right afterwards, counts as refused.

    `async with relay:` publishes in the background, and finishes at its end what it has
    begun. A process of its own awaits `run()`.

    Args:
        outbox: Where the messages wait.
        broker: Where they go. Of messages with the same key it must take none after
            one that it refuses.
        batch_size: How many messages of a bucket at most are published together, and
            held in memory; fewer where they are large, or the broker does not keep up.
        poll_seconds: After how long it looks for messages that other processes have
            written; those of this one wake it.
        max_attempts: How often it is tried to publish a message.
        backoff: How long a message waits that was refused: from about 1 second to 5
            minutes, if left out, since it may be somebody who mends it.

    Raises:
        ConfigurationError: One of the arguments cannot work, or the database is in
            memory.

    """

    def __init__(  # noqa: PLR0913  # all of them by keyword but for two
        self,
        outbox: Outbox,
        broker: MessageBroker,
        *,
        batch_size: int = 500,
        poll_seconds: float = 1.0,
        max_attempts: int = 10,
        backoff: Backoff = RETRYING,
    ) -> None:
        _check_positive(batch_size=batch_size, max_attempts=max_attempts)
        if not poll_seconds > 0:
            msg = f"poll_seconds must be more than 0, not {poll_seconds}"
            raise ConfigurationError(msg)
        self._outbox = outbox
        self._broker = broker
        self._poll_seconds = poll_seconds
        self._max_attempts = max_attempts
        self._backoff = backoff
        dialect = outbox.engine.dialect.name
        sharing = Lease if dialect == "sqlite" else LockedBuckets
        batches = Batches(outbox.tables, batch_size, dialect)
        self._work = sharing(outbox.engine, outbox.tables, batches)
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_begun = False
        self._is_prepared = False
        # Each of those at work has attempts of its own.
        self._failing: set[object] = set()

    async def __aenter__(self) -> Self:
        """
        Begin to publish in the background.

        Raises:
            InUseError: It is running already.
            ConfigurationError: The tables are missing.
            sqlalchemy.exc.SQLAlchemyError: The database is away.

        """
        self._begin()
        try:
            await self._prepare()
        except BaseException:
            self._is_begun = False
            raise
        self._task = asyncio.create_task(self._run(is_prepared=True))
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish what is being published, and end."""
        task, self._task = self._task, None
        if task is not None:
            self.stop()
            try:
                await task
            finally:
                self._is_begun = False

    async def run(self) -> None:
        """
        Publish until `stop` is called, or the task is cancelled.

        Failures of the database or the broker end nothing, also at the beginning: they
        are logged, and it goes on after a pause.

        Raises:
            InUseError: It is running already.

        """
        self._begin()
        try:
            await self._run(is_prepared=False)
        finally:
            self._is_begun = False

    async def health(self) -> dict[str, Any]:
        """
        Say how it does, for a probe.

        Returns:
            `running`; `connected`, whether the last attempt to relay worked, or, before
            the first, the database was reached; the broker is asked only where
            something waits; and what `Outbox.status` says:
            `pending`, `oldest_seconds` and `dead`.

        """
        status = asdict(await self._outbox.status())
        return {
            "running": self._woken in self._outbox.committed,
            "connected": self._is_prepared and not self._failing,
            **status,
        }

    def stop(self) -> None:
        """Finish what is being published, and end then."""
        self._stopped.set()
        self._woken.set()

    def _begin(self) -> None:
        if self._is_begun:
            msg = "this relay is running already: make another Relay to run beside it"
            raise InUseError(msg)
        self._is_begun = True

    async def _prepare(self) -> None:
        """Find out early whether the tables are there."""
        with tables_needed():
            await uninterrupted(self._fill())

    async def _fill(self) -> None:
        async with self._outbox.engine.begin() as connection:
            await self._outbox.tables.fill(connection)

    async def _run(self, *, is_prepared: bool) -> None:
        self._outbox.committed.add(self._woken)
        try:
            if not is_prepared:
                await self._insist(self._prepare)
            self._is_prepared = True
            async with asyncio.TaskGroup() as group:
                for _ in range(self._work.at_once):
                    group.create_task(self._relay())
        finally:
            self._outbox.committed.discard(self._woken)
            self._is_prepared = False
            self._stopped.clear()
            with suppress(Exception):
                await self._work.release()

    async def _relay(self) -> None:
        """Publish one batch after another."""
        while not self._stopped.is_set():
            # Before the look, so that whatever is committed after it wakes.
            self._woken.clear()
            busy = await self._insist(self._relay_batch)
            if not busy and not self._stopped.is_set():
                await _wait(self._woken, self._poll_seconds)

    async def _relay_batch(self) -> bool:
        with tables_needed():
            return await self._work.relay(self._publish)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T | None:
        """Attempt something until nothing fails, or it is to stop."""
        failures = 0
        last: type[BaseException] | None = None
        attempts = object()
        try:
            while not self._stopped.is_set():
                try:
                    return await attempt()
                except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # drivers may raise anything
                    raise_if_cancelled(error)
                    failures += 1
                    self._failing.add(attempts)
                    _log_failure(error, failures, is_new=type(error) is not last)
                    last = type(error)
                    await _wait(self._stopped, RECOVERING.delay(failures))
        finally:
            self._failing.discard(attempts)
        return None

    async def _publish(self, batch: Sequence[Waiting]) -> Outcome:
        """Publish messages, and tell those refused from an outage."""
        results = await self._results([_message(waiting) for waiting in batch])
        # Smaller a batch cannot get: either nothing goes through, or just this one not.
        is_too_slow = (
            len(batch) == 1
            and isinstance(results[0], TimeoutError)
            and await self._is_answered()
        )
        too_slow = any(isinstance(result, TimeoutError) for result in results)
        published: list[int] = []
        failures: list[Failure] = []
        outage: Exception | None = None
        held_back: set[str] = set()
        for waiting, error in zip(batch, results, strict=True):
            if error is None:
                published.append(waiting.seq)
                continue
            if waiting.key in held_back:
                # Whatever is said of it, it is because of the one before it.
                continue
            if isinstance(error, TopicUnavailableError):
                # It would be read again and again, before those of other topics.
                delay = RECOVERING.longest
                failures.append(Failure(waiting, error, delay, counts=False))
            elif isinstance(error, OSError) and not is_too_slow:
                outage = outage or _outage(error)
            else:
                failures.append(self._failure(waiting, error))
            if waiting.key is not None:
                held_back.add(waiting.key)
        return Outcome(published, failures, outage, len(batch) if too_slow else None)

    async def _results(self, messages: list[Message]) -> list[Exception | None]:
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                results = list(await self._broker.publish(messages))
        except ConfigurationError as error:
            # Raised, and so about the broker: somebody will mend it.
            return [ConnectionError(str(error))] * len(messages)
        except Exception as error:  # noqa: BLE001  # a broker of anybody's may raise anything
            return [error] * len(messages)
        if len(results) != len(messages):
            told = (
                f"the broker gave {len(results)} results for {len(messages)} messages"
            )
            return [ValueError(told)] * len(messages)
        return results

    async def _is_answered(self) -> bool:
        """Find out whether the broker answers, if there is a way."""
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await checked(self._broker)
        except Exception:  # noqa: BLE001  # a broker of anybody's may raise anything
            return False
        return True

    def _failure(self, waiting: Waiting, error: Exception) -> Failure:
        attempts = waiting.attempts + 1
        if attempts < self._max_attempts and not isinstance(error, LASTING):
            return Failure(waiting, error, self._backoff.delay(attempts))
        _log(
            "error",
            "message given up",
            message_name=waiting.message_name,
            message_id=str(waiting.message_id),
            attempts=attempts,
            exc_info=error,
        )
        return Failure(waiting, error, None)


def _log(level: str, event: str, **fields: Any) -> None:
    # A log that fails must not keep what was published from being noted.
    with suppress(Exception):
        getattr(get_logger(), level)(event, **fields)


def _log_failure(error: BaseException, failures: int, *, is_new: bool) -> None:
    is_outage = isinstance(error, OSError)
    fields: dict[str, Any] = {"failures": failures}
    # An outage, and what diator says itself, are clear without a traceback.
    if is_new and not is_outage and not isinstance(error, DiatorError):
        fields["exc_info"] = error
    else:
        fields["error"] = _first_line(error)
    _log("warning" if is_outage else "error", "relay failed", **fields)


def _first_line(error: BaseException) -> str:
    name = type(error).__name__
    try:
        # SQLAlchemy adds the statement and its parameters on lines of their own.
        text = str(error).partition("\n")[0]
    except Exception:  # noqa: BLE001  # whatever its author did wrong
        text = ""
    return f"{name}: {text}" if text else name


def _outage(error: Exception) -> ConnectionError:
    reason = str(error) or type(error).__name__
    outage = ConnectionError(f"the message broker does not take messages: {reason}")
    outage.__cause__ = error
    return outage


def _message(waiting: Waiting) -> Message:
    headers = waiting.headers
    return Message(
        message_type=waiting.message_type,
        message_name=waiting.message_name,
        message_id=waiting.message_id,
        payload=msgspec.Raw(waiting.payload),
        topic=waiting.topic,
        key=waiting.key,
        headers={} if headers is None else _read_headers(headers),
    )


def _read_headers(headers: bytes) -> dict[str, str]:
    try:
        return _decode_headers(headers)
    except msgspec.MsgspecError as error:
        # Somebody else has written the row. It must not hold back all others.
        _log("error", "headers left out that cannot be read", reason=str(error))
        return {}


_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            msg = f"{name} must be at least 1, not {number}"
            raise ConfigurationError(msg)

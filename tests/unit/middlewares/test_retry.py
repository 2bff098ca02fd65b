"""What fails for a moment is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from diator import Mediator, RequestHandler, StreamRequest, collect
from diator.exceptions import ConfigurationError, EventsError
from diator.middlewares.retry import RetryMiddleware
from tests.unit.clock import Clock
from tests.unit.fakes import Do, FailedError, Happened, Listening, cancelled_after


@dataclass(frozen=True)
class Count(StreamRequest[int]):
    pass


class FlakyHandle:
    """
    Fails the given number of times, then answers.

    Attributes:
        times: When it was called.

    """

    def __init__(self, failures: int, error: type[BaseException] = FailedError) -> None:
        self.failures = failures
        self.error = error
        self.times: list[float] = []

    @property
    def calls(self) -> int:
        return len(self.times)

    async def __call__(self, request: object) -> str:
        self.times.append(asyncio.get_running_loop().time())
        if self.calls <= self.failures:
            raise self.error(self.calls)
        return "answer"


@pytest.fixture(autouse=True)
async def clock() -> Clock:
    return Clock()


class TestRetryMiddleware:
    async def test_passing_failure(self):
        """A request whose failure passes is answered."""
        handle = FlakyHandle(failures=2)

        assert await RetryMiddleware(FailedError)(Do(), handle) == "answer"
        assert handle.calls == 3

    async def test_success(self):
        """A request that succeeds is handled once."""
        handle = FlakyHandle(failures=0)

        assert await RetryMiddleware(FailedError)(Do(), handle) == "answer"
        assert handle.calls == 1

    @pytest.mark.parametrize("attempts", [1, 2, 5])
    async def test_lasting_failure(self, attempts: int):
        """The last failure is raised as it is, after so many attempts."""
        handle = FlakyHandle(failures=99)

        with pytest.raises(FailedError, match=f"^{attempts}$"):
            await RetryMiddleware(FailedError, attempts=attempts)(Do(), handle)
        assert handle.calls == attempts

    @pytest.mark.parametrize(
        "transient",
        [
            FailedError,
            Exception,
            (KeyError, FailedError),
            lambda error: error.args == (1,),
        ],
    )
    async def test_transient(self, transient: Any):
        """Failures that may pass are told by a type, by types or by a predicate."""
        handle = FlakyHandle(failures=1)

        assert await RetryMiddleware(transient)(Do(), handle) == "answer"

    @pytest.mark.parametrize(
        "transient", [KeyError, (KeyError, OSError), (), lambda _: False]
    )
    async def test_not_transient(self, transient: Any):
        """Any other failure is raised at once."""
        handle = FlakyHandle(failures=1)

        with pytest.raises(FailedError):
            await RetryMiddleware(transient)(Do(), handle)
        assert handle.calls == 1

    @pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt])
    async def test_interruption(self, error: type[BaseException]):
        """Cancellation is no failure, whatever may pass."""
        handle = FlakyHandle(failures=1, error=error)

        with pytest.raises(error):
            await RetryMiddleware(lambda _: True)(Do(), handle)
        assert handle.calls == 1

    async def test_cancelled_wait(self):
        """A send that is cancelled while it waits ends at once, and tells of both."""
        handle = FlakyHandle(failures=1)

        task = await cancelled_after(1, RetryMiddleware(FailedError)(Do(), handle))

        with pytest.raises(asyncio.CancelledError) as caught:
            task.result()
        assert handle.calls == 1
        assert isinstance(caught.value.__context__, FailedError)


class TestWaits:
    async def test_jitter(self):
        """A wait is random, from nothing up to the delay."""
        waits: list[float] = []
        for _ in range(100):
            handle = FlakyHandle(failures=1)
            await RetryMiddleware(FailedError, delay=8)(Do(), handle)
            first, second = handle.times
            waits.append(second - first)

        assert max(waits) <= 5  # which is the longest, unless said
        assert min(waits) < 2
        assert max(waits) > 3

    async def test_backoff(self):
        """With each failure it may be twice as long, up to the longest."""
        longest = [0.0] * 5
        for _ in range(100):
            handle = FlakyHandle(failures=5)
            retry = RetryMiddleware(FailedError, attempts=6, delay=1, max_delay=6)
            await retry(Do(), handle)
            waits = [
                later - time
                for time, later in zip(handle.times, handle.times[1:], strict=False)
            ]
            longest = list(map(max, longest, waits))

        for wait, ceiling in zip(longest, [1, 2, 4, 6, 6], strict=True):
            assert ceiling / 2 < wait <= ceiling + 1e-6

    async def test_none(self):
        """Without a delay nothing waits."""
        handle = FlakyHandle(failures=2)

        await RetryMiddleware(FailedError, delay=0)(Do(), handle)

        assert handle.times == [0, 0, 0]


class TestInMediator:
    async def test_fresh_handler(self):
        """Each attempt gets a new handler, and only the last one's events count."""
        handlers: list[Any] = []

        class DoHandler(RequestHandler[Do, str]):
            async def handle(self, request: Do) -> str:
                handlers.append(self)
                self.events.append(Happened(f"attempt {len(handlers)}"))
                if len(handlers) < 3:
                    raise FailedError
                return "answer"

        listening = Listening()
        listening.mediator.use(RetryMiddleware(FailedError))
        listening.mediator.bind(Do, DoHandler)

        assert await listening.mediator.send(Do()) == "answer"
        assert len(set(map(id, handlers))) == 3
        assert listening.heard == ["attempt 3"]

    async def test_stream(self):
        """A stream is not begun again."""
        attempts: list[Count] = []
        mediator = Mediator()
        mediator.use(RetryMiddleware(FailedError))

        @mediator.handles(Count)
        async def count(request: Count) -> AsyncIterator[int]:
            attempts.append(request)
            yield 1
            raise FailedError

        items: list[int] = []
        with suppress(FailedError):
            async for item in mediator.stream(Count()):
                items.append(item)  # noqa: PERF401  # not all, for it fails

        assert items == [1]
        assert len(attempts) == 1

    async def test_event(self):
        """Around events, an event goes to all its handlers again."""
        log: list[str] = []
        mediator = Mediator()
        mediator.event_emitter.use(RetryMiddleware(EventsError))

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("it"))

        @mediator.handles(Happened)
        async def first(event: Happened) -> None:
            log.append("first")

        @mediator.handles(Happened)
        async def second(event: Happened) -> None:
            log.append("second")
            if log.count("second") == 1:
                raise FailedError

        await mediator.send(Do())

        assert log == ["first", "second"] * 2


class TestArguments:
    @pytest.mark.parametrize("attempts", [0, -1])
    def test_attempts(self, attempts: int):
        """A request is handled once at least."""
        with pytest.raises(ConfigurationError, match=f"not {attempts}"):
            RetryMiddleware(FailedError, attempts=attempts)

    @pytest.mark.parametrize("waits", [{"delay": -1}, {"max_delay": float("nan")}])
    def test_waits(self, waits: dict[str, float]):
        """A wait takes some time, or none."""
        with pytest.raises(ConfigurationError, match="at least 0"):
            RetryMiddleware(FailedError, **waits)

    @pytest.mark.parametrize(
        "transient", [None, "FailedError", asyncio.CancelledError, (FailedError, str)]
    )
    def test_no_failure(self, transient: Any):
        """What tells nothing of failures is refused early, with the remedy."""
        with pytest.raises(ConfigurationError, match="give a type of exceptions"):
            RetryMiddleware(transient)

    def test_async_predicate(self):
        """A predicate that would have to be awaited is refused."""

        async def is_transient(error: Exception) -> bool:
            return True

        with pytest.raises(ConfigurationError, match="returns a bool"):
            RetryMiddleware(is_transient)

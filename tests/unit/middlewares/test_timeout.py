"""What takes too long is given up, together with everything below it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from threading import Thread
from typing import Any

import pytest

from diator import Mediator, collect
from diator.exceptions import (
    ConfigurationError,
    DeadlineExceededError,
    EventsError,
)
from diator.middlewares.timeout import TimeoutMiddleware, remaining
from tests.unit.clock import Clock
from tests.unit.fakes import Do, FailedError, Happened, pause


@pytest.fixture(autouse=True)
async def clock() -> Clock:
    return Clock()


class Sleeping:
    """Answers after some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.was_cancelled = False

    async def __call__(self, request: object) -> str:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return "answer"


class TestTimeoutMiddleware:
    async def test_in_time(self):
        """What is handled in time is answered."""
        handle = Sleeping(4.9)

        assert await TimeoutMiddleware(5)(Do(), handle) == "answer"
        assert not handle.was_cancelled

    async def test_too_late(self, clock: Clock):
        """What is not is cancelled, with an error that names the request."""
        handle = Sleeping(5.1)

        with pytest.raises(DeadlineExceededError, match="Do took longer than 5 s"):
            await TimeoutMiddleware(5)(Do(), handle)
        assert handle.was_cancelled
        assert clock.now == 5

    async def test_error(self):
        """The error is a builtin TimeoutError, too, and knows the request."""
        with pytest.raises(TimeoutError) as caught:
            await TimeoutMiddleware(0.5)(Do("that"), Sleeping(1))

        assert isinstance(caught.value, DeadlineExceededError)
        assert caught.value.request == Do("that")
        assert caught.value.seconds == 0.5

    async def test_cancellation(self, clock: Clock):
        """A cancellation from outside stays a cancellation."""
        handle = Sleeping(5.1)
        task = asyncio.create_task(TimeoutMiddleware(5)(Do(), handle))
        await asyncio.sleep(4)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task
        assert clock.now == 4

    async def test_cancellation_at_the_deadline(self):
        """It does even if it comes when the deadline has passed."""

        async def handle(request: Do) -> None:
            try:
                await asyncio.sleep(10)
            finally:
                task.cancel()

        task = asyncio.create_task(TimeoutMiddleware(5)(Do(), handle))
        await asyncio.wait([task])

        assert task.cancelled()

    @pytest.mark.parametrize("error", [TimeoutError("of a socket"), FailedError("it")])
    async def test_failure(self, error: Exception):
        """A failure passes as it is, also a timeout of something else."""

        async def handle(request: Do) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            await TimeoutMiddleware(5)(Do(), handle)
        assert caught.value is error

    @pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
    def test_seconds(self, seconds: float):
        """A timeout that would always or never pass is refused."""
        with pytest.raises(ConfigurationError, match=f"not {seconds}"):
            TimeoutMiddleware(seconds)


class Nesting:
    """
    A mediator whose request "outer" sends the request "inner".

    Args:
        outer: The timeout of the outer one, in seconds.
        inner: That of the inner one.
        handle: What the handler of the inner one does.

    """

    def __init__(
        self,
        *,
        outer: float,
        inner: float,
        handle: Callable[[], Awaitable[Any]],
        send: Callable[[Mediator, Do], Awaitable[Any]] = Mediator.send,
    ) -> None:
        timeouts = {
            "outer": TimeoutMiddleware(outer),
            "inner": TimeoutMiddleware(inner),
        }
        self.mediator = Mediator()

        @self.mediator.use
        async def limit(request: Do, rest: Any) -> Any:
            return await timeouts[request.name](request, rest)

        @self.mediator.handles(Do)
        async def handle_do(request: Do) -> Any:
            if request.name == "inner":
                return await handle()
            return await send(self.mediator, Do("inner"))

    async def send(self) -> Any:
        return await self.mediator.send(Do("outer"))


async def send_in_task(mediator: Mediator, request: Do) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(mediator.send(request))
    return task.result()


async def send_independently(mediator: Mediator, request: Do) -> Any:
    return await mediator.independent().send(request)


async def sleep_long() -> None:
    await asyncio.sleep(100)


class TestNested:
    @pytest.mark.parametrize("send", [Mediator.send, send_in_task, send_independently])
    async def test_later_deadline(self, clock: Clock, send: Any):
        """A nested send keeps to the deadline of the one around it."""
        nesting = Nesting(outer=2, inner=5, handle=sleep_long, send=send)

        with pytest.raises(DeadlineExceededError) as caught:
            await nesting.send()
        assert caught.value.request == Do("outer")
        assert clock.now == 2

    @pytest.mark.parametrize("send", [Mediator.send, send_independently])
    async def test_nearer_deadline(self, clock: Clock, send: Any):
        """It may have a nearer one."""
        nesting = Nesting(outer=5, inner=2, handle=sleep_long, send=send)

        with pytest.raises(DeadlineExceededError) as caught:
            await nesting.send()
        assert caught.value.request == Do("inner")
        assert clock.now == 2


class TestRemaining:
    async def test_none(self):
        """Without a deadline there is no end of time."""
        assert remaining() is None

    @pytest.mark.parametrize("outer, inner", [(2, 5), (5, 2)])
    async def test_nearest(self, outer: float, inner: float):
        """What is left is that of the nearest deadline."""

        async def handle() -> float | None:
            await asyncio.sleep(0.5)
            return remaining()

        assert await Nesting(outer=outer, inner=inner, handle=handle).send() == 1.5

    async def test_afterwards(self, clock: Clock):
        """A deadline holds for what it is around, and no longer."""

        async def handle(request: Do) -> list[float | None]:
            with pytest.raises(DeadlineExceededError):
                await TimeoutMiddleware(2)(request, Sleeping(3))
            return [remaining()]

        assert await TimeoutMiddleware(5)(Do(), handle) == [3]
        assert remaining() is None

    async def test_passed(self, clock: Clock):
        """There is always some time left, or else an error."""

        async def handle(request: Do) -> None:
            clock.now += 5
            remaining()

        with pytest.raises(DeadlineExceededError, match="Do took longer than 5 s"):
            await TimeoutMiddleware(5)(Do(), handle)

    async def test_thread(self):
        """It can be asked for in a thread that has the context."""
        found: list[float | None] = []

        async def handle(request: Do) -> None:
            context = copy_context()
            thread = Thread(
                target=lambda: context.run(lambda: found.append(remaining()))
            )
            thread.start()
            thread.join()

        await TimeoutMiddleware(5)(Do(), handle)

        assert found == [5]


class TestTasksLeftBehind:
    async def test_no_deadline(self):
        """A task that outlives its send is not bound by its deadline."""
        left: list[asyncio.Task[Any]] = []
        timeout = TimeoutMiddleware(2)

        async def go_on() -> float | None:
            await asyncio.sleep(3)
            assert await timeout(Do(), Sleeping(1)) == "answer"
            return remaining()

        async def handle(request: Do) -> None:
            left.append(asyncio.create_task(go_on()))

        await timeout(Do(), handle)

        assert await left[0] is None

    async def test_outer_deadline(self):
        """It is bound by those of the sends around that are still running."""
        left: list[asyncio.Task[Any]] = []

        async def go_on() -> float | None:
            await pause(5)
            return remaining()

        async def handle() -> None:
            left.append(asyncio.create_task(go_on()))

        async def send(mediator: Mediator, request: Do) -> Any:
            await mediator.send(request)
            return await left[0]

        assert await Nesting(outer=5, inner=2, handle=handle, send=send).send() == 5


class TestEvents:
    async def test_around_events(self):
        """An event that is not handled in time fails alone."""
        heard: list[str] = []
        mediator = Mediator()
        mediator.event_emitter.use(TimeoutMiddleware(2))

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Happened("slow"))
            collect(Happened("quick"))
            await asyncio.sleep(3)
            return "answer"

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            await asyncio.sleep(3 if event.name == "slow" else 1)
            heard.append(event.name)

        with pytest.raises(EventsError) as caught:
            await mediator.send(Do())
        assert heard == ["quick"]
        [failure] = caught.value.exceptions
        assert isinstance(failure.__cause__, DeadlineExceededError)
        assert failure.__cause__.request == Happened("slow")

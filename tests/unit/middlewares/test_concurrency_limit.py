"""So many are handled at once, some wait, and the others are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from diator import Mediator, Request
from diator.exceptions import (
    ConcurrencyLimitError,
    ConfigurationError,
    EventsError,
)
from diator.middlewares.concurrency_limit import ConcurrencyLimitMiddleware
from tests.unit.fakes import Do, FailedError, Happened, pause


class Through(Request[Any]):
    """Sent within another request, and sends one."""


class Counter:
    """
    Handles requests, one after the other is let go.

    Attributes:
        begun: The names of those that came in, in this order.

    """

    def __init__(self, limit: int, waiting: int) -> None:
        self.begun: list[str] = []
        self.middleware = ConcurrencyLimitMiddleware(limit, waiting=waiting)
        self._done: dict[str, asyncio.Future[str]] = {}

    async def __call__(self, request: Do) -> str:
        self.begun.append(request.name)
        done = asyncio.get_running_loop().create_future()
        self._done[request.name] = done
        return await done

    async def send(self, names: str) -> dict[str, asyncio.Task[str]]:
        """Send a request for each letter, in this order."""
        tasks: dict[str, asyncio.Task[str]] = {}
        for name in names:
            tasks[name] = asyncio.create_task(self.middleware(Do(name), self))
            await pause(2)
        return tasks

    async def let_go(self, names: Iterable[str]) -> None:
        for name in names:
            self._done[name].set_result(f"answer {name}")
            await pause(4)


class TestConcurrencyLimitMiddleware:
    async def test_limit(self):
        """No more than the limit are handled at once."""
        counter = Counter(limit=2, waiting=9)

        tasks = await counter.send("abcd")
        assert counter.begun == ["a", "b"]
        await counter.let_go("b")
        assert counter.begun == ["a", "b", "c"]
        await counter.let_go("acd")

        assert [task.result() for task in tasks.values()] == [
            f"answer {name}" for name in "abcd"
        ]

    async def test_order(self):
        """Those that wait get their turn in the order in which they came."""
        counter = Counter(limit=1, waiting=9)

        await counter.send("abcde")
        await counter.let_go("abcde")

        assert counter.begun == list("abcde")

    async def test_nobody_overtakes(self):
        """Not even one that comes when a turn has just become free."""
        counter = Counter(limit=1, waiting=9)
        tasks = await counter.send("ab")

        async def send_when_over() -> str:
            await asyncio.wait([tasks["a"]])
            return await counter.middleware(Do("c"), counter)

        late = asyncio.create_task(send_when_over())
        await pause()
        await counter.let_go("a")
        assert counter.begun == ["a", "b"]
        await counter.let_go("bc")

        assert late.result() == "answer c"

    @pytest.mark.parametrize("waiting", [0, 1, 3])
    async def test_full(self, waiting: int):
        """When too many are waiting, one more is refused at once."""
        counter = Counter(limit=2, waiting=waiting)
        await counter.send("abcde"[: 2 + waiting])

        with pytest.raises(ConcurrencyLimitError, match="Do was refused") as caught:
            await counter.middleware(Do("x"), counter)
        assert caught.value.request == Do("x")
        assert (caught.value.limit, caught.value.waiting) == (2, waiting)

    async def test_room_again(self):
        """When one has ended, there is room for another, even in the same moment."""
        counter = Counter(limit=1, waiting=1)
        tasks = await counter.send("ab")

        async def send_again() -> str:
            await tasks["a"]
            return await counter.middleware(Do("c"), counter)

        again = asyncio.create_task(send_again())
        await pause()
        await counter.let_go("abc")

        assert again.result() == "answer c"

    async def test_failure(self):
        """One that fails gives its turn to the next."""

        async def fail(request: Do) -> None:
            raise FailedError

        counter = Counter(limit=1, waiting=0)
        for _ in range(3):
            with pytest.raises(FailedError):
                await counter.middleware(Do(), fail)

        await counter.send("a")
        assert counter.begun == ["a"]

    async def test_cancelled(self):
        """So does one that is cancelled."""
        counter = Counter(limit=1, waiting=1)
        tasks = await counter.send("ab")

        tasks["a"].cancel()
        await pause(4)

        assert counter.begun == ["a", "b"]

    @pytest.mark.parametrize("steps", range(4))
    async def test_cancelled_while_waiting(self, steps: int):
        """One that is cancelled at whatever moment of its wait takes nobody's turn."""
        counter = Counter(limit=1, waiting=2)
        tasks = await counter.send("abc")

        counter._done["a"].set_result("answer a")
        await pause(steps)
        tasks["b"].cancel()
        await pause(4)

        assert tasks["b"].cancelled()
        assert counter.begun[-1] == "c"
        await counter.let_go("c")
        await counter.send("def")
        await counter.let_go("def")
        assert counter.begun[-3:] == ["d", "e", "f"]

    @pytest.mark.parametrize("limit, waiting", [(0, 1), (-1, 1), (1, -1)])
    def test_arguments(self, limit: int, waiting: int):
        """A limit that lets nobody through is refused."""
        with pytest.raises(ConfigurationError, match=f"not {limit} and {waiting}"):
            ConcurrencyLimitMiddleware(limit, waiting=waiting)


async def send(mediator: Mediator, request: Do) -> Any:
    return await mediator.send(request)


async def send_in_tasks(mediator: Mediator, request: Do) -> Any:
    return (await asyncio.gather(mediator.send(request), mediator.send(request)))[0]


async def send_independently(mediator: Mediator, request: Do) -> Any:
    return await mediator.independent().send(request)


class TestNested:
    @pytest.mark.parametrize("send", [send, send_in_tasks, send_independently])
    async def test_nested(self, send: Callable[[Mediator, Do], Awaitable[Any]]):
        """What a request sends is a part of it, and does not wait for its end."""
        mediator = Mediator()
        mediator.use(ConcurrencyLimitMiddleware(1, waiting=0))

        @mediator.handles(Do)
        async def handle(request: Do) -> Any:
            if request.name == "inner":
                return "answer"
            return await send(mediator, Do("inner"))

        assert await mediator.send(Do("outer")) == "answer"

    async def test_other_limit(self):
        """It has to wait for its turn at another limit."""
        other = ConcurrencyLimitMiddleware(1, waiting=0)
        mediator = Mediator()
        mediator.use(ConcurrencyLimitMiddleware(2, waiting=0))
        mediator.use(other)

        @mediator.handles(Do)
        async def handle(request: Do) -> Any:
            await pause()

        first = asyncio.create_task(mediator.send(Do()))
        await pause()
        with pytest.raises(ConcurrencyLimitError) as caught:
            await mediator.send(Do())
        assert caught.value.limit == 1
        await first

    async def test_limit_again(self):
        """It has its turn at all limits around, not at the nearest alone."""
        mediator = Mediator()
        mediator.use(ConcurrencyLimitMiddleware(1, waiting=0), only=Do)
        mediator.use(ConcurrencyLimitMiddleware(1, waiting=0), only=Through)

        @mediator.handles(Through)
        async def handle_through(request: Through) -> Any:
            return await mediator.send(Do("inner"))

        @mediator.handles(Do)
        async def handle(request: Do) -> Any:
            if request.name == "inner":
                return "answer"
            return await mediator.send(Through())

        assert await mediator.send(Do("outer")) == "answer"

    async def test_task_left_behind(self):
        """A task that outlives its request has to wait like anybody."""
        counter = Counter(limit=1, waiting=1)
        left: list[asyncio.Task[Any]] = []
        is_over = asyncio.Event()

        async def go_on() -> Any:
            await is_over.wait()
            return await counter.middleware(Do("left"), counter)

        async def handle(request: Do) -> None:
            left.append(asyncio.create_task(go_on()))

        await counter.middleware(Do(), handle)
        await counter.send("a")
        is_over.set()
        await pause(4)

        assert counter.begun == ["a"]
        await counter.let_go("a")
        await counter.let_go(["left"])
        assert left[0].result() == "answer left"


class TestEvents:
    async def test_around_events(self):
        """Around events, one too many fails and the others go on."""
        heard: list[str] = []
        mediator = Mediator()
        mediator.event_emitter.use(ConcurrencyLimitMiddleware(1, waiting=0))

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            heard.append(event.name)
            await pause()

        first = asyncio.create_task(mediator.receive(Happened("first")))
        await pause()
        with pytest.raises(EventsError) as caught:
            await mediator.receive(Happened("second"))
        await first

        assert heard == ["first"]
        [failure] = caught.value.exceptions
        assert isinstance(failure.__cause__, ConcurrencyLimitError)

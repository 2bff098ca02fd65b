"""Law 6: events of an attempt that raised are dropped, whoever survives it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Any

import pytest

from diator import EventHandler, Mediator, RequestHandler, collect
from diator.middlewares.base import Handle
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from tests.unit.fakes import (
    Do,
    FailedError,
    Happened,
    Listening,
    Retrying,
    Swallowing,
    pause,
)


class Failing:
    """Raises an event and fails at its first calls, then succeeds."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        collect(Happened(f"call {self.calls}"))
        await asyncio.sleep(0)
        if self.calls <= self.failures:
            raise FailedError
        return "answer"


def failing(*middlewares: Any, failures: int = 1) -> Listening:
    listening = Listening()
    for middleware in middlewares:
        listening.mediator.use(middleware)
    work = Failing(failures)

    @listening.mediator.handles(Do)
    async def handle(request: Do) -> str:
        return await work()

    return listening


async def check_answer(request: Any, handle: Handle) -> Any:
    """Refuse the first answer."""
    answer = await handle(request)
    if not isinstance(request, Do) or request.name == "refused":
        raise FailedError
    return answer


class Committing:
    """A transaction whose commit fails when it is told to."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.sleep(0)
        if self.fails and error is None:
            raise FailedError


class TestLaw06OnlySuccessCounts:
    async def test_failed_send(self):
        """A send that fails emits nothing."""
        listening = failing()
        with pytest.raises(FailedError):
            await listening.mediator.send(Do())

        assert listening.heard == []

    async def test_retried(self):
        """After a retry, only the events of the attempt that succeeded leave."""
        listening = failing(Retrying(), Retrying(), failures=3)

        assert await listening.mediator.send(Do()) == "answer"
        assert listening.heard == ["call 4"]

    async def test_swallowed(self):
        """A failure that is swallowed still drops its events."""
        listening = failing(Swallowing())

        assert await listening.mediator.send(Do()) == "swallowed"
        assert listening.heard == []

    async def test_suppressed(self):
        """A failure that a `with` swallows still drops its events."""

        async def suppressing(request: Any, handle: Handle) -> Any:
            with suppress(FailedError):
                return await handle(request)
            return "suppressed"

        listening = failing(suppressing)

        assert await listening.mediator.send(Do()) == "suppressed"
        assert listening.heard == []

    async def test_swallowed_in_finally(self):
        """A failure that a `return` in `finally` swallows still drops its events."""

        async def hiding(request: Any, handle: Handle) -> Any:
            try:
                await handle(request)
            finally:
                return "hidden"  # noqa: B012  # the trap is the point

        listening = failing(hiding)

        assert await listening.mediator.send(Do()) == "hidden"
        assert listening.heard == []

    async def test_swallowed_further_out(self):
        """Whatever stands between the failure and who swallows it, its events go."""

        async def look(request: Any, handle: Handle) -> Any:
            collect(Happened("look"))
            return await handle(request)

        listening = failing(Swallowing(), look, look)

        assert await listening.mediator.send(Do()) == "swallowed"
        assert listening.heard == []

    @pytest.mark.parametrize("when", ["before", "after"])
    async def test_event_of_middleware_inside_failure(self, when: str):
        """An event that a middleware collected in an attempt goes when that fails."""

        async def collecting(request: Any, handle: Handle) -> Any:
            if when == "before":
                collect(Happened("collected"))
            answer = await handle(request)
            if when == "after":
                collect(Happened("collected"))
            return answer

        listening = failing(Retrying(), collecting)
        await listening.mediator.send(Do())

        expected = ["collected", "call 2"]
        assert listening.heard == (expected if when == "before" else expected[::-1])

    async def test_event_of_middleware_outside_failure(self):
        """An event that a middleware collects itself counts if it succeeds itself."""

        async def telling(request: Any, handle: Handle) -> Any:
            collect(Happened("begun"))
            try:
                return await handle(request)
            except FailedError:
                collect(Happened("failed"))
                return "told"

        listening = failing(telling)

        assert await listening.mediator.send(Do()) == "told"
        assert listening.heard == ["begun", "failed"]

    async def test_event_before_failure_of_middleware(self):
        """A middleware that fails before it goes on takes its own events with it."""

        async def refuse(request: Any, handle: Handle) -> Any:
            collect(Happened("refused"))
            raise FailedError

        listening = failing(Swallowing(), refuse)

        assert await listening.mediator.send(Do()) == "swallowed"
        assert listening.heard == []

    async def test_answer_is_refused(self):
        """A check of the answer that fails drops what the handler raised."""
        listening = failing(check_answer, failures=0)
        with pytest.raises(FailedError):
            await listening.mediator.send(Do("refused"))

        assert listening.heard == []

    async def test_answer_is_refused_and_swallowed(self):
        """The same, when a middleware further out survives the failed check."""
        listening = failing(Swallowing(), check_answer, failures=0)

        assert await listening.mediator.send(Do("refused")) == "swallowed"
        assert listening.heard == []

    @pytest.mark.parametrize("swallowed", [False, True])
    async def test_commit_fails(self, swallowed: bool):
        """A transaction whose commit fails takes the events inside with it."""
        middlewares: list[Any] = [
            TransactionMiddleware(lambda: Committing(fails=True)),
            EventCollectionMiddleware(),
        ]
        if swallowed:
            middlewares.insert(0, Swallowing())
        listening = failing(*middlewares, failures=0)
        if swallowed:
            assert await listening.mediator.send(Do()) == "swallowed"
        else:
            with pytest.raises(FailedError):
                await listening.mediator.send(Do())

        assert listening.heard == []

    async def test_commit_fails_below_a_middleware_of_ones_own(self):
        """The same, when a middleware runs the transaction itself and survives it."""
        transaction = TransactionMiddleware(lambda: Committing(fails=True))

        async def transact(request: Any, handle: Handle) -> Any:
            try:
                return await transaction(request, handle)
            except FailedError:
                return "not committed"

        listening = failing(transact, failures=0)

        assert await listening.mediator.send(Do()) == "not committed"
        assert listening.heard == []

    async def test_commit_succeeds(self):
        """A transaction whose commit succeeds lets the events inside leave."""
        listening = failing(
            TransactionMiddleware(lambda: Committing(fails=False)), failures=0
        )
        await listening.mediator.send(Do())

        assert listening.heard == ["call 1"]

    @pytest.mark.parametrize("winner", [0, 1])
    async def test_hedged(self, winner: int):
        """Of two attempts at once, the events of the one that was cancelled go."""

        async def hedge(request: Any, handle: Handle) -> Any:
            tasks = [asyncio.create_task(handle(Do(name))) for name in ("one", "other")]
            done, pending = await asyncio.wait(
                tasks, return_when=asyncio.FIRST_COMPLETED
            )
            for task in pending:
                task.cancel()
            await asyncio.wait(tasks)
            return done.pop().result()

        listening = Listening()
        listening.mediator.use(hedge)
        slow = ("one", "other")[1 - winner]

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Happened(f"{request.name} begun"))
            await asyncio.sleep(0)
            collect(Happened(f"{request.name} goes on"))
            await pause(10 if request.name == slow else 1)
            collect(Happened(f"{request.name} done"))
            return request.name

        fast = ("one", "other")[winner]
        assert await listening.mediator.send(Do()) == fast
        assert listening.heard == [f"{fast} begun", f"{fast} goes on", f"{fast} done"]

    async def test_hedged_twice_nested(self):
        """Attempts within attempts, in tasks, keep apart what each of them raised."""

        async def both(request: Any, handle: Handle) -> Any:
            results = await asyncio.gather(
                handle(Do(f"{request.name}a")),
                handle(Do(f"{request.name}b")),
                return_exceptions=True,
            )
            good = [result for result in results if isinstance(result, str)]
            if not good:
                raise FailedError
            return ",".join(good)

        listening = Listening()
        listening.mediator.use(both)
        listening.mediator.use(both)

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Happened(request.name))
            await asyncio.sleep(0)
            if request.name != "-ab":
                raise FailedError
            return request.name

        assert await listening.mediator.send(Do("-")) == "-ab"
        assert listening.heard == ["-ab"]

    async def test_cancelled_attempt(self):
        """An attempt that a timeout cut off takes its events with it."""

        async def in_time(request: Any, handle: Handle) -> Any:
            try:
                async with asyncio.timeout(0):
                    return await handle(request)
            except TimeoutError:
                return "too late"

        listening = failing(in_time, failures=0)

        assert await listening.mediator.send(Do()) == "too late"
        assert listening.heard == []

    async def test_nested_send_fails(self):
        """A nested send that fails takes its events along, and no others."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(f"{request.name} begun"))
            if request.name == "inner":
                raise FailedError
            with suppress(FailedError):
                await listening.mediator.send(Do("inner"))
            collect(Happened("outer done"))

        await listening.mediator.send(Do("outer"))

        assert listening.heard == ["outer begun", "outer done"]

    async def test_outer_send_fails(self):
        """A nested send that succeeded emits nothing when the outermost one fails."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "outer":
                await listening.mediator.send(Do("inner"))
                raise FailedError

        with pytest.raises(FailedError):
            await listening.mediator.send(Do("outer"))

        assert listening.heard == []

    @pytest.mark.parametrize("handlers", [1, 2])
    async def test_event_handler_fails(self, handlers: int):
        """What a handler of an event raised is dropped when it fails at it."""
        listening = Listening(event_emitter=None)
        emitter = Mediator().event_emitter
        heard: list[str] = []

        class Causing(EventHandler[Happened]):
            async def handle(self, event: Happened) -> None:
                heard.append(event.name)
                if event.name == "cause":
                    self.events.append(Happened("effect"))
                    raise FailedError

        class Idle(EventHandler[Happened]):
            async def handle(self, event: Happened) -> None:
                if event.name == "cause":
                    self.events.append(Happened("of another"))

        emitter.event_map.bind(Happened, Causing)
        if handlers == 2:
            emitter.event_map.bind(Happened, Idle)
        with pytest.raises(ExceptionGroup):
            await emitter.emit(Happened("cause"))

        assert heard == (["cause"] if handlers == 1 else ["cause", "of another"])
        assert listening.heard == []

    async def test_kept_handler_with_own_list(self):
        """A handler with a list of its own forgets what a failed attempt put there."""

        class Original(RequestHandler[Do, None]):
            def __init__(self) -> None:
                self._events: list[Any] = []

            @property
            def events(self) -> list[Any]:
                return self._events

            async def handle(self, request: Do) -> None:
                self._events.append(Happened(request.name))
                if request.name == "bad":
                    raise FailedError

        listening = Listening()
        listening.mediator.container[Original] = Original()
        listening.mediator.bind(Do, Original)
        with pytest.raises(FailedError):
            await listening.mediator.send(Do("bad"))
        await listening.mediator.send(Do("good"))

        assert listening.heard == ["good"]

    async def test_kept_handler_with_slots(self):
        """So does one that has its list in a slot."""

        class Slotted(RequestHandler[Do, None]):
            __slots__ = ("_events",)

            def __init__(self) -> None:
                self._events: list[Any] = []

            @property
            def events(self) -> list[Any]:
                return self._events

            async def handle(self, request: Do) -> None:
                self._events.append(Happened(request.name))
                if request.name == "bad":
                    raise FailedError

        listening = Listening()
        listening.mediator.container[Slotted] = Slotted()
        listening.mediator.bind(Do, Slotted)
        with pytest.raises(FailedError):
            await listening.mediator.send(Do("bad"))
        await listening.mediator.send(Do("good"))

        assert listening.heard == ["good"]

    async def test_events_of_a_class_attribute(self):
        """A list that belongs to the class is left as it was found."""
        shared: list[Any] = []

        class Sharing(RequestHandler[Do, None]):
            events = shared  # type: ignore[assignment]  # on purpose

            async def handle(self, request: Do) -> None:
                self.events.append(Happened(request.name))
                if request.name == "bad":
                    raise FailedError

        listening = Listening()
        listening.mediator.bind(Do, Sharing)
        with pytest.raises(FailedError):
            await listening.mediator.send(Do("bad"))
        await listening.mediator.send(Do("good"))

        assert listening.heard == ["good"]
        assert shared == []

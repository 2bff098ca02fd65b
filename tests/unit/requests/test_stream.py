"""Streams: requests that are answered with items, one after the other."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from diator import Event, StreamHandler, StreamRequest, collect
from diator.exceptions import (
    BindingError,
    EventsError,
    HandlerNotFoundError,
    NoSendError,
    NotAMessageError,
)
from diator.middlewares.base import Handle
from diator.middlewares.transaction import TransactionMiddleware
from tests.unit.fakes import (
    Do,
    FailedError,
    Happened,
    Listening,
    Retrying,
    cancelled_after,
    pause,
)

# More steps of the event loop than any stream in these tests takes.
ENOUGH_STEPS = 40


@dataclass(frozen=True)
class Count(StreamRequest[int]):
    """Asks for the numbers from 1 on."""

    to: int = 3
    name: str = "count"


@dataclass(frozen=True)
class Letters(StreamRequest[str]):
    pass


class Original(StreamHandler[Letters, str]):
    """Keeps its events itself, as handlers of diator 0.1 do."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: Letters) -> AsyncGenerator[str]:
        self._events.append(Happened("first"))
        yield "a"
        self._events.append(Happened("second"))


class Appending(StreamHandler[Letters, str]):
    async def handle(self, request: Letters) -> AsyncGenerator[str]:
        self.events.append(Happened("first"))
        yield "a"
        self.events += [Happened("second")]  # type: ignore[misc]  # read-only for type checkers


class Session:
    """A resource of a send."""


class Streaming(Listening):
    """A mediator with a stream in a transaction, and a log of all that happens."""

    def __init__(self) -> None:
        super().__init__()
        self.mediator.use(TransactionMiddleware(self.begin))
        self.mediator.container.scoped(Session, self.session)

        @self.mediator.handles(Count)
        async def count(request: Count, session: Session) -> AsyncGenerator[int]:
            collect(Happened(f"{request.name} begins"))
            for number in range(1, request.to + 1):
                self.heard.append(f"makes {number}")
                await asyncio.sleep(0)
                yield number
            collect(Happened(f"{request.name} ends"))

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[None]:
        self.heard.append("begin")
        try:
            yield
            await asyncio.sleep(0)
        except BaseException as error:
            self.heard.append(f"rollback on {type(error).__name__}")
            await asyncio.sleep(0)
            raise
        self.heard.append("commit")

    async def session(self) -> AsyncGenerator[Session]:
        self.heard.append("open")
        try:
            yield Session()
        finally:
            self.heard.append("close")
            await asyncio.sleep(0)

    async def read(self, request: StreamRequest[Any]) -> list[Any]:
        return [item async for item in self.mediator.stream(request)]


async def pass_on(request: Any, handle: Handle) -> Any:
    return await handle(request)


def other_tasks() -> set[asyncio.Task[Any]]:
    current = asyncio.current_task()
    return {task for task in asyncio.all_tasks() if task is not current}


class TestStream:
    async def test_items(self):
        """The items arrive in their order, and the stream ends with its handler."""
        assert await Streaming().read(Count()) == [1, 2, 3]

    @pytest.mark.parametrize("to", [0, 1])
    async def test_few_items(self, to: int):
        """A stream may be empty."""
        assert await Streaming().read(Count(to)) == list(range(1, to + 1))

    async def test_falsy_items(self):
        """Any value is an item, also one that is false."""

        class Nothings(StreamHandler[Letters, Any]):
            async def handle(self, request: Letters) -> AsyncGenerator[Any]:
                for item in (None, 0, "", (), False):
                    yield item

        streaming = Streaming()
        streaming.mediator.bind(Letters, Nothings)

        assert await streaming.read(Letters()) == [None, 0, "", (), False]

    async def test_lazy(self):
        """Nothing begins before the first item is asked for, and nothing runs ahead."""
        streaming = Streaming()
        stream = streaming.mediator.stream(Count())
        await pause(10)
        assert streaming.heard == []

        async with aclosing(stream):
            async for number in stream:
                await pause(10)
                assert streaming.heard[-1] == f"makes {number}"

    async def test_chain_and_events(self):
        """The chain is around the whole stream; then its events leave."""
        streaming = Streaming()
        async for _ in streaming.mediator.stream(Count(2)):
            streaming.heard.append("item")

        assert streaming.heard == [
            "begin",
            "open",
            "makes 1",
            "item",
            "makes 2",
            "item",
            "commit",
            "close",
            "count begins",
            "count ends",
        ]

    @pytest.mark.parametrize("handler", [Original, Appending])
    async def test_events_of_class(self, handler: type[StreamHandler[Letters, str]]):
        """A class may raise events by appending, or in a list of its own."""
        streaming = Streaming()
        streaming.mediator.bind(Letters, handler)

        assert await streaming.read(Letters()) == ["a"]
        assert streaming.heard == ["begin", "commit", "first", "second"]

    async def test_middleware_sees_request(self):
        """Middlewares see the stream request, may replace it, and get no answer."""
        seen: list[Any] = []

        async def look(request: Any, handle: Handle) -> Any:
            seen.append(request)
            answer = await handle(Count(1))
            seen.append(answer)
            return answer

        streaming = Streaming()
        streaming.mediator.use(look, only=Count)

        assert await streaming.read(Count(5)) == [1]
        assert seen == [Count(5), None]

    async def test_middleware_around_stream_is_chosen_by_type(self):
        """`only=` selects streams as it selects other requests."""

        async def refuse(request: Any, handle: Handle) -> Any:
            raise FailedError

        streaming = Streaming()
        streaming.mediator.use(refuse, only=Letters)

        assert await streaming.read(Count(1)) == [1]

    async def test_retried(self):
        """A stream that is tried again goes on with the items of the second try."""
        streaming = Streaming()
        streaming.mediator.use(Retrying())
        tries: list[int] = []

        @streaming.mediator.handles(Letters)
        async def letters(request: Letters) -> AsyncGenerator[str]:
            tries.append(1)
            collect(Happened(f"try {len(tries)}"))
            yield "a"
            if len(tries) == 1:
                raise FailedError
            yield "b"

        assert await streaming.read(Letters()) == ["a", "a", "b"]
        assert streaming.heard == ["begin", "commit", "try 2"]

    async def test_retried_before_reader_asks(self):
        """A try that begins while the reader still reads waits until it asks."""

        async def try_twice(request: Any, handle: Handle) -> Any:
            try:
                async with asyncio.timeout(0):
                    return await handle(request)
            except TimeoutError:
                return await handle(request)

        streaming = Streaming()
        streaming.mediator.use(try_twice)

        @streaming.mediator.handles(Letters)
        async def letters(request: Letters) -> AsyncGenerator[str]:
            yield "a"
            yield "b"

        items: list[str] = []
        async for item in streaming.mediator.stream(Letters()):
            items.append(item)
            await pause(10)

        assert items == ["a", "a", "b"]

    async def test_iterator(self):
        """Whatever can be iterated asynchronously answers, also without `aclose`."""

        class Once:
            def __init__(self) -> None:
                self.items = ["a", "b"]

            def __aiter__(self) -> Once:
                return self

            async def __anext__(self) -> str:
                if not self.items:
                    raise StopAsyncIteration
                return self.items.pop(0)

        class Iterating(StreamHandler[Letters, str]):
            def handle(self, request: Letters) -> AsyncIterator[str]:
                return Once()

        streaming = Streaming()
        streaming.mediator.bind(Letters, Iterating)

        assert await streaming.read(Letters()) == ["a", "b"]

    @pytest.mark.parametrize("items_read", [1, 2])
    async def test_closed_early(self, items_read: int):
        """Leaving early cancels the chain, rolls back, and waits until that is done."""
        streaming = Streaming()
        async with aclosing(streaming.mediator.stream(Count())) as stream:
            async for number in stream:
                if number == items_read:
                    break

        assert streaming.heard[-2:] == ["rollback on CancelledError", "close"]
        assert other_tasks() == set()
        assert "count begins" not in streaming.heard

    async def test_handler_is_closed(self):
        """Leaving early runs the handler's own cleanup, inside the chain."""
        streaming = Streaming()

        @streaming.mediator.handles(Letters)
        async def letters(request: Letters) -> AsyncGenerator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                await asyncio.sleep(0)
                streaming.heard.append("handler is left")

        async with aclosing(streaming.mediator.stream(Letters())) as stream:
            await anext(stream)

        assert streaming.heard == [
            "begin",
            "handler is left",
            "rollback on CancelledError",
        ]

    async def test_closed_after_last_item(self):
        """A stream whose end was not read has not succeeded."""
        streaming = Streaming()
        async with aclosing(streaming.mediator.stream(Count(1))) as stream:
            await anext(stream)

        assert streaming.heard[-2:] == ["rollback on CancelledError", "close"]

    async def test_closed_before_first_item(self):
        """A stream that was never read leaves no trace."""
        streaming = Streaming()
        await streaming.mediator.stream(Count()).aclose()

        assert streaming.heard == []

    async def test_closed_while_middleware_swallows(self):
        """Not even a middleware that swallows the cancellation can make it succeed."""

        async def swallow(request: Any, handle: Handle) -> Any:
            try:
                return await handle(request)
            except asyncio.CancelledError:
                collect(Happened("swallowed"))
                return None

        streaming = Streaming()
        streaming.mediator.use(swallow)
        async with aclosing(streaming.mediator.stream(Count())) as stream:
            await anext(stream)

        assert other_tasks() == set()
        assert "swallowed" not in streaming.heard
        assert streaming.heard[-2:] == ["rollback on CancelledError", "close"]

    async def test_reader_is_cancelled(self):
        """Wherever its reader is cancelled, the stream ends, and emits nothing."""
        finished = 0
        for steps in range(ENOUGH_STEPS):
            streaming = Streaming()
            task = await cancelled_after(steps, streaming.read(Count()))

            assert other_tasks() == set()
            heard = streaming.heard
            assert heard.count("open") == heard.count("close")
            assert heard.count("begin") == heard.count("commit") + sum(
                line.startswith("rollback") for line in heard
            )
            if "commit" not in heard:
                assert "count begins" not in heard
            if not task.cancelled():
                finished += 1
                assert task.result() == [1, 2, 3]

        assert 0 < finished < ENOUGH_STEPS

    async def test_reader_is_cancelled_and_rollback_fails(self):
        """A reader who is cancelled stays so, although the rollback failed."""

        async def roll_back(request: Any, handle: Handle) -> Any:
            try:
                return await handle(request)
            except asyncio.CancelledError:
                raise FailedError from None

        streaming = Streaming()
        streaming.mediator.use(roll_back)

        @streaming.mediator.handles(Letters)
        async def letters(request: Letters) -> AsyncGenerator[str]:
            yield "a"
            await asyncio.Event().wait()

        task = await cancelled_after(10, streaming.read(Letters()))

        assert task.cancelled()

    async def test_reader_is_cancelled_while_an_item_comes(self):
        """The handler sees a cancellation, and no error of asyncio's futures."""
        streaming = Streaming()
        seen: list[type[BaseException]] = []
        may_yield = asyncio.Event()

        async def look(request: Any, handle: Handle) -> Any:
            try:
                return await handle(request)
            except BaseException as error:
                seen.append(type(error))
                raise

        streaming.mediator.use(look)

        @streaming.mediator.handles(Letters)
        async def letters(request: Letters) -> AsyncGenerator[str]:
            await may_yield.wait()
            yield "a"

        task = asyncio.create_task(streaming.read(Letters()))
        await pause(10)
        may_yield.set()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert seen == [asyncio.CancelledError]

    async def test_handler_fails(self):
        """A handler that fails midway fails the reader, after the items so far."""
        streaming = Streaming()

        @streaming.mediator.handles(Letters)
        async def letters(request: Letters) -> AsyncGenerator[str]:
            collect(Happened("never"))
            yield "a"
            raise FailedError

        stream = streaming.mediator.stream(Letters())
        assert await anext(stream) == "a"
        with pytest.raises(FailedError):
            await anext(stream)

        assert streaming.heard == ["begin", "rollback on FailedError"]

    async def test_rollback_fails(self):
        """A rollback that fails when the stream is closed is told to who closes it."""

        async def roll_back(request: Any, handle: Handle) -> Any:
            try:
                return await handle(request)
            except asyncio.CancelledError:
                raise FailedError from None

        streaming = Streaming()
        streaming.mediator.use(roll_back)
        stream = streaming.mediator.stream(Count())
        await anext(stream)

        with pytest.raises(FailedError):
            await stream.aclose()

        assert other_tasks() == set()

    async def test_events_fail(self):
        """Events that cannot be dealt with are told at the end of the items."""
        streaming = Streaming()

        @streaming.mediator.handles(Happened)
        async def fail(event: Happened) -> None:
            raise FailedError

        stream = streaming.mediator.stream(Count())
        assert [await anext(stream) for _ in range(3)] == [1, 2, 3]
        with pytest.raises(EventsError) as caught:
            await anext(stream)

        assert caught.value.response is None

    async def test_in_turn(self):
        """Streams that one task reads in turn keep their events and scopes apart."""
        streaming = Streaming()
        first = streaming.mediator.stream(Count(2, "first"))
        second = streaming.mediator.stream(Count(2, "second"))
        async with aclosing(first), aclosing(second):
            assert [await anext(first), await anext(second)] == [1, 1]
            assert [await anext(first), await anext(second)] == [2, 2]
            assert await anext(second, "end") == "end"
            ended = streaming.heard.copy()
            assert await anext(first, "end") == "end"

        assert ended[-4:] == ["commit", "close", "second begins", "second ends"]
        assert streaming.heard[len(ended) :] == [
            "commit",
            "close",
            "first begins",
            "first ends",
        ]

    async def test_send_between_items(self):
        """A send of the reader between two items has nothing to do with the stream."""
        streaming = Streaming()

        @streaming.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))

        async with aclosing(streaming.mediator.stream(Count())) as stream:
            await anext(stream)
            await streaming.mediator.send(Do("between"))
            with pytest.raises(NoSendError):
                collect(Happened("of the reader"))

        assert streaming.heard.count("between") == 1
        assert streaming.heard[-2:] == ["rollback on CancelledError", "close"]

    async def test_nested_in_send(self):
        """A stream that a handler reads joins the send: one transaction, its events."""
        streaming = Streaming()

        @streaming.mediator.handles(Do)
        async def handle(request: Do) -> int:
            collect(Happened("before"))
            total = 0
            async for number in streaming.mediator.stream(Count(2)):
                total += number
            collect(Happened("after"))
            return total

        assert await streaming.mediator.send(Do()) == 3
        assert streaming.heard.count("begin") == 1
        assert streaming.heard[-6:] == [
            "commit",
            "close",
            "before",
            "count begins",
            "count ends",
            "after",
        ]

    async def test_independent(self):
        """A stream of the independent view stands on its own, also in a send."""
        streaming = Streaming()

        @streaming.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("outer"))
            async for _ in streaming.mediator.independent().stream(Count(1)):
                """Read it to the end."""
            streaming.heard.append("stream is done")

        await streaming.mediator.send(Do())

        assert streaming.heard.count("begin") == 2
        assert streaming.heard[-5:] == [
            "count begins",
            "count ends",
            "stream is done",
            "commit",
            "outer",
        ]

    async def test_send_below_stream(self):
        """A send that a stream's handler makes joins the stream."""
        streaming = Streaming()

        @streaming.mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Happened(request.name))
            return request.name

        @streaming.mediator.handles(Letters)
        async def letters(request: Letters) -> AsyncGenerator[str]:
            yield await streaming.mediator.send(Do("a"))
            yield await streaming.mediator.send(Do("b"))

        assert await streaming.read(Letters()) == ["a", "b"]
        assert streaming.heard == ["begin", "commit", "a", "b"]

    async def test_forgotten(self):
        """A stream that is forgotten halfway is ended when it is collected."""
        streaming = Streaming()
        async for _ in streaming.mediator.stream(Count()):
            break
        gc.collect()
        await pause(10)

        assert other_tasks() == set()
        assert streaming.heard[-2:] == ["rollback on CancelledError", "close"]

    def test_forgotten_until_the_loop_closes(self):
        """A stream that is still open when the program ends is rolled back."""
        streaming = Streaming()
        kept: list[Any] = []

        async def main() -> None:
            kept.append(streaming.mediator.stream(Count()))
            await anext(kept[0])

        asyncio.run(main())

        assert streaming.heard[-2:] == ["rollback on CancelledError", "close"]

    async def test_many_at_once(self):
        """Streams in many tasks keep apart."""
        streaming = Streaming()

        results = await asyncio.gather(
            *(streaming.read(Count(number, f"{number}")) for number in range(20))
        )

        assert results == [list(range(1, number + 1)) for number in range(20)]
        for number in range(20):
            assert streaming.heard.count(f"{number} ends") == 1


class TestStreamErrors:
    async def test_answered_by_middleware(self):
        """A middleware cannot answer a stream by itself; the error says the remedy."""

        async def answer(request: Any, handle: Handle) -> Any:
            return [1, 2, 3]

        streaming = Streaming()
        streaming.mediator.use(answer)

        with pytest.raises(BindingError, match=r"answered Count .* only="):
            await streaming.read(Count())

    async def test_no_stream_request(self):
        """A plain request cannot be streamed; the error says what can."""
        with pytest.raises(NotAMessageError, match="cannot be streamed"):
            await Streaming().read(Do())  # type: ignore[arg-type]  # on purpose

    async def test_sent(self):
        """A stream request cannot be sent; the error says what to do instead."""
        with pytest.raises(NotAMessageError, match="async for item in"):
            await Streaming().mediator.send(Count())  # type: ignore[arg-type]  # on purpose

    async def test_no_handler(self):
        """A stream request without a handler says so."""
        with pytest.raises(HandlerNotFoundError, match="Letters has no handler"):
            await Streaming().read(Letters())

    def test_coroutine_as_handler(self):
        """What is awaited instead of iterated cannot handle a stream."""

        async def letters(request: Letters) -> list[str]:
            return ["a"]

        with pytest.raises(BindingError, match="`yield` the items"):
            Streaming().mediator.handles(Letters)(letters)  # type: ignore[arg-type]  # on purpose

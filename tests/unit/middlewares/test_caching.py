"""Queries are answered with what they were answered with a moment ago."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import attrs
import msgspec
import pydantic
import pytest

from diator import Command, Mediator, Query, Request, StreamRequest, collect
from diator.exceptions import ConfigurationError
from diator.middlewares.caching import CachingMiddleware
from diator.middlewares.timeout import TimeoutMiddleware
from tests.unit.clock import Clock
from tests.unit.fakes import FailedError, Happened, Listening, pause


@dataclass(frozen=True)
class Read(Query[Any]):
    id: int = 1
    asked_by: str = field(default="", compare=False)


@dataclass(frozen=True)
class ReadMore(Read):
    pass


@dataclass(frozen=True)
class ReadOther(Query[Any]):
    id: int = 1


@dataclass(frozen=True)
class Write(Command[Any]):
    id: int = 1


@dataclass(frozen=True)
class Ask(Request[Any]):
    id: int = 1


@dataclass(frozen=True)
class ReadAll(StreamRequest[int]):
    pass


class Struct(msgspec.Struct, Query[Any], frozen=True):
    id: int = 1


class Model(pydantic.BaseModel, Query[Any], frozen=True):
    id: int = 1


@attrs.frozen
class Attrs(Query[Any]):
    id: int = 1


@dataclass
class Mutable(Query[Any]):
    id: int = 1


@dataclass(frozen=True)
class WithList(Query[Any]):
    ids: list[int]


class Plain(Query[Any]):
    pass


class Library:
    """
    A mediator with a cache, whose answers are the numbers of the calls.

    Attributes:
        open: Lets the handler answer.
        failure: What it fails with, once.
        raises: Whether it raises an event.

    """

    def __init__(self, ttl: float = 10, **options: Any) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.failure: type[Exception] | None = None
        self.raises = False
        self.calls = 0
        self.cache = CachingMiddleware(ttl, **options)
        self.listening = Listening()
        self.mediator = self.listening.mediator
        self.mediator.use(self.cache)
        for kind in [Read, ReadMore, ReadOther, Write, Ask, Struct, Model, Attrs]:
            self.mediator.handles(kind)(self.handle)
        for kind in [Mutable, WithList, Plain]:
            self.mediator.handles(kind)(self.handle)

    async def handle(self, request: Any) -> str:
        self.calls += 1
        number = self.calls
        await self.open.wait()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure()
        if self.raises:
            collect(Happened(f"event {number}"))
        return f"answer {number}"

    async def send(self, request: Any) -> Any:
        return await self.mediator.send(request)

    async def waiting(self, *requests: Any) -> list[asyncio.Task[Any]]:
        """Send at the same time, and hold the handler."""
        self.open.clear()
        tasks = [asyncio.create_task(self.send(request)) for request in requests]
        await pause(5)
        return tasks


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def library() -> Library:
    return Library()


class TestCachingMiddleware:
    async def test_again(self, library: Library):
        """A query that is sent again gets the answer that is kept."""
        assert await library.send(Read()) == "answer 1"
        assert await library.send(Read()) == "answer 1"
        assert library.calls == 1

    async def test_no_answer(self):
        """An answer may be None."""
        calls: list[Any] = []
        mediator = Mediator()
        mediator.use(CachingMiddleware(10))

        @mediator.handles(Read)
        async def read(request: Read) -> None:
            calls.append(request)

        await mediator.send(Read())
        await mediator.send(Read())

        assert len(calls) == 1

    @pytest.mark.parametrize("request_type", [Write, Ask])
    async def test_no_query(self, library: Library, request_type: Any):
        """Only queries are answered so."""
        assert await library.send(request_type()) == "answer 1"
        assert await library.send(request_type()) == "answer 2"

    async def test_stream(self):
        """Streams pass."""
        mediator = Mediator()
        mediator.use(CachingMiddleware(10))

        @mediator.handles(ReadAll)
        async def read_all(request: ReadAll) -> AsyncIterator[int]:
            yield 1

        for _ in range(2):
            assert [item async for item in mediator.stream(ReadAll())] == [1]

    async def test_ttl(self, library: Library, clock: Clock):
        """An answer is kept for so long, from when it was given."""
        await library.send(Read())
        clock.now = 9.9
        assert await library.send(Read()) == "answer 1"
        clock.now = 10
        assert await library.send(Read()) == "answer 2"
        clock.now = 19.9
        assert await library.send(Read()) == "answer 2"

    async def test_size(self):
        """The answers that were not asked for the longest go first."""
        library = Library(size=2)
        await library.send(Read(1))
        await library.send(Read(2))
        await library.send(Read(1))
        await library.send(Read(3))

        assert await library.send(Read(1)) == "answer 1"
        assert await library.send(Read(3)) == "answer 3"
        assert await library.send(Read(2)) == "answer 4"

    async def test_failure(self, library: Library):
        """A failure is not kept."""
        library.failure = FailedError

        with pytest.raises(FailedError):
            await library.send(Read())
        assert await library.send(Read()) == "answer 2"

    async def test_events(self, library: Library):
        """An answer for which events were raised is not kept: they would be lost."""
        library.raises = True

        assert await library.send(Read()) == "answer 1"
        assert await library.send(Read()) == "answer 2"
        assert library.listening.heard == ["event 1", "event 2"]

    @pytest.mark.parametrize("options", [{"ttl": 0}, {"ttl": 1, "size": 0}])
    def test_options(self, options: dict[str, Any]):
        """A cache that would keep nothing is refused."""
        with pytest.raises(ConfigurationError, match="above 0"):
            CachingMiddleware(**options)


class TestKey:
    @pytest.mark.parametrize("query_type", [Read, Struct, Model, Attrs])
    async def test_fields(self, library: Library, query_type: Any):
        """Answers are told apart by the fields of their queries."""
        assert await library.send(query_type(id=1)) == "answer 1"
        assert await library.send(query_type(id=2)) == "answer 2"
        assert await library.send(query_type(id=1)) == "answer 1"

    async def test_types(self, library: Library):
        """They are told apart by the types of their queries, too."""
        assert await library.send(Read()) == "answer 1"
        assert await library.send(ReadMore()) == "answer 2"
        assert await library.send(ReadOther()) == "answer 3"

    async def test_fields_not_compared(self, library: Library):
        """Fields that are not compared make no difference."""
        assert await library.send(Read(asked_by="Ann")) == "answer 1"
        assert await library.send(Read(asked_by="Bob")) == "answer 1"

    @pytest.mark.parametrize("query", [Mutable(), WithList([1]), Plain()])
    async def test_not_hashable(self, library: Library, query: Any):
        """A query that cannot be found again is refused, with the remedy."""
        with pytest.raises(ConfigurationError, match=r"frozen dataclass.*key="):
            await library.send(query)
        assert library.calls == 0

    async def test_own(self):
        """A key of one's own may tell them apart otherwise, within a type."""
        library = Library(key=lambda query: query.id % 2)

        assert await library.send(Read(1)) == "answer 1"
        assert await library.send(Read(3)) == "answer 1"
        assert await library.send(Read(2)) == "answer 2"
        assert await library.send(Mutable(1)) == "answer 3"

    async def test_none(self):
        """A query without a key is not kept."""
        library = Library(key=lambda query: query.id or None)

        assert await library.send(Read(0)) == "answer 1"
        library.cache.invalidate(Read(0))
        assert await library.send(Read(0)) == "answer 2"


class TestAtTheSameTime:
    async def test_wait(self, library: Library):
        """Equal queries wait for the answer of the first."""
        tasks = await library.waiting(Read(), Read(), Read(), Read(2))
        assert library.calls == 2
        library.open.set()

        assert await asyncio.gather(*tasks) == ["answer 1"] * 3 + ["answer 2"]

    async def test_expired(self, library: Library, clock: Clock):
        """So they do when an answer is too old."""
        await library.send(Read())
        clock.now = 10
        tasks = await library.waiting(Read(), Read())
        library.open.set()

        assert await asyncio.gather(*tasks) == ["answer 2"] * 2

    async def test_failure(self, library: Library):
        """They get its failure, instead of all failing in their turn."""
        library.failure = FailedError
        tasks = await library.waiting(Read(), Read(), Read())
        library.open.set()
        await asyncio.wait(tasks)

        assert [type(task.exception()) for task in tasks] == [FailedError] * 3
        assert await library.send(Read()) == "answer 2"

    async def test_first_is_cancelled(self, library: Library):
        """If the first is cancelled, another takes its place."""
        first, *others = await library.waiting(Read(), Read(), Read())
        first.cancel()
        await pause(5)
        assert library.calls == 2
        library.open.set()

        assert await asyncio.gather(*others) == ["answer 2"] * 2
        assert first.cancelled()

    async def test_waiting_one_is_cancelled(self, library: Library):
        """One that is cancelled while it waits leaves the others alone."""
        first, second, third = await library.waiting(Read(), Read(), Read())
        second.cancel()
        await asyncio.wait([second])
        library.open.set()

        assert await asyncio.gather(first, third) == ["answer 1"] * 2
        assert second.cancelled()

    async def test_events(self, library: Library):
        """If the first raises events, the others raise their own, at once."""
        library.raises = True
        tasks = await library.waiting(Read(), Read(), Read())
        library.open.set()

        assert sorted(await asyncio.gather(*tasks)) == [
            "answer 1",
            "answer 2",
            "answer 3",
        ]
        assert sorted(library.listening.heard) == ["event 1", "event 2", "event 3"]

    async def test_deadline(self, clock: Clock):
        """The deadline of the first is not that of the others."""
        mediator = Mediator()
        calls: list[Any] = []
        timeouts = {"first": TimeoutMiddleware(2), "second": TimeoutMiddleware(5)}

        async def limit(request: Read, handle: Any) -> Any:
            return await timeouts[request.asked_by](request, handle)

        mediator.use(limit)
        mediator.use(CachingMiddleware(10))

        @mediator.handles(Read)
        async def read(request: Read) -> str:
            calls.append(request)
            await asyncio.sleep(10 if len(calls) == 1 else 1)
            return "answer"

        first = asyncio.create_task(mediator.send(Read(asked_by="first")))
        second = asyncio.create_task(mediator.send(Read(asked_by="second")))
        await asyncio.wait([first, second])

        assert isinstance(first.exception(), TimeoutError)
        assert second.result() == "answer"

    async def test_no_garbage(self, library: Library):
        """What fails leaves no cycles behind."""

        async def fail() -> None:
            library.failure = FailedError
            try:
                await library.send(Read())
            except FailedError:
                return

        await fail()
        gc.collect()
        gc.disable()
        try:
            await fail()
            assert gc.collect() == 0
        finally:
            gc.enable()


class TestInvalidate:
    async def test_query(self, library: Library):
        """The answer of a query can be forgotten."""
        await library.send(Read(1))
        await library.send(Read(2))

        library.cache.invalidate(Read(1))
        library.cache.invalidate(Read(3))

        assert await library.send(Read(1)) == "answer 3"
        assert await library.send(Read(2)) == "answer 2"

    async def test_type(self, library: Library):
        """So can all answers of a type, and of those that derive from it."""
        for query in [Read(), ReadMore(), ReadOther()]:
            await library.send(query)

        library.cache.invalidate(Read)

        assert await library.send(Read()) == "answer 4"
        assert await library.send(ReadMore()) == "answer 5"
        assert await library.send(ReadOther()) == "answer 3"

    async def test_all(self, library: Library):
        """All queries are of the type `Query`."""
        await library.send(Read())
        await library.send(ReadOther())

        library.cache.invalidate(Query)

        assert await library.send(Read()) == "answer 3"
        assert await library.send(ReadOther()) == "answer 4"

    @pytest.mark.parametrize("what", [Read(), Read])
    async def test_on_its_way(self, library: Library, what: Any):
        """An answer from before is neither kept nor given to who asks afterwards."""
        before = await library.waiting(Read(), Read())
        library.cache.invalidate(what)
        after = await library.waiting(Read())
        library.open.set()

        assert await asyncio.gather(*before) == ["answer 1"] * 2
        assert await asyncio.gather(*after) == ["answer 2"]
        assert await library.send(Read()) == "answer 2"

    @pytest.mark.parametrize("what", [Read(), Read])
    async def test_not_kept(self, library: Library, what: Any):
        """It is not kept even if nobody has asked since."""
        [before] = await library.waiting(Read())
        library.cache.invalidate(what)
        library.open.set()
        await before

        assert await library.send(Read()) == "answer 2"

    async def test_event(self, library: Library):
        """The handler of an event is the place for it."""

        @library.mediator.handles(Happened)
        async def forget(event: Happened) -> None:
            library.cache.invalidate(Read())

        await library.send(Read())
        library.raises = True
        await library.send(Write())
        library.raises = False

        assert await library.send(Read()) == "answer 3"


@dataclass(frozen=True)
class Outer(Command[Any]):
    """Sends a query."""


class TestNested:
    async def test_uncommitted(self, library: Library):
        """A query within a send is to see its changes, and does not show them."""

        @library.mediator.handles(Outer)
        async def handle(request: Outer) -> Any:
            return await library.send(Read())

        assert await library.send(Read()) == "answer 1"
        assert await library.send(Outer()) == "answer 2"
        assert await library.send(Read()) == "answer 1"
        library.cache.invalidate(Read)
        assert await library.send(Outer()) == "answer 3"
        assert await library.send(Read()) == "answer 4"

    async def test_event(self, library: Library):
        """So is one within the handling of an event."""
        answers: list[Any] = []

        @library.mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            answers.append(await library.send(Read()))

        await library.send(Read())
        await library.mediator.receive(Happened("it"))

        assert answers == ["answer 2"]

    async def test_independent(self, library: Library):
        """An independent send gets what is kept."""

        @library.mediator.handles(Outer)
        async def handle(request: Outer) -> Any:
            return await library.mediator.independent().send(Read())

        assert await library.send(Read()) == "answer 1"
        assert await library.send(Outer()) == "answer 1"

    async def test_task_left_behind(self, library: Library):
        """A task that outlives its send is nested in nothing."""
        left: list[asyncio.Task[Any]] = []

        async def go_on() -> Any:
            await pause(5)
            return await library.send(Read())

        @library.mediator.handles(Outer)
        async def handle(request: Outer) -> None:
            left.append(asyncio.create_task(go_on()))

        assert await library.send(Read()) == "answer 1"
        await library.send(Outer())

        assert await left[0] == "answer 1"

"""A request that is sent again is not handled again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from diator import DomainEvent, Mediator, Request, StreamRequest, collect
from diator.exceptions import BindingError, ConfigurationError, IdempotencyError
from diator.middlewares.idempotency import (
    IdempotencyMiddleware,
    InMemoryIdempotencyStore,
    KeptAnswer,
)
from tests.unit.clock import Clock
from tests.unit.fakes import Do, FailedError, Happened, Listening, pause


@dataclass
class Pay(Request[str]):
    key: str | None = None
    amount: Any = 1


@dataclass(frozen=True)
class Refund(Request[str]):
    key: str


@dataclass(frozen=True)
class Export(StreamRequest[int]):
    key: str | None


@dataclass(frozen=True)
class Paid(DomainEvent):
    key: str


def key_of(request: Any) -> str | None:
    return request.key


class Cashier:
    """
    Answers with the number of the call, when it is let.

    Attributes:
        open: Lets it answer.
        failure: What it fails with, once.

    """

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.failure: BaseException | None = None
        self.calls = 0

    async def __call__(self, request: Any) -> str:
        self.calls += 1
        number = self.calls
        await self.open.wait()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return f"receipt {number}"


class Shop:
    """
    Sends requests through a middleware to a cashier.

    Args:
        store: The middleware's.

    """

    def __init__(self, store: Any = None) -> None:
        self.cashier = Cashier()
        self.middleware = IdempotencyMiddleware(key_of, store)

    async def send(self, request: Any) -> Any:
        return await self.middleware(request, self.cashier)


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def shop() -> Shop:
    return Shop()


class TestIdempotencyMiddleware:
    async def test_again(self, shop: Shop):
        """A request with a known key gets the answer of the first."""
        assert await shop.send(Pay("a")) == "receipt 1"
        assert await shop.send(Pay("a")) == "receipt 1"
        assert shop.cashier.calls == 1

    async def test_other_key(self, shop: Shop):
        """One with another key is another request."""
        assert await shop.send(Pay("a")) == "receipt 1"
        assert await shop.send(Pay("b")) == "receipt 2"

    async def test_other_type(self, shop: Shop):
        """Each type of request has keys of its own."""
        assert await shop.send(Pay("a")) == "receipt 1"
        assert await shop.send(Refund("a")) == "receipt 2"

    async def test_no_key(self, shop: Shop):
        """One without a key is handled each time."""
        assert await shop.send(Pay()) == "receipt 1"
        assert await shop.send(Pay()) == "receipt 2"

    async def test_no_answer(self):
        """A request that is answered with nothing was handled, too."""
        calls: list[Any] = []

        async def handle(request: Any) -> None:
            calls.append(request)

        middleware = IdempotencyMiddleware(key_of)
        await middleware(Pay("a"), handle)
        await middleware(Pay("a"), handle)

        assert len(calls) == 1

    @pytest.mark.parametrize(
        "first, second",
        [(1, 2), ("1", 1), ([1, 2], [2, 1]), ({(1, 2): 3}, {(1, 2): 4})],
    )
    async def test_other_fields(self, shop: Shop, first: Any, second: Any):
        """One with a known key and other fields is refused."""
        await shop.send(Pay("a", first))

        with pytest.raises(IdempotencyError, match="Pay has the key 'a'") as caught:
            await shop.send(Pay("a", second))
        assert caught.value.request == Pay("a", second)
        assert caught.value.key == "a"
        assert shop.cashier.calls == 1

    @pytest.mark.parametrize(
        "first, second",
        [({1, 2}, {2, 1}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ("\ud800", "\ud800")],
    )
    async def test_same_fields(self, shop: Shop, first: Any, second: Any):
        """Fields that are equal are the same."""
        await shop.send(Pay("a", first))

        assert await shop.send(Pay("a", second)) == "receipt 1"

    async def test_changed_while_handled(self):
        """What counts are the fields as they came."""

        async def handle(request: Pay) -> int:
            request.amount += 1
            return request.amount

        middleware = IdempotencyMiddleware(key_of)

        assert await middleware(Pay("a", 1), handle) == 2
        assert await middleware(Pay("a", 1), handle) == 2

    async def test_failure(self, shop: Shop):
        """A failure is not kept: the request may be sent again."""
        shop.cashier.failure = FailedError()

        with pytest.raises(FailedError):
            await shop.send(Pay("a"))
        assert await shop.send(Pay("a")) == "receipt 2"


class TestAtTheSameTime:
    async def waiting(self, shop: Shop, *requests: Any) -> list[asyncio.Task[Any]]:
        shop.cashier.open.clear()
        tasks = [asyncio.create_task(shop.send(request)) for request in requests]
        await pause(5)
        return tasks

    async def test_wait(self, shop: Shop):
        """Those that come meanwhile wait for the answer of the first."""
        tasks = await self.waiting(shop, Pay("a"), Pay("a"), Pay("a"), Pay("b"))
        assert shop.cashier.calls == 2
        shop.cashier.open.set()

        assert await asyncio.gather(*tasks) == ["receipt 1"] * 3 + ["receipt 2"]

    async def test_other_fields(self, shop: Shop):
        """One with other fields is refused, when the first is answered."""
        first, second = await self.waiting(shop, Pay("a", 1), Pay("a", 2))
        shop.cashier.open.set()
        await asyncio.wait([first, second])

        assert first.result() == "receipt 1"
        assert isinstance(second.exception(), IdempotencyError)

    async def test_first_fails(self, shop: Shop):
        """If the first fails, the next is handled."""
        shop.cashier.failure = FailedError()
        first, *others = await self.waiting(shop, Pay("a"), Pay("a"), Pay("a"))
        shop.cashier.open.set()

        assert await asyncio.gather(*others) == ["receipt 2"] * 2
        assert isinstance(first.exception(), FailedError)

    async def test_first_is_cancelled(self, shop: Shop):
        """If the first is cancelled, the next is handled."""
        first, *others = await self.waiting(shop, Pay("a"), Pay("a"), Pay("a"))
        first.cancel()
        await asyncio.wait([first])
        shop.cashier.open.set()

        assert await asyncio.gather(*others) == ["receipt 2"] * 2
        assert first.cancelled()

    async def test_waiting_one_is_cancelled(self, shop: Shop):
        """One that is cancelled while it waits leaves the others alone."""
        first, second, third = await self.waiting(shop, Pay("a"), Pay("a"), Pay("a"))
        second.cancel()
        await asyncio.wait([second])
        shop.cashier.open.set()

        assert await asyncio.gather(first, third) == ["receipt 1"] * 2
        assert second.cancelled()


class TestInMemoryIdempotencyStore:
    async def test_ttl(self, clock: Clock):
        """An answer is kept for so long, from when it was given."""
        shop = Shop(InMemoryIdempotencyStore(ttl=10))
        await shop.send(Pay("a"))
        clock.now = 5
        await shop.send(Pay("b"))

        clock.now = 9.9
        assert await shop.send(Pay("a")) == "receipt 1"
        clock.now = 10
        assert await shop.send(Pay("a")) == "receipt 3"
        assert await shop.send(Pay("b")) == "receipt 2"

    async def test_size(self):
        """The oldest answers go when there are too many."""
        shop = Shop(InMemoryIdempotencyStore(size=2))
        for key in "abc":
            await shop.send(Pay(key))

        assert await shop.send(Pay("c")) == "receipt 3"
        assert await shop.send(Pay("b")) == "receipt 2"
        assert await shop.send(Pay("a")) == "receipt 4"

    async def test_nothing_left(self, clock: Clock):
        """Keys whose answers have ended take no memory."""
        store = InMemoryIdempotencyStore(ttl=10)
        shop = Shop(store)
        for number in range(5):
            await shop.send(Pay(str(number)))
        clock.now = 11
        await shop.send(Pay("last"))

        assert len(store._kept) == 1
        assert len(store._locks) == 0

    @pytest.mark.parametrize("options", [{"ttl": 0}, {"size": 0}, {"ttl": -1}])
    def test_options(self, options: dict[str, Any]):
        """A store that would keep nothing is refused."""
        with pytest.raises(ConfigurationError, match="above 0"):
            InMemoryIdempotencyStore(**options)

    async def test_claim(self):
        """What a claim keeps is there for the next one of the key."""
        store = InMemoryIdempotencyStore()
        kept = KeptAnswer("fingerprint", "answer")

        async with store.claim(Pay, "a") as claim:
            assert claim.kept is None
            await claim.keep(kept)
            assert claim.kept == kept
        async with store.claim(Pay, "a") as claim:
            assert claim.kept == kept


class TestInMediator:
    async def test_events(self):
        """The events of the first are emitted once."""
        listening = Listening()
        listening.mediator.use(IdempotencyMiddleware(lambda request: request.name))

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Happened("it"))
            return "answer"

        assert await listening.mediator.send(Do()) == "answer"
        assert await listening.mediator.send(Do()) == "answer"
        assert listening.heard == ["it"]

    async def test_event(self):
        """Around events, one that was handled already is let go."""
        heard: list[str] = []
        mediator = Mediator()
        mediator.event_emitter.use(IdempotencyMiddleware(key_of))

        @mediator.handles(Paid)
        async def hear(event: Paid) -> None:
            heard.append(event.key)

        for key in ["a", "b", "a"]:
            await mediator.receive(Paid(key))

        assert heard == ["a", "b"]

    async def test_stream(self):
        """A stream with a key is refused, for nobody could give its items again."""
        mediator = Mediator()
        mediator.use(IdempotencyMiddleware(key_of))

        @mediator.handles(Export)
        async def export(request: Export) -> AsyncIterator[int]:
            yield 1

        with pytest.raises(BindingError, match="Export is answered with a stream"):
            [item async for item in mediator.stream(Export("a"))]
        assert [item async for item in mediator.stream(Export(None))] == [1]

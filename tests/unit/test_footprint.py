"""What sends leave behind: nothing."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import suppress
from dataclasses import dataclass

import pytest

from diator import (
    Command,
    DomainEvent,
    EventHandler,
    Mediator,
    NotificationEvent,
    RequestHandler,
)
from diator.events.collector import Collector
from diator.exceptions import EventsError, HandlerNotFoundError

SENDS = 100_000
KEPT_BYTES = 16_384  # Even a mere reference kept for each send would take 800,000.

FEWER_SENDS = 1_000


class Greet(Command):
    pass


class Notify(Command):
    pass


class Outer(Command):
    """Is answered with the help of another request."""


class Fail(Command):
    pass


class RaiseFailing(Command):
    pass


class RaiseFailingTwice(Command):
    pass


class RaiseUnencodable(Command):
    pass


@dataclass(frozen=True)
class Round(Command):
    left: int


class Unbound(Command):
    pass


class Greeted(DomainEvent):
    pass


class Notified(NotificationEvent):
    pass


class Failing(DomainEvent):
    pass


class FailingTwice(DomainEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class Unencodable(NotificationEvent):
    value: object


class GreetHandler(RequestHandler[Greet, None]):
    async def handle(self, request: Greet) -> None:
        self.events.append(Greeted())


class NotifyHandler(RequestHandler[Notify, None]):
    async def handle(self, request: Notify) -> None:
        self.events.append(Notified())


class OuterHandler(RequestHandler[Outer, None]):
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def handle(self, request: Outer) -> None:
        await self.mediator.send(Greet())


class FailHandler(RequestHandler[Fail, None]):
    async def handle(self, request: Fail) -> None:
        self.events.append(Greeted())
        raise LookupError


class RaiseFailingHandler(RequestHandler[RaiseFailing, None]):
    async def handle(self, request: RaiseFailing) -> None:
        self.events.append(Failing())


class RaiseFailingTwiceHandler(RequestHandler[RaiseFailingTwice, None]):
    async def handle(self, request: RaiseFailingTwice) -> None:
        self.events.append(FailingTwice())


class RaiseUnencodableHandler(RequestHandler[RaiseUnencodable, None]):
    async def handle(self, request: RaiseUnencodable) -> None:
        self.events.append(Unencodable(value=object()))


class GreetedHandler(EventHandler[Greeted]):
    async def handle(self, event: Greeted) -> None:
        pass


class FailingHandler(EventHandler[DomainEvent]):
    async def handle(self, event: DomainEvent) -> None:
        raise LookupError


class OtherFailingHandler(FailingHandler):
    pass


class PassOn:
    async def __call__(self, request, handle):
        return await handle(request)


class TryAgain:
    async def __call__(self, request, handle):
        try:
            return await handle(request)
        except LookupError:
            return await handle(request)


def living_collectors():
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, Collector)]


@pytest.fixture
def mediator():
    mediator = Mediator()
    mediator.container[Mediator] = mediator
    mediator.use(PassOn())
    mediator.use(TryAgain())
    mediator.bind(Greet, GreetHandler)
    mediator.bind(Notify, NotifyHandler)
    mediator.bind(Outer, OuterHandler)
    mediator.bind(Fail, FailHandler)
    mediator.bind(RaiseFailing, RaiseFailingHandler)
    mediator.bind(RaiseFailingTwice, RaiseFailingTwiceHandler)
    mediator.bind(RaiseUnencodable, RaiseUnencodableHandler)
    mediator.bind(Greeted, GreetedHandler)
    mediator.bind(Failing, FailingHandler)
    mediator.bind(FailingTwice, FailingHandler)
    mediator.bind(FailingTwice, OtherFailingHandler)
    return mediator


async def send_many(mediator, request_type, number, error=()):
    for _ in range(number):
        with suppress(error):
            await mediator.send(request_type())


class TestMemory:
    async def test_is_flat(self, mediator):
        """However many requests are sent, nothing of them stays."""
        tracemalloc.start()
        try:
            await send_many(mediator, Greet, FEWER_SENDS)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            await send_many(mediator, Greet, SENDS)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert after - before < KEPT_BYTES

    async def test_rounds_that_start_the_next_one(self):
        """A job whose every round starts the next one holds on to none of them."""
        mediator = Mediator()
        tasks = set()
        kept = []
        done = asyncio.Event()

        @mediator.handles(Round)
        async def handle(request):
            if request.left:
                task = asyncio.create_task(mediator.send(Round(request.left - 1)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await asyncio.sleep(0)
                return
            kept.extend(living_collectors())
            done.set()

        others = len(living_collectors())
        await mediator.send(Round(100))
        await done.wait()

        assert len(kept) - others < 10


class TestGarbage:
    @pytest.fixture(autouse=True)
    def without_collector(self):
        gc.disable()
        yield
        gc.enable()

    @pytest.mark.parametrize("request_type", [Greet, Notify, Outer])
    async def test_success(self, mediator, request_type):
        """A send leaves nothing to the garbage collector."""
        await send_many(mediator, request_type, 2)
        gc.collect()

        await send_many(mediator, request_type, FEWER_SENDS)

        assert gc.collect() == 0

    @pytest.mark.parametrize("request_type", [Greet, Notify, Outer])
    async def test_tasks(self, mediator, request_type):
        """Nor does a task that has sent a request."""
        await asyncio.create_task(mediator.send(request_type()))
        gc.collect()

        for _ in range(10):
            await asyncio.create_task(mediator.send(request_type()))

        assert gc.collect() == 0

    @pytest.mark.parametrize(
        "request_type, error",
        [
            (Fail, LookupError),
            (Unbound, HandlerNotFoundError),
            (RaiseFailing, EventsError),
            (RaiseFailingTwice, EventsError),
            (RaiseUnencodable, EventsError),
        ],
    )
    async def test_failure(self, mediator, request_type, error):
        """Nor does a send that fails, although errors hold on to the frames."""
        with pytest.raises(error):
            await mediator.send(request_type())
        gc.collect()

        await send_many(mediator, request_type, FEWER_SENDS, error)

        assert gc.collect() == 0

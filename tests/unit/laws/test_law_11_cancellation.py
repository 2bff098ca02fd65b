"""Law 11: cancellation passes at once, emits nothing and leaves nothing running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from diator import EventHandler, Mediator, collect
from diator.events.message_brokers.protocol import Message
from diator.exceptions import NoSendError
from diator.middlewares.base import Handle
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from tests.unit.fakes import Announced, Do, Happened, cancelled_after, pause

# More steps of the event loop than any send in these tests takes.
ENOUGH_STEPS = 60


class Session:
    """What a send opens and closes."""


class World:
    """A mediator with everything in it that awaits, and a log of what happened."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.mediator = mediator = Mediator(message_broker=self)
        mediator.container.scoped(Session, self.open_session)
        mediator.use(self.retry)
        mediator.use(TransactionMiddleware(self.begin))
        mediator.use(EventCollectionMiddleware())

        @mediator.handles(Do)
        async def handle(request: Do, session: Session) -> str:
            await self.work(request.name)
            collect(Happened(request.name))
            if request.name == "outer":
                async with asyncio.TaskGroup() as group:
                    group.create_task(mediator.send(Do("one")))
                    group.create_task(mediator.send(Do("two")))
                await mediator.send(Do("three"))
                collect(Announced(name="event"))
            await self.work(request.name)
            return "answer"

        world = self

        class InTurn(EventHandler[Happened]):
            async def handle(self, event: Happened) -> None:
                world.log.append(f"emitted {event.name}")
                await pause()

        class Concurrent(InTurn):
            """Runs at the same time as the next."""

        class AtTheSameTime(InTurn):
            """Runs at the same time as the one before."""

        mediator.bind(Happened, InTurn)
        mediator.bind(Happened, Concurrent, concurrent=True)
        mediator.bind(Happened, AtTheSameTime, concurrent=True)

    async def work(self, name: str) -> None:
        await pause()

    async def retry(self, request: Any, handle: Handle) -> Any:
        """Retry whatever is a failure; a cancellation is none."""
        try:
            return await handle(request)
        except Exception:  # noqa: BLE001  # that is what is tested
            return await handle(request)

    @asynccontextmanager
    async def open_session(self) -> AsyncGenerator[Session]:
        self.log.append("session opened")
        try:
            await pause()
            yield Session()
        finally:
            self.log.append("session closed")

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[None]:
        await pause()
        self.log.append("begin")
        try:
            yield
            await pause()
        except BaseException:
            self.log.append("rollback")
            raise
        self.log.append("commit")

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        await pause()
        self.log.append("published")
        return [None for _ in messages]


class TestLaw11Cancellation:
    async def test_at_every_await(self):
        """Wherever it hits, a cancellation ends the send, and everything below it."""
        finished = 0
        for steps in range(ENOUGH_STEPS):
            world = World()
            others = asyncio.all_tasks()
            task = await cancelled_after(steps, world.mediator.send(Do("outer")))

            assert asyncio.all_tasks() == others
            assert world.log.count("session opened") == world.log.count(
                "session closed"
            )
            assert world.log.count("begin") == world.log.count(
                "commit"
            ) + world.log.count("rollback")
            if task.cancelled():
                assert "published" not in world.log
            else:
                finished += 1
                assert task.result() == "answer"
            if "commit" not in world.log:
                assert not any("emitted" in line for line in world.log)

        # Some were cut off at every stage, and some came through.
        assert 0 < finished < ENOUGH_STEPS / 2

    async def test_emission_stops(self):
        """A cancellation while events are emitted keeps the rest from being emitted."""
        mediator = Mediator()
        heard: list[str] = []

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            heard.append(event.name)
            await pause(3)

        task = await cancelled_after(
            2, mediator.event_emitter.emit(Happened("a"), Happened("b"))
        )

        assert task.cancelled()
        assert heard == ["a"]

    @pytest.mark.parametrize("concurrent", [False, True])
    async def test_not_wrapped_by_fan_out(self, concurrent: bool):
        """A cancellation does not become a member of a group, nor wait for others."""
        mediator = Mediator()
        ran: list[str] = []

        @mediator.handles(Happened, concurrent=concurrent)
        async def cancelled(event: Happened) -> None:
            raise asyncio.CancelledError

        @mediator.handles(Happened)
        async def after(event: Happened) -> None:
            ran.append("after")

        with pytest.raises(asyncio.CancelledError):
            await mediator.event_emitter.emit(Happened("it"))

        assert ran == []

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
    async def test_other_interruptions(self, error: type[BaseException]):
        """What ends the program passes through the emission of events."""
        mediator = Mediator()

        @mediator.handles(Happened)
        async def interrupted(event: Happened) -> None:
            raise error

        # As a task it would stop the event loop.
        with pytest.raises(error):
            await mediator.event_emitter.emit(Happened("it"))

    async def test_timeout(self):
        """A timeout around a send works as around anything else."""
        world = World()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await world.mediator.send(Do("outer"))

        assert not any("emitted" in line for line in world.log)

    async def test_cancelled_child(self):
        """A nested send that is cancelled in its own task leaves the outer alone."""
        mediator = Mediator()
        heard: list[str] = []

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            heard.append(event.name)

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Happened(request.name))
            if request.name == "outer":
                await cancelled_after(2, mediator.send(Do("child")))
                return "answer"
            await pause(10)
            return "child is done"

        assert await mediator.send(Do("outer")) == "answer"
        assert heard == ["outer"]

    async def test_nothing_is_raised_afterwards(self):
        """A cancelled send is over for its task: nothing can be raised in it."""
        mediator = Mediator()
        refused: list[NoSendError] = []

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("never"))
            await pause(10)

        async def send_in_vain() -> None:
            try:
                await mediator.send(Do())
            except asyncio.CancelledError:
                with pytest.raises(NoSendError) as caught:
                    collect(Happened("too late"))
                refused.append(caught.value)
                raise

        await cancelled_after(3, send_in_vain())

        assert len(refused) == 1

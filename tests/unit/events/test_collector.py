"""Where events wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from diator import Mediator, RequestHandler, collect
from diator.events.collector import Attempt
from diator.exceptions import NoSendError
from tests.unit.fakes import Do, FailedError, Happened, Listening


class Handler(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None: ...


class TestAttempt:
    async def test_kept(self):
        """What is raised in an attempt that ends well joins what is around it."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("before"))
            with Attempt():
                collect(Happened("inside"))
            collect(Happened("after"))

        await listening.mediator.send(Do())

        assert listening.heard == ["before", "inside", "after"]

    async def test_dropped(self):
        """What is raised in an attempt that fails is dropped, and nothing else."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("before"))
            with suppress(FailedError), Attempt():
                collect(Happened("inside"))
                raise FailedError
            collect(Happened("after"))

        await listening.mediator.send(Do())

        assert listening.heard == ["before", "after"]

    async def test_nested(self):
        """An attempt in one that fails is dropped with it."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            with suppress(FailedError), Attempt():
                with Attempt():
                    collect(Happened("inside"))
                raise FailedError

        await listening.mediator.send(Do())

        assert listening.heard == []

    async def test_side_by_side(self):
        """Attempts in two tasks keep apart."""
        listening = Listening()

        async def try_it(name: str, *, fails: bool) -> None:
            with Attempt():
                collect(Happened(f"{name} begins"))
                await asyncio.sleep(0)
                collect(Happened(f"{name} goes on"))
                await asyncio.sleep(0)
                if fails:
                    raise FailedError

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            await asyncio.gather(
                try_it("good", fails=False),
                try_it("bad", fails=True),
                return_exceptions=True,
            )

        await listening.mediator.send(Do())

        assert listening.heard == ["good begins", "good goes on"]

    def test_outside_a_send(self):
        """An attempt needs a send around it."""
        with pytest.raises(NoSendError), Attempt():
            pytest.fail("it was entered")


class TestRaisedEvents:
    async def test_new_for_every_send(self):
        """Each send begins with no events, also with a handler that is kept."""
        seen: list[int] = []

        class Counting(RequestHandler[Do, None]):
            async def handle(self, request: Do) -> None:
                seen.append(len(self.events))
                self.events.append(Happened("it"))

        mediator = Mediator()
        mediator.container[Counting] = Counting()
        mediator.bind(Do, Counting)
        await mediator.send(Do())
        await mediator.send(Do())

        assert seen == [0, 0]

    def test_emptied_outside_a_send(self):
        """A constructor may empty the events, also where no send is running."""
        handler = Handler()
        handler.events = []  # type: ignore[misc]  # read-only for type checkers

        with pytest.raises(NoSendError):
            _ = handler.events

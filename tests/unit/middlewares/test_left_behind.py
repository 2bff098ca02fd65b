"""What becomes of parts of a send that a middleware does not wait for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from diator import Mediator, collect
from diator.container.scope import current_scope
from diator.exceptions import NoSendError
from diator.middlewares.base import Handle
from tests.unit.fakes import Do, Happened


class Impatient:
    """Answers by itself while the rest of the chain goes on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.left: asyncio.Task[Any]

    async def __call__(self, request: Any, handle: Handle) -> Any:
        async def rest() -> Any:
            return await handle(request)

        self.left = asyncio.create_task(rest())
        await self.begun.wait()
        return "early"


class TestLeftBehind:
    async def test_events(self):
        """Events that can leave no more are told of instead of being lost."""
        impatient = Impatient()
        mediator = Mediator()
        mediator.use(impatient)

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("late"))
            impatient.begun.set()
            await impatient.ended.wait()

        assert await mediator.send(Do()) == "early"
        impatient.ended.set()
        with pytest.raises(NoSendError, match="await what it starts"):
            await impatient.left

    async def test_scope(self):
        """A scope that is closed is not opened again."""
        impatient = Impatient()
        mediator = Mediator()
        mediator.use(impatient)

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            impatient.begun.set()
            await impatient.ended.wait()
            current_scope()

        await mediator.send(Do())
        impatient.ended.set()
        with pytest.raises(NoSendError, match="its scope is closed"):
            await impatient.left

"""How streams end that do not end well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from diator import Mediator, StreamRequest, collect
from diator.middlewares.base import Handle
from tests.unit.fakes import FakeBroker, Happened


@dataclass(frozen=True)
class Count(StreamRequest[int]):
    """Asks for two numbers."""


class Numbers:
    """An iterator that is no generator, and cannot be closed."""

    def __init__(self) -> None:
        self.left = [2, 1]

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


async def count(request: Count) -> AsyncIterator[int]:
    collect(Happened("counted"))
    yield 1
    yield 2


async def swallow(request: Any, handle: Handle) -> None:
    try:
        await handle(request)
    except asyncio.CancelledError:
        return


async def twice(request: Any, handle: Handle) -> None:
    for _ in range(2):
        try:
            async with asyncio.timeout(0):
                await handle(request)
        except TimeoutError:
            continue


class TestEnds:
    async def test_iterator(self):
        """A handler may return any async iterator."""
        mediator = Mediator()

        @mediator.handles(Count)
        def numbers(request: Count) -> AsyncIterator[int]:
            return Numbers()

        assert [item async for item in mediator.stream(Count())] == [1, 2]

    async def test_closed_and_swallowed(self):
        """A stream that was closed raises no events, whatever a middleware swallows."""
        heard: list[Happened] = []
        mediator = Mediator(message_broker=FakeBroker())
        mediator.use(swallow)
        mediator.handles(Count)(count)

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            heard.append(event)

        async with aclosing(mediator.stream(Count())) as items:
            async for _ in items:
                break

        assert heard == []

    async def test_deadline_while_reading(self):
        """A deadline that passes while the reader is busy is for the middleware."""
        mediator = Mediator()
        mediator.handles(Count)(count)

        @mediator.use
        async def deadline(request: Any, handle: Handle) -> None:
            try:
                async with asyncio.timeout(0.01):
                    await handle(request)
            finally:
                passed.set()

        passed = asyncio.Event()

        async def read() -> None:
            async for _ in mediator.stream(Count()):
                await passed.wait()

        with pytest.raises(TimeoutError):
            await read()

    async def test_tried_again_while_reading(self):
        """A middleware that tries again before the reader asks waits for that."""
        mediator = Mediator()
        mediator.handles(Count)(count)
        mediator.use(twice)

        items = []
        async for item in mediator.stream(Count()):
            items.append(item)
            for _ in range(5):
                await asyncio.sleep(0)

        assert items[0] == 1

"""Statements on SQLite come to their end, whoever is cancelled meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from diator.outbox.sqlite import uninterrupted


class Steps:
    """
    Stands in for a few statements.

    Attributes:
        begun: Set when they have begun.
        may_end: To be set for them to end.
        ended: Whether they have come to their end.

    """

    def __init__(self, *, error=None):
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ended = False
        self.error = error

    async def take(self):
        self.begun.set()
        await self.may_end.wait()
        self.ended = True
        if self.error is not None:
            raise self.error
        return "done"


class TestUninterrupted:
    async def test_result(self):
        """Where nobody is cancelled, it is as if they were awaited."""
        steps = Steps()
        steps.may_end.set()

        assert await uninterrupted(steps.take()) == "done"

    @pytest.mark.parametrize("times", [1, 2, 3])
    @pytest.mark.parametrize("error", [None, LookupError("failed")])
    async def test_cancelled(self, times, error):
        """However often it is cancelled, they end first, and then it is cancelled."""
        steps = Steps(error=error)
        task = asyncio.create_task(uninterrupted(steps.take()))
        await steps.begun.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert not task.done()

        steps.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert steps.ended

    async def test_steps_cancelled(self):
        """When all tasks of the loop are cancelled at its end, so are they."""
        steps = Steps()
        before = asyncio.all_tasks()
        task = asyncio.create_task(uninterrupted(steps.take()))
        await steps.begun.wait()

        for each in asyncio.all_tasks() - before:
            each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert not steps.ended

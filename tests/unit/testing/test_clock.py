"""How time passes by a clock that tests move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from diator.testing.clock import MovableClock


async def work_for(
    seconds: float, clock: MovableClock, deadline: asyncio.Timeout
) -> None:
    async with deadline:
        clock.advance(seconds)
        await asyncio.Event().wait()


class TestMovableClock:
    async def test_waits_end_at_once(self):
        """A wait takes as long as it says, and no time."""
        with MovableClock() as clock:
            begin = clock.now()
            await asyncio.sleep(3600)

            assert clock.now() - begin == pytest.approx(
                timedelta(hours=1), abs=timedelta(seconds=1)
            )

    async def test_advance(self):
        """A deadline passes while a task works."""
        with MovableClock(datetime(2031, 1, 1, tzinfo=UTC)) as clock:
            deadline = asyncio.timeout(10)
            with pytest.raises(TimeoutError):
                await work_for(11, clock, deadline)
            assert clock.now() == datetime(2031, 1, 1, 0, 0, 11, tzinfo=UTC)

    async def test_the_loop_has_its_clock_back(self):
        loop = asyncio.get_running_loop()
        time = loop.time
        with MovableClock():
            assert loop.time is not time
        assert loop.time == time

    async def test_timers_that_outlive_it(self):
        """What was set while time was skipped is not late afterwards."""
        reached = asyncio.Event()
        with MovableClock():
            await asyncio.sleep(3600)
            asyncio.get_running_loop().call_later(0.01, reached.set)

        async with asyncio.timeout(20):
            await reached.wait()

    def test_backwards(self):
        with pytest.raises(ValueError, match="at least 0, not -1"):
            MovableClock().advance(-1)

"""Sending together what many callers want sent at the same time."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from contextvars import ContextVar

import pytest

from diator.events.message_brokers.batching import MAX_BATCH, Batcher

SOON = 0.05  # seconds
SLACK = 5  # seconds, for a busy machine

variable = ContextVar("variable", default="nobody's")


class Sender:
    """Sends nothing until it is let go, and then refuses what is negative."""

    def __init__(self) -> None:
        self.batches = []
        self.contexts = []
        self.deadlines = []
        self.let_go = asyncio.Event()

    async def __call__(self, items, deadline):
        self.batches.append(list(items))
        self.contexts.append(variable.get())
        self.deadlines.append(deadline)
        await self.let_go.wait()
        return [ValueError(item) if item < 0 else None for item in items]


class BrokenSender(Sender):
    async def __call__(self, items, deadline):
        await super().__call__(items, deadline)
        raise LookupError


async def settle():
    """Let every task go on until it waits for something else than the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def start(batcher, *calls):
    """Have each of the calls send its items, and return their tasks."""
    tasks = []
    for items in calls:
        tasks.append(asyncio.create_task(batcher.send(items)))
        await settle()
    return tasks


def no_others_left():
    return asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def sender():
    return Sender()


@pytest.fixture
async def batcher(sender):
    return Batcher(sender, timeout=60)


class TestOrder:
    async def test_alone(self, batcher, sender):
        """Who comes alone sends in its own task."""
        sender.let_go.set()
        variable.set("the caller's")

        assert await batcher.send([1, -2]) != [None, None]
        assert sender.contexts == ["the caller's"]

    async def test_one_flight_at_a_time(self, batcher, sender):
        """The next batch is whatever came while the last one flew."""
        tasks = await start(batcher, [1], [2, 3], [4])

        assert sender.batches == [[1]]

        sender.let_go.set()
        await asyncio.gather(*tasks)

        assert sender.batches == [[1], [2, 3, 4]]

    async def test_outcomes(self, batcher, sender):
        """Each caller is told of its own items, in their order."""
        tasks = await start(batcher, [1, -1], [2, -2, 3], [], [-4])
        sender.let_go.set()
        outcomes = await asyncio.gather(*tasks)

        assert [
            [outcome and outcome.args for outcome in told] for told in outcomes
        ] == [
            [None, (-1,)],
            [None, (-2,), None],
            [],
            [(-4,)],
        ]

    async def test_many(self, batcher, sender):
        """A thousand at once make two batches, nothing lost and nothing twice."""
        tasks = await start(batcher, [0])
        tasks += [asyncio.create_task(batcher.send([n])) for n in range(1, 1_000)]
        await settle()
        sender.let_go.set()
        outcomes = await asyncio.gather(*tasks)

        assert outcomes == [[None]] * 1_000
        assert sender.batches == [[0], list(range(1, 1_000))]

    async def test_full_batch(self, batcher, sender):
        """Who finds the batch full comes into the next, and no caller is torn."""
        tasks = await start(batcher, [0], [1] * (MAX_BATCH - 1), [2, 2], [3])
        sender.let_go.set()
        await asyncio.gather(*tasks)

        assert [len(batch) for batch in sender.batches] == [1, MAX_BATCH + 1, 1]

    async def test_context(self, batcher, sender):
        """What is sent for many is sent in the context of none of them."""
        variable.set("a caller's")
        tasks = await start(batcher, [1], [2])
        sender.let_go.set()
        await asyncio.gather(*tasks)

        assert sender.contexts == ["a caller's", "nobody's"]

    async def test_afterwards(self, batcher, sender):
        """Afterwards nothing is left running, and who comes is alone again."""
        tasks = await start(batcher, [1], [2])
        sender.let_go.set()
        await asyncio.gather(*tasks)

        assert no_others_left()
        assert all(timer.cancelled() for timer in asyncio.get_running_loop()._scheduled)
        await batcher.send([3])
        assert sender.batches[-1] == [3]

    async def test_keeps_no_context(self, batcher, sender):
        """Nor does what holds for many keep anything of one of them."""
        thing = Sender()
        kept = weakref.ref(thing)
        [first] = await start(batcher, [1])
        token = variable.set(thing)
        [cancelled] = await start(batcher, [2])
        variable.reset(token)
        del thing, token

        cancelled.cancel()
        await settle()
        del cancelled

        assert kept() is None
        sender.let_go.set()
        await first


class TestCancellation:
    async def test_alone(self, batcher, sender):
        """Who sends alone and is cancelled leaves the others to go on."""
        alone, other = await start(batcher, [1], [2])

        alone.cancel()
        sender.let_go.set()

        assert await other == [None]
        assert alone.cancelled()
        assert sender.batches == [[1], [2]]

    async def test_queued(self, batcher, sender):
        """Who is cancelled in the queue has nothing sent."""
        first, cancelled, last = await start(batcher, [1], [2], [3])

        cancelled.cancel()
        await settle()
        assert cancelled.cancelled()

        sender.let_go.set()
        await asyncio.gather(first, last)
        assert sender.batches == [[1], [3]]

    async def test_all_queued(self, batcher, sender):
        """Where nobody is left in the queue nothing is sent."""
        first, cancelled = await start(batcher, [1], [2])

        cancelled.cancel()
        sender.let_go.set()
        await first
        await settle()

        assert sender.batches == [[1]]
        assert no_others_left()

    async def test_in_flight(self, batcher, sender):
        """Who is cancelled in flight does not keep the others from their answers."""
        first, cancelled, last = await start(batcher, [1], [2], [-3])
        first.cancel()
        await settle()
        assert sender.batches == [[1], [2, -3]]

        cancelled.cancel()
        await settle()
        assert cancelled.cancelled()
        assert not last.done()

        sender.let_go.set()
        assert [str(outcome) for outcome in await last] == ["-3"]

    async def test_task_that_sends(self, batcher, sender):
        """Where the task that sends is cancelled, all who wait are told."""
        first, second = await start(batcher, [1], [2])
        first.cancel()
        await settle()
        third = (await start(batcher, [3, 3]))[0]

        for task in asyncio.all_tasks() - {asyncio.current_task(), second, third}:
            task.cancel()

        outcomes = [*await second, *await third]
        assert [str(outcome) for outcome in outcomes] == [
            "it may have been sent: the task that sends was cancelled",
            "nothing was sent: the task that sends was cancelled",
            "nothing was sent: the task that sends was cancelled",
        ]
        assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
        sender.let_go.set()
        assert await batcher.send([4]) == [None]

    async def test_task_that_would_send(self, batcher, sender):
        """The same holds where that task is cancelled before it could begin."""
        first, second = await start(batcher, [1], [2])
        before = asyncio.all_tasks()

        def cancel_new_tasks():
            for task in asyncio.all_tasks() - before:
                task.cancel()

        first.cancel()
        asyncio.get_running_loop().call_soon(cancel_new_tasks)

        assert [str(outcome) for outcome in await second] == [
            "nothing was sent: the task that sends was cancelled"
        ]
        assert sender.batches == [[1]]

    def test_shutdown(self, caplog):
        """When the event loop is shut down nothing more is sent."""
        sender = Sender()

        async def leave_running():
            await start(Batcher(sender, timeout=60), [1], [2], [3])

        asyncio.run(leave_running())
        gc.collect()

        assert sender.batches == [[1]]
        assert caplog.text == ""  # asyncio tells there of tasks that are left

    @pytest.mark.parametrize("steps", range(12))
    async def test_every_await(self, batcher, sender, steps):
        """Wherever a caller is cancelled, the others are answered."""
        sender.let_go.set()
        callers = [asyncio.create_task(batcher.send([n])) for n in range(5)]
        for _ in range(steps):
            await asyncio.sleep(0)

        callers[2].cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)

        del outcomes[2]
        assert outcomes == [[None]] * 4
        await settle()
        assert no_others_left()
        assert await batcher.send([6]) == [None]


class TestFailure:
    async def test_expired_in_queue(self, sender):
        """Who waits for too long is told that nothing was sent, and nothing is."""
        batcher = Batcher(sender, timeout=SOON)
        first, second = await start(batcher, [1], [2, 2])

        async with asyncio.timeout(SOON + SLACK):
            outcomes = await second

        assert [str(outcome) for outcome in outcomes] == [
            "nothing was sent: it took more than 0.05 s"
        ] * 2
        assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
        sender.let_go.set()
        assert await first == [None]
        await settle()
        assert sender.batches == [[1]]

    async def test_expired_in_flight(self, sender):
        """Who is in flight for too long is told that it may have been sent."""
        batcher = Batcher(sender, timeout=SOON)
        first, second = await start(batcher, [1], [2])
        first.cancel()

        async with asyncio.timeout(SOON + SLACK):
            outcomes = await second

        assert [str(outcome) for outcome in outcomes] == [
            "it may have been sent: it took more than 0.05 s"
        ]
        assert sender.batches == [[1], [2]]
        sender.let_go.set()
        await settle()
        assert no_others_left()

    async def test_each_has_its_time(self, sender):
        """Who comes later is told later, and each has waited for as long."""
        loop = asyncio.get_running_loop()
        # A busy machine must not make the earlier one give up before the other comes.
        timeout = 20 * SOON
        batcher = Batcher(sender, timeout=timeout)
        waited = []

        async def wait():
            started = loop.time()
            outcomes = await batcher.send([1])
            waited.append(loop.time() - started)
            return outcomes

        async with asyncio.timeout(2 * timeout + SLACK), asyncio.TaskGroup() as group:
            [first] = await start(batcher, [0])
            earlier = group.create_task(wait())
            await asyncio.sleep(SOON)
            first.cancel()
            await settle()
            later = group.create_task(wait())

        assert [str(outcome) for outcome in earlier.result() + later.result()] == [
            "it may have been sent: it took more than 1 s",
            "nothing was sent: it took more than 1 s",
        ]
        assert min(waited) >= timeout - time.get_clock_info("monotonic").resolution
        sender.let_go.set()
        await settle()
        assert sender.batches == [[0], [1]]

    async def test_nobody_left(self, sender):
        """Who comes after all others were told is told in time, too."""
        batcher = Batcher(sender, timeout=SOON)
        await start(batcher, [0])

        async with asyncio.timeout(2 * SOON + SLACK):
            outcomes = [*await batcher.send([1]), *await batcher.send([2])]

        assert [str(outcome) for outcome in outcomes] == [
            "nothing was sent: it took more than 0.05 s"
        ] * 2
        sender.let_go.set()

    async def test_deadline(self, batcher, sender):
        """A flight has as much time as its latest member."""
        first, second = await start(batcher, [1], [2])
        before = asyncio.get_running_loop().time()
        [third] = await start(batcher, [3])
        sender.let_go.set()
        await asyncio.gather(first, second, third)

        assert sender.deadlines[1] >= before + 60 > sender.deadlines[0]

    async def test_broken_sender(self):
        """An error where none may be reaches those who wait."""
        sender = BrokenSender()
        batcher = Batcher(sender, timeout=60)
        first, second = await start(batcher, [1], [2])
        first.cancel()
        await settle()
        third = (await start(batcher, [3]))[0]

        sender.let_go.set()

        assert [str(outcome) for outcome in await second + await third] == [
            "it may have been sent: LookupError()",
            "nothing was sent: LookupError()",
        ]
        with pytest.raises(LookupError):
            await batcher.send([4])


class TestDrain:
    async def test_idle(self, batcher, sender):
        """Where nothing is being sent there is nothing to wait for."""
        await batcher.drain()

        assert sender.batches == []

    async def test_nothing_queued(self, batcher, sender):
        """Who sends alone is waited for, and nothing is sent for the waiting."""
        [task] = await start(batcher, [1])
        draining = asyncio.create_task(batcher.drain())
        await settle()
        assert not draining.done()

        sender.let_go.set()
        await draining

        assert task.done()
        assert sender.batches == [[1]]

    async def test_busy(self, batcher, sender):
        """What was given before is sent first."""
        tasks = await start(batcher, [1], [2])
        draining = asyncio.create_task(batcher.drain())
        await settle()
        assert not draining.done()

        sender.let_go.set()
        await draining

        assert sender.batches == [[1], [2]]
        assert await asyncio.gather(*tasks) == [[None], [None]]

"""
One peer, in a process and an environment of its own.

It reads orders from its standard input and answers on its standard output, each a line
of JSON. Usage: python -m benchmarks.peers.worker ADAPTER
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType
from typing import Any

from benchmarks.peers.cases import CASES, Case
from benchmarks.peers.parts import EVENT_ID
from benchmarks.peers.work import Work, counted

SENDS_CHECKED = 3
"""More than one, so that what only happens at the first send is noticed."""

CALIBRATION_SECONDS = 0.002
SAMPLE = 1_000
"""How many of the registered types are sent in turn."""

PAGE = os.sysconf("SC_PAGE_SIZE")


class CannotError(Exception):
    """The peer cannot do this, and the message says why."""


class Worker:
    """
    Does what it is told to with one adapter.

    Args:
        adapter: The adapter's module.
        runner: Runs the event loop.

    """

    def __init__(self, adapter: Any, runner: asyncio.Runner) -> None:
        self._adapter = adapter
        self._runner = runner
        self._send: Callable[[Any], Awaitable[object]]
        self._messages: Sequence[Any]

    def remarks(self) -> dict[str, Any]:
        """Return what the adapter has to say of its functions."""
        return {
            "notes": getattr(self._adapter, "NOTES", {}),
            "lacks": getattr(self._adapter, "LACKS", {}),
        }

    def prepare(self, case: str) -> dict[str, Any]:
        """Set a case up, check it, and warm up."""
        wanted = next(each for each in CASES if each.name == case)

        async def prepare() -> int:
            work = self._make(wanted.function, *wanted.arguments)
            await check(work, wanted)
            return await self._settle(work.send, [work.message])

        return {"sends_per_ms": self._runner.run(prepare())}

    def measure(self, sends: int) -> dict[str, Any]:
        """Time a number of sends."""

        async def measure() -> float:
            messages = self._repeated(sends)
            await repeat(self._send, self._repeated(max(1, sends // 10)))
            started = time.thread_time_ns()
            await repeat(self._send, messages)
            return (time.thread_time_ns() - started) / sends

        return {"ns": self._runner.run(measure())}

    def in_flight(self, sends: int) -> dict[str, Any]:
        """Say how many bytes a send takes that waits in its handler."""

        async def in_flight() -> float:
            future = asyncio.get_running_loop().create_future()
            work = self._make("waiting", future)
            before = memory()
            tasks = [
                asyncio.ensure_future(work.send(work.message)) for _ in range(sends)
            ]
            # They have to get as far as the future, which may take some turns.
            while len(getattr(future, "_callbacks", None) or ()) < sends:
                if any(task.done() for task in tasks[:: max(1, sends // 10)]):
                    await asyncio.gather(*tasks)
                    msg = "its sends do not wait for their handlers"
                    raise CannotError(msg)
                await asyncio.sleep(0)
            grown = memory() - before
            future.set_result(None)
            await asyncio.gather(*tasks)
            return grown / sends

        return {"bytes": self._runner.run(in_flight())}

    def register(self, types: int) -> dict[str, Any]:
        """Register many types, and get ready to time sends of them in turn."""
        message_type = self._adapter.Echo
        kinds = [type(f"Echo{n}", (message_type,), {}) for n in range(types)]
        gc.collect()

        async def register() -> tuple[int, int]:
            before = memory()
            work = self._make("registered", kinds)
            sample = kinds[:: max(1, types // SAMPLE)][:SAMPLE]
            messages = [kind(number=1) for kind in sample]
            for message in messages:
                answer = await work.send(message)
                assert answer == work.answer, f"it answered {answer!r}"
            grown = memory() - before
            return grown, await self._settle(work.send, messages)

        grown, sends_per_ms = self._runner.run(register())
        return {"bytes": grown / types, "sends_per_ms": sends_per_ms}

    def _make(self, function: str, *arguments: Any) -> Work:
        if function in self._adapter.CANNOT:
            raise CannotError(self._adapter.CANNOT[function])
        work: Work = getattr(self._adapter, function)(*arguments)
        return work

    async def _settle(
        self, send: Callable[[Any], Awaitable[object]], messages: Sequence[Any]
    ) -> int:
        """Warm up, and return how many sends make a millisecond."""
        self._send, self._messages = send, messages
        sends = 1
        while True:
            started = time.perf_counter()
            await repeat(send, self._repeated(sends))
            passed = time.perf_counter() - started
            if passed > CALIBRATION_SECONDS:
                return max(1, int(sends / passed / 1000))
            sends *= 2

    def _repeated(self, sends: int) -> list[Any]:
        return list(itertools.islice(itertools.cycle(self._messages), sends))


async def repeat(
    send: Callable[[Any], Awaitable[object]], messages: Sequence[Any]
) -> None:
    """Send one message after the other."""
    for message in messages:
        await send(message)


async def check(work: Work, case: Case) -> None:
    """Assert that a case does what it has to, before it is timed."""
    calls: Counter[str] = Counter()
    # A coroutine that goes on after it has waited is no call of its own.
    seen: set[FrameType] = set()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in counted and frame not in seen:
            seen.add(frame)
            calls.update(counted[frame.f_code])

    # The first may build what all others share.
    await work.send(work.message)
    published = [] if work.bodies is None else work.bodies()
    answers = []
    sys.setprofile(count)
    try:
        for _ in range(SENDS_CHECKED):
            answers.append(await work.send(work.message))  # noqa: PERF401  # it awaits
    finally:
        sys.setprofile(None)
    expected = {kind: number * SENDS_CHECKED for kind, number in case.calls.items()}
    made = {kind: calls[kind] for kind in expected}
    assert made == expected, f"it called {made} instead of {expected}"
    if case.function not in ("fan_out", "two_events", "realistic"):
        assert answers == [work.answer] * SENDS_CHECKED, f"it answered {answers}"
    if case.publishes:
        check_published(work, len(published))
    # The CPU time of one thread would not be what the work costs.
    assert threading.active_count() == 1, "it works in threads"


def check_published(work: Work, before: int) -> None:
    """Assert that each send published its event, encoded."""
    assert work.bodies is not None, "the adapter does not show what was published"
    bodies = work.bodies()[before:]
    assert len(bodies) == SENDS_CHECKED, f"it published {len(bodies)} messages"
    for body in bodies:
        text = bytes(body).decode()
        json.loads(text)
        for part in ("UserJoined", "Ada", "meeting_id", EVENT_ID.hex):
            # Some leave the hyphens out.
            assert part in text.replace("-", ""), f"it published {text}, without {part}"


def memory() -> int:
    """Return what the process holds in memory, in bytes."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123  # no module more
        return int(statm.read().split()[1]) * PAGE


def main() -> None:
    """Obey, until nothing more is wanted."""
    # What a peer prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    adapter = importlib.import_module(f"benchmarks.peers.adapters.{sys.argv[1]}")
    with asyncio.Runner() as runner:
        worker = Worker(adapter, runner)
        for line in sys.stdin:
            order = json.loads(line)
            try:
                answer = getattr(worker, order.pop("order"))(**order)
            except CannotError as error:
                answer = {"cannot": str(error)}
            except Exception as error:  # noqa: BLE001  # whatever a peer may raise
                reason = str(error).splitlines() or [""]
                answer = {"failed": f"{type(error).__name__}: {reason[0]}"}
            print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()

"""Processes that are started, killed, paused and replaced."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

from tests.chaos.application import READY, Settings, run

POLL_SECONDS = 0.05
START_SECONDS = 60  # of a busy machine
STOP_SECONDS = 30
TOLD_CHARACTERS = 2_000


async def until(condition, what, seconds=120):
    """Wait until something is so, and fail where it takes too long."""
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            msg = f"not so after {seconds} s: {what}"
            raise TimeoutError(msg)
        await asyncio.sleep(POLL_SECONDS)


# A process that has everything imported, and divides: a new one every few milliseconds
# keeps the pressure up, which one every second would not.
forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["tests.chaos.application"])


class Process:
    """A process of the application; its log is in a file of its own."""

    def __init__(self, role: str, settings: Settings, log: Path) -> None:
        self.role = role
        self.settings = settings
        self.log = log
        log.touch()
        self._process = forks.Process(target=run, args=(role, settings, log))
        self._process.start()

    @property
    def has_ended(self) -> bool:
        return not self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def is_ready(self) -> bool:
        if self.has_ended and self.exit_code:
            raise AssertionError(self.told())
        return self.has_told(READY)

    def has_told(self, text: str) -> bool:
        return text in self.log.read_text()

    def told(self) -> str:
        return f"{self.role}: {self.log.read_text()[-TOLD_CHARACTERS:]}"

    def send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


class Fleet:
    """The processes of a scenario, all of which end with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[Process] = []

    def start(self, role: str, settings: Settings) -> Process:
        log = self._folder / f"{len(self._processes)}-{role}.log"
        process = Process(role, settings, log)
        self._processes.append(process)
        return process

    async def replace(self, processes: list[Process]) -> None:
        """Kill one of some processes that is at work, and start another like it."""
        ready: list[Process] = []

        def some_are_ready() -> bool:
            ready[:] = [process for process in processes if process.is_ready()]
            return bool(ready)

        await until(some_are_ready, "one of the processes is ready", START_SECONDS)
        old = random.choice(ready)
        old.kill()
        place = processes.index(old)
        processes[place] = self.start(old.role, old.settings)

    async def stop(self, *processes: Process) -> None:
        """Have processes end in good order."""
        for process in processes:
            await until(process.is_ready, f"{process.role} is ready", START_SECONDS)
            process.send(signal.SIGTERM)
        for process in processes:
            await self.ended(process, STOP_SECONDS)

    async def ended(self, process: Process, seconds: float) -> None:
        await until(lambda: process.has_ended, f"{process.role} ends", seconds)
        assert process.exit_code == 0, process.told()

    def close(self) -> None:
        for process in self._processes:
            process.kill()

"""A service that a service manager runs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket

import pytest

from diator.cli import service as module
from diator.cli.service import SignalledError, read_health, serve
from diator.exceptions import ConfigurationError

PATIENCE = 10


class FakeService:
    """Runs until it is stopped, and until what is in flight is done."""

    def __init__(self, *, finishes=True, healthy=True):
        self.running = asyncio.Event()
        self.stopping = asyncio.Event()
        self.done = asyncio.Event()
        self.finishes = finishes
        self.healthy = healthy
        self.asked = asyncio.Event()

    async def run(self):
        self.running.set()
        await self.stopping.wait()
        if not self.finishes:
            await asyncio.Event().wait()
        self.done.set()

    def stop(self):
        self.stopping.set()

    async def health(self):
        self.asked.set()
        if not self.healthy:
            raise ConnectionError
        return {"pending": 3}


class Hanging(FakeService):
    """Does not say how it does."""

    async def health(self):
        await asyncio.Event().wait()


def end(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


async def written(health_file):
    # No event tells of a file.
    while not health_file.exists():  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.fixture
def health_file(tmp_path):
    return tmp_path / "health.json"


class TestServe:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_signal(self, number):
        """A signal stops it, and it finishes what is in flight."""
        service = FakeService()
        task = asyncio.create_task(serve(service))
        await service.running.wait()

        end(number)

        await asyncio.wait_for(task, PATIENCE)
        assert service.done.is_set()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_second_signal(self, number):
        """A second signal ends it at once."""
        service = FakeService(finishes=False)
        task = asyncio.create_task(serve(service))
        await service.running.wait()
        end()
        await service.stopping.wait()

        end(number)

        with pytest.raises(SignalledError) as caught:
            await asyncio.wait_for(task, PATIENCE)
        assert caught.value.number == number

    async def test_cancelled(self):
        """What is cancelled from elsewhere is cancelled."""
        service = FakeService()
        task = asyncio.create_task(serve(service))
        await service.running.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_signals_are_left_as_they_were(self):
        """Afterwards, signals do what they did before."""
        before = signal.getsignal(signal.SIGTERM)
        service = FakeService()
        service.stop()

        await serve(service)

        assert signal.getsignal(signal.SIGTERM) == before

    async def test_failure(self):
        """What makes it fail comes out."""

        class Failing(FakeService):
            async def run(self):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await serve(Failing())

    @pytest.mark.parametrize("of_type", [FakeService, Hanging])
    async def test_systemd(self, of_type, tmp_path, health_file, monkeypatch):
        """It tells systemd that it is ready, alive, and stopping."""
        path = str(tmp_path / "notify")
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(PATIENCE)
            service = of_type()
            task = asyncio.create_task(
                serve(service, health_file=health_file, beat_seconds=0.01)
            )
            told = [await asyncio.to_thread(manager.recv, 100) for _ in range(3)]
            end()
            await task
            while told[-1] != b"STOPPING=1":
                told.append(await asyncio.to_thread(manager.recv, 100))

        assert told[0] == b"READY=1"
        assert set(told[1:-1]) == {b"WATCHDOG=1"}

    async def test_no_systemd(self, monkeypatch):
        """A notification that nobody can take harms nothing."""
        monkeypatch.setenv("NOTIFY_SOCKET", "@nobody-listens-here")
        service = FakeService()
        service.stop()

        await serve(service)

        assert service.done.is_set()


class TestHealth:
    async def test_running(self, health_file):
        """The health of what runs can be read, and is gone when it has ended."""
        service = FakeService()
        task = asyncio.create_task(
            serve(service, health_file=health_file, beat_seconds=0.01)
        )
        await service.asked.wait()
        await written(health_file)

        health = read_health(health_file, max_age_seconds=PATIENCE)
        end()
        await task

        assert (health["pending"], health["pid"]) == (3, os.getpid())
        assert not health_file.exists()

    async def test_unknown(self, health_file):
        """That the health cannot be told is told, and ends nothing."""
        service = FakeService(healthy=False)
        task = asyncio.create_task(
            serve(service, health_file=health_file, beat_seconds=0.01)
        )
        await written(health_file)

        health = read_health(health_file, max_age_seconds=PATIENCE)
        end()
        await task

        assert health["error"] == "ConnectionError"

    async def test_hanging(self, health_file, monkeypatch):
        """A service that does not say how it does is told so in time."""
        monkeypatch.setattr(module, "HEALTH_SECONDS", 0.001)

        task = asyncio.create_task(serve(Hanging(), health_file=health_file))
        async with asyncio.timeout(PATIENCE):
            await written(health_file)
        health = read_health(health_file, max_age_seconds=PATIENCE)
        end()
        await task

        assert health["error"] == "TimeoutError"

    async def test_no_folder(self, tmp_path):
        """A health file that can have no place is told of at the start."""
        with pytest.raises(ConfigurationError, match="must be a folder to write"):
            await serve(FakeService(), health_file=tmp_path / "no" / "health.json")

    async def test_folder_goes(self, tmp_path, caplog):
        """A health file that cannot be written any more ends nothing, and is told."""
        folder = tmp_path / "run"
        folder.mkdir()
        file = folder / "health.json"
        service = FakeService()
        task = asyncio.create_task(serve(service, health_file=file, beat_seconds=0.001))
        await written(file)
        shutil.rmtree(folder)
        async with asyncio.timeout(PATIENCE):
            while "health file cannot be written" not in caplog.text:  # noqa: ASYNC110  # no event tells of a log
                await asyncio.sleep(0)
        folder.mkdir()
        async with asyncio.timeout(PATIENCE):
            await written(file)
        end()
        await task

        assert service.done.is_set()

    def test_missing(self, health_file):
        """Nothing is healthy that has written nothing."""
        with pytest.raises(LookupError, match="nothing seems to run"):
            read_health(health_file, max_age_seconds=1)

    @pytest.mark.parametrize("content", ["{}", "[]", ""])
    def test_something_else(self, content, health_file):
        """A file that is something else says nothing."""
        health_file.write_text(content)

        with pytest.raises(LookupError, match="cannot be read"):
            read_health(health_file, max_age_seconds=1)

    def test_old(self, health_file):
        """What has not written for long hangs."""
        health_file.write_text(json.dumps({"written_at": 0}))

        with pytest.raises(LookupError, match="seems to hang"):
            read_health(health_file, max_age_seconds=1)

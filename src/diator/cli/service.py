"""Run something until a service manager ends it, and let a probe see how it does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from diator.exceptions import ConfigurationError
from diator.logger import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

BEAT_SECONDS = 5.0
"""
How often the health file is written.

Probes look every ten seconds or so, and are to find a new one each time.
"""


HEALTH_SECONDS = 4.0
"""
How long a service may take to say how it does, before that is what is said of it.

Less than a beat, so that the health file never gets old by it.
"""


class SignalledError(Exception):
    """
    A service was ended before it had finished, by a second signal.

    Attributes:
        number: That of the signal.

    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Service(Protocol):
    """What runs until it is stopped: a relay, or a consumer."""

    async def run(self) -> None:
        """Run until `stop` is called, then finish what is in flight."""

    def stop(self) -> None:
        """Have it finish; to be called again changes nothing."""

    async def health(self) -> Mapping[str, Any]:
        """Say how it does, in plain values."""
        ...


async def serve(
    service: Service,
    *,
    health_file: Path | None = None,
    beat_seconds: float = BEAT_SECONDS,
) -> None:
    """
    Run a service until SIGTERM or SIGINT, and then to its end.

    A second signal ends it at once. It tells systemd, where that asks for it, that it
    is ready, alive and stopping.

    Args:
        service: The relay or consumer.
        health_file: Is rewritten with the health of the service, as JSON, as long as
            its event loop goes on; `read_health` reads it.
        beat_seconds: How often, in seconds.

    Raises:
        ConfigurationError: The health file has no folder, or none to write into.
        SignalledError: A second signal has ended it.

    """
    if health_file is not None:
        _check_folder(health_file)
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(service.run())
    received: list[int] = []

    def end(number: int) -> None:
        if received:
            task.cancel()
        received.append(number)
        _notify("STOPPING=1")
        service.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    # Apart, so that a database that hangs does not look like a process that does.
    beats = [asyncio.create_task(_notify_alive(beat_seconds))]
    if health_file is not None:
        beats.append(
            asyncio.create_task(_write_health(service, health_file, beat_seconds))
        )
    try:
        _notify("READY=1")
        await task
    except asyncio.CancelledError:
        if len(received) > 1 and task.cancelled():
            raise SignalledError(received[1]) from None
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        for beat in beats:
            beat.cancel()
        await asyncio.wait(beats)
        _remove(health_file)


def read_health(health_file: Path, *, max_age_seconds: float) -> dict[str, Any]:
    """
    Read how a service does.

    Args:
        health_file: What `serve` writes.
        max_age_seconds: How old it may be.

    Raises:
        LookupError: There is none, or it is older: the service has ended, or hangs.

    """
    try:
        written: dict[str, Any] = json.loads(health_file.read_text())
        age = time.time() - written["written_at"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{health_file} cannot be read, so that nothing seems to run: {error}"
        raise LookupError(msg) from error
    if age > max_age_seconds:
        msg = f"{health_file} is {age:.0f} s old, so that the service seems to hang"
        raise LookupError(msg)
    return written


async def _notify_alive(beat_seconds: float) -> None:
    while True:
        _notify("WATCHDOG=1")
        await asyncio.sleep(beat_seconds)


async def _write_health(
    service: Service, health_file: Path, beat_seconds: float
) -> None:
    while True:
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                health = dict(await service.health())
        except Exception as error:  # noqa: BLE001  # a database that is away is news, too
            health = {"error": type(error).__name__}
        try:
            _write(
                health_file, {"written_at": time.time(), "pid": os.getpid(), **health}
            )
        except OSError as error:
            # A disk that is full, say, and may not be so later.
            get_logger().error("health file cannot be written", error=str(error))
        await asyncio.sleep(beat_seconds)


def _check_folder(health_file: Path) -> None:
    folder = health_file.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        msg = f"{folder} must be a folder to write the health file into"
        raise ConfigurationError(msg)


def _write(health_file: Path, content: dict[str, Any]) -> None:
    # A probe must never see half of it.
    written = health_file.with_name(f"{health_file.name}.new")
    written.write_text(json.dumps(content, default=str) + "\n")
    written.replace(health_file)


def _remove(health_file: Path | None) -> None:
    # A probe is to see that nothing runs any more.
    if health_file is not None:
        with suppress(OSError):
            health_file.unlink(missing_ok=True)


def _notify(state: str) -> None:
    """Tell systemd, as sd_notify(3) describes it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        # An abstract socket.
        address = "\0" + address[1:]
    with (
        suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier,
    ):
        notifier.sendto(state.encode(), address)

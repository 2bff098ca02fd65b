"""The fixture that compares, and the tables at the end of a run."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol

import pytest

from benchmarks.comparison import (
    OVER_LIMIT,
    Case,
    Comparison,
    Send,
    Side,
    compare_sides,
    ratio_lines,
    throughput_lines,
)
from tests.postgresql_server import NoPostgreSQLError, PostgreSQLServer
from tests.redis_server import NoRedisError, make_redis

ROUNDS_DISABLED = 40  # With --benchmark-disable, which is to be quick.
ATTEMPTS = 3  # A ratio over its limit has to be so each time: noise passes.
ROUNDS_SHOWN = 20  # by pytest-benchmark, whose own figures have no part in the ratios

compared = pytest.StashKey[list[Comparison]]()


class Compare(Protocol):
    """Compares diator with the same work written by hand, and adds it to the table."""

    def __call__(self, case: Case, *, by_hand: Send | Side, diator: Send) -> None: ...


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Return the one event loop of a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Return the URL of a PostgreSQL server of its own."""
    try:
        with closing(PostgreSQLServer()) as server:
            server.start()
            yield server.url
    except NoPostgreSQLError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """Return the URL of a Redis of its own that knows streams well enough."""
    try:
        server = make_redis("server", "container")
    except NoRedisError as error:
        pytest.skip(str(error))
    with closing(server):
        server.start()
        yield server.url


@pytest.fixture
def compare(
    benchmark: Any, runner: asyncio.Runner, pytestconfig: pytest.Config
) -> Compare:
    """Return what compares diator with the same work written by hand."""

    def compare(case: Case, *, by_hand: Send | Side, diator: Send) -> None:
        if not benchmark.enabled:
            case = replace(case, rounds=ROUNDS_DISABLED)
        comparison = runner.run(compare_sides(case, by_hand, diator))
        for _ in range(ATTEMPTS - 1):
            if comparison.is_over_limit:
                comparison = runner.run(compare_sides(case, by_hand, diator))
        pytestconfig.stash.setdefault(compared, []).append(comparison)
        benchmark.group = f"diator, {case.sends:,} sends a round"
        benchmark.extra_info["ratio"] = round(comparison.ratio, 3)
        benchmark.pedantic(
            lambda: runner.run(comparison.diator.run(case)), rounds=ROUNDS_SHOWN
        )
        assert not comparison.is_over_limit, (
            f"{case.name} costs {comparison.ratio:.2f} times the work by hand, "
            f"and may cost {case.limit:.2f}"
        )

    return compare


def pytest_configure(config: pytest.Config) -> None:
    """Let a case that fails before it is timed fail only once."""
    config.addinivalue_line(
        "filterwarnings",
        "ignore:Benchmark fixture was not used"
        ":pytest_benchmark.logger.PytestBenchmarkWarning",
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the tables."""
    comparisons = config.stash.get(compared, list[Comparison]())
    if not comparisons:
        return
    python = f"{platform.python_implementation()} {platform.python_version()}"
    terminalreporter.section(f"diator beside the same work by hand, {python}")
    terminalreporter.write_line("CPU time in ns, medians of many rounds\n")
    for line in ratio_lines(comparisons):
        terminalreporter.write_line(line, red=OVER_LIMIT in line)
    throughput = throughput_lines(comparisons)
    if throughput:
        terminalreporter.write_line("\nEvents a second, waiting included\n")
        for line in throughput:
            terminalreporter.write_line(line)

"""The embedded database: a process that writes and publishes is killed."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

import pytest

from tests.chaos.application import Settings
from tests.chaos.ledger import compare
from tests.chaos.processes import until
from tests.chaos.world import make_world


@dataclass(frozen=True)
class Size:
    facts: int  # of each key
    keys: int
    kills: int
    pause: float  # between commands, so that it is killed at work
    seconds: float  # how long it may take


SHORT = Size(50, 20, 4, 0.02, 120)
LONG = Size(200, 50, 28, 0.0, 1200)


@pytest.fixture
def database(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path / 'facts.sqlite'}"


async def test_killed(fleet, database, redis_server, tell, is_long):
    """Nothing that was committed is lost, whenever the one process is killed."""
    size = LONG if is_long else SHORT
    settings = Settings(
        database=database,
        redis=redis_server.url,
        facts=size.facts,
        keys=size.keys,
        partitions=4,
        pause=size.pause,
    )
    with make_world(settings) as world:
        begin = time.monotonic()
        processes = [fleet.start("both", settings)]
        for number in range(1, size.kills + 1):
            goal = world.expected * number // (size.kills + 1)
            await until(
                lambda: world.committed_count() >= goal,  # noqa: B023  # used at once
                f"{goal} facts are committed",
                size.seconds,
            )
            await fleet.replace(processes)
        await fleet.ended(processes[0], size.seconds)
        relay = fleet.start("relay", settings)
        await until(
            lambda: not world.pending_count(), "the outbox is empty", size.seconds
        )
        await fleet.stop(relay)
        seconds = time.monotonic() - begin
        ledger = compare(world.committed(), world.arrived())
    tell(f"{size.kills} times killed")
    tell(f"{ledger}; {ledger.committed / seconds:,.0f} events/s")

    assert ledger.committed == world.expected
    assert not ledger.lost
    assert not ledger.invented
    assert ledger.reordered == ()


async def test_slow_owner(fleet, database, redis_server, tell):
    """A relay that stops past its lease is succeeded, and does no harm afterwards."""
    settings = Settings(
        database=database,
        redis=redis_server.url,
        facts=50,
        keys=20,
        partitions=4,
        pause=0.05,
    )
    with make_world(settings) as world:
        writer = fleet.start("write", settings)
        slow = fleet.start("relay", settings)
        await until(lambda: world.arrived_count() >= 100, "the relay is at work")

        def has_stopped() -> bool:
            slow.send(signal.SIGSTOP)
            # Where it holds the lock of the database, nobody could succeed it.
            if world.is_locked():
                slow.send(signal.SIGCONT)
                return False
            return True

        await until(has_stopped, "the relay is stopped between its transactions")
        before = world.arrived_count()
        quick = fleet.start("relay", settings)
        await until(
            lambda: world.arrived_count() > before, "another relay has succeeded it"
        )
        slow.send(signal.SIGCONT)
        await fleet.ended(writer, 120)
        await until(lambda: not world.pending_count(), "the outbox is empty")
        await fleet.stop(slow, quick)
        ledger = compare(world.committed(), world.arrived())
    tell(f"the relay stopped past its lease; {ledger}")

    assert ledger.committed == world.expected
    assert not ledger.lost
    assert not ledger.invented
    assert ledger.reordered == ()

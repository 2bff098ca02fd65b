"""From the broker to the effects: consumers are killed, and handlers fail."""

from __future__ import annotations

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
    pause: float  # between commands, so that consumers are killed at work
    seconds: float  # how long it may take


SHORT = Size(60, 30, 4, 0.05, 120)
LONG = Size(200, 100, 12, 0.0, 1800)
FAILING = 0.02
POISONOUS = 5
GARBAGE = 5
PARTITIONS = 6
CONSUMERS = 3


@pytest.mark.parametrize("partitions", [None, PARTITIONS], ids=["shared", "owned"])
async def test_killed(  # noqa: PLR0913, PLR0917  # fixtures
    fleet, postgresql, redis_server, tell, is_long, partitions
):
    """
    All has its effect once, and what nobody can handle is put aside.

    Where partitions have owners, the effects of each key are in order, too.
    """
    size = LONG if is_long else SHORT
    settings = Settings(
        database=postgresql.url,
        redis=redis_server.url,
        facts=size.facts,
        keys=size.keys,
        poisonous=POISONOUS,
        partitions=partitions,
        failing=FAILING,
        pause=size.pause,
    )
    with make_world(settings) as world:
        begin = time.monotonic()
        world.put_garbage(GARBAGE)
        writer = fleet.start("write", settings)
        relay = fleet.start("relay", settings)
        consumers = [
            fleet.start("consume", settings.owning(number, CONSUMERS))
            for number in range(CONSUMERS)
        ]
        for number in range(1, size.kills + 1):
            goal = world.expected * number // (size.kills + 1)
            await until(
                lambda: world.effects_count() >= goal,  # noqa: B023  # used at once
                f"{goal} events were handled",
                size.seconds,
            )
            await fleet.replace(consumers)
        await fleet.ended(writer, size.seconds)
        await until(
            lambda: not world.pending_count() and not world.stuck_count(),
            "everything is handled",
            size.seconds,
        )
        seconds = time.monotonic() - begin
        await fleet.stop(relay, *consumers)
        ledger = compare(world.committed(poisonous=False), world.effects())
        dead = world.dead_count()
        stuck = world.stuck_count()
    tell(f"{size.kills} consumers killed, {FAILING:.0%} of attempts failed")
    tell(
        f"{ledger}, {stuck} stuck, {dead} dead-lettered; "
        f"{ledger.committed / seconds:,.0f} events/s"
    )

    assert ledger.committed == world.expected - POISONOUS
    assert not ledger.lost
    assert not ledger.invented
    assert ledger.duplicated == 0
    assert dead == POISONOUS + GARBAGE
    assert stuck == 0
    if partitions is not None:
        assert ledger.reordered == ()

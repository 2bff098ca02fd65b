"""From the commit to the broker: relays, writers and Redis are killed."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from tests.chaos.application import BATCH, Settings
from tests.chaos.ledger import compare
from tests.chaos.processes import until
from tests.chaos.world import make_world


@dataclass(frozen=True)
class Size:
    facts: int  # of each key
    keys: int
    relay_kills: int
    redis_kills: int
    writer_kills: int
    pause: float  # between commands, so that relays are killed at work
    seconds: float  # how long it may take


SHORT = Size(100, 30, 4, 1, 1, 0.05, 120)
LONG = Size(500, 200, 12, 3, 1, 0.0, 1800)
RELAYS = 3


async def test_postgresql(fleet, postgresql, redis_server, tell, is_long):
    """Nothing that was committed is lost on its way to the broker, or overtakes."""
    size = LONG if is_long else SHORT
    settings = Settings(
        database=postgresql.url,
        redis=redis_server.url,
        facts=size.facts,
        keys=size.keys,
        partitions=4,
        pause=size.pause,
    )
    harms = (
        ["relay"] * size.relay_kills
        + ["redis"] * size.redis_kills
        + ["writer"] * size.writer_kills
    )
    random.shuffle(harms)
    with make_world(settings) as world:
        begin = time.monotonic()
        writers = [fleet.start("write", settings)]
        relays = [fleet.start("relay", settings) for _ in range(RELAYS)]
        for number, harm in enumerate(harms, 1):
            goal = world.expected * number // (len(harms) + 1)
            await until(
                lambda: world.arrived_count() >= goal,  # noqa: B023  # used at once
                f"{goal} events have arrived",
                size.seconds,
            )
            if harm == "redis":
                redis_server.kill()
                redis_server.start()
            elif harm == "relay":
                await fleet.replace(relays)
            elif not writers[0].has_ended:
                await fleet.replace(writers)
        await fleet.ended(writers[0], size.seconds)
        await until(
            lambda: not world.pending_count(), "the outbox is empty", size.seconds
        )
        seconds = time.monotonic() - begin
        await fleet.stop(*relays)
        ledger = compare(world.committed(), world.arrived())
    tell(f"{harms.count('relay')} relays and {harms.count('redis')} times Redis killed")
    tell(f"{ledger}; {ledger.committed / seconds:,.0f} events/s")

    assert ledger.committed == world.expected
    assert not ledger.lost
    assert not ledger.invented
    assert ledger.reordered == ()
    # Each relay that was interrupted has published one batch again, at most.
    interrupted = size.relay_kills + size.redis_kills * RELAYS
    assert ledger.duplicated <= interrupted * BATCH

"""What breaks while all goes on: sessions, connections, silence, slow consumers."""

from __future__ import annotations

import random
import signal
import time

from tests.chaos.application import Settings
from tests.chaos.ledger import compare
from tests.chaos.processes import until
from tests.chaos.world import make_world
from tests.proxy import Proxy

SECONDS = 300
ROUNDS = {False: 1, True: 10}
CLAIM_SECONDS = 2.0
SOME = 40  # events, to see that it goes on


def failures(relay):
    return relay.log.read_text().count("relay failed")


async def test_faults(fleet, postgresql, redis_server, tell, is_long):
    """Whatever breaks and comes back, nothing is lost, and all has its effect once."""
    proxy = Proxy(redis_server.url)
    await proxy.start()
    settings = Settings(
        database=postgresql.url,
        redis=proxy.url,
        facts=1_000_000,  # until it is stopped
        keys=20,
        failing=0.02,
        claim_seconds=CLAIM_SECONDS,
        pause=0.5,
    )
    with make_world(settings, redis_server.url) as world:
        begin = time.monotonic()
        writer = fleet.start("write", settings)
        relays = [fleet.start("relay", settings) for _ in range(2)]
        consumers = [fleet.start("consume", settings) for _ in range(3)]

        async def recovered() -> None:
            goal = world.committed_count() + SOME
            await until(
                lambda: world.effects_count() >= goal, "it has recovered", SECONDS
            )

        async def failed() -> None:
            before = sum(map(failures, relays))
            await until(
                lambda: sum(map(failures, relays)) > before,
                "a relay has noticed that something is wrong",
            )

        await recovered()
        for _ in range(ROUNDS[is_long]):
            world.terminate_sessions()
            await recovered()
            proxy.reset()
            await recovered()
            proxy.swallows_answers = True
            await failed()
            proxy.swallows_answers = False
            await recovered()
            redis_server.pause()
            await failed()
            redis_server.resume()
            await recovered()
            slow = random.choice(consumers)
            slow.send(signal.SIGSTOP)
            await until(
                lambda: world.has_heir(CLAIM_SECONDS), "others have its events", SECONDS
            )
            slow.send(signal.SIGCONT)
            await recovered()
        await fleet.stop(writer)
        await until(
            lambda: not world.pending_count() and not world.stuck_count(),
            "everything is handled",
            SECONDS,
        )
        seconds = time.monotonic() - begin
        await fleet.stop(*relays, *consumers)
        arrived = compare(world.committed(), world.arrived())
        ledger = compare(world.committed(), world.effects())
        dead = world.dead_count()
    await proxy.aclose()
    tell(f"at the broker: {arrived}; {arrived.committed / seconds:,.0f} events/s")
    tell(f"effects: {ledger}, {dead} dead-lettered")

    assert not arrived.lost
    assert arrived.reordered == ()
    assert not ledger.lost
    assert not ledger.invented
    assert ledger.duplicated == 0
    assert dead == 0

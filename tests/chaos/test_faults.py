"""What breaks while all goes on: sessions, connections, silence, slow consumers."""

from __future__ import annotations

import random
import signal
import time
from contextlib import asynccontextmanager

import msgspec
import pytest

from tests.chaos.application import Settings
from tests.chaos.ledger import compare
from tests.chaos.processes import until
from tests.chaos.world import make_world
from tests.proxy import Proxy

SECONDS = 120
ROUNDS = {False: 1, True: 20}
FACTS = 15  # more of each key, for each fault
CLAIM_SECONDS = 2.0


class Service:
    """A writer, relays and consumers, which go on from fault to fault."""

    def __init__(self, fleet, world, settings):
        self.fleet = fleet
        self.world = world
        self.settings = settings
        self.relays = [fleet.start("relay", settings) for _ in range(2)]
        self.consumers = [fleet.start("consume", settings) for _ in range(3)]

    @asynccontextmanager
    async def at_work(self):
        """Write more, and wait in the end until all of it has had its effect."""
        before = self.settings.facts * self.settings.keys
        self.settings = msgspec.structs.replace(
            self.settings, facts=self.settings.facts + FACTS
        )
        writer = self.fleet.start("write", self.settings)
        yield before
        await self.fleet.ended(writer, SECONDS)
        goal = self.settings.facts * self.settings.keys
        await until(
            lambda: self.world.effects_count() >= goal, "it has recovered", SECONDS
        )

    async def under_way(self, before):
        """Wait until some of what was written has had its effect."""
        await until(lambda: self.world.effects_count() > before, "it is under way")

    def failures(self):
        """Count what relays have told of."""
        logs = [relay.log.read_text() for relay in self.relays]
        return sum(log.count("relay failed") for log in logs)

    async def failing(self, before):
        """Wait until a relay has noticed that something is wrong."""
        await until(lambda: self.failures() > before, "a relay has noticed")


@pytest.fixture
async def proxy(redis_server):
    proxy = Proxy(redis_server.url)
    await proxy.start()
    yield proxy
    await proxy.aclose()


async def test_faults(  # noqa: PLR0913, PLR0917  # fixtures
    fleet, postgresql, redis_server, proxy, tell, is_long
):
    """Whatever breaks and comes back, nothing is lost, and all has its effect once."""
    settings = Settings(
        database=postgresql.url,
        redis=proxy.url,
        facts=0,
        keys=20,
        failing=0.02,
        claim_seconds=CLAIM_SECONDS,
    )
    with make_world(settings, redis_server.url) as world:
        begin = time.monotonic()
        service = Service(fleet, world, settings)
        for _ in range(ROUNDS[is_long]):
            async with service.at_work() as before:
                await service.under_way(before)
                world.terminate_sessions()

            async with service.at_work() as before:
                await service.under_way(before)
                proxy.reset()

            failures = service.failures()
            proxy.swallows_answers = True
            async with service.at_work():
                await service.failing(failures)
                proxy.swallows_answers = False

            failures = service.failures()
            redis_server.pause()
            async with service.at_work():
                await service.failing(failures)
                redis_server.resume()

            async with service.at_work() as before:
                await service.under_way(before)
                slow = random.choice(service.consumers)
                slow.send(signal.SIGSTOP)
                await until(
                    lambda: world.has_heir(CLAIM_SECONDS), "others have its events"
                )
                slow.send(signal.SIGCONT)
        await until(
            lambda: not world.pending_count() and not world.stuck_count(),
            "everything is handled",
        )
        seconds = time.monotonic() - begin
        await fleet.stop(*service.relays, *service.consumers)
        arrived = compare(world.committed(), world.arrived())
        ledger = compare(world.committed(), world.effects())
        dead = world.dead_count()
    tell(f"at the broker: {arrived}; {arrived.committed / seconds:,.0f} events/s")
    tell(f"effects: {ledger}, {dead} dead-lettered")

    assert not arrived.lost
    assert arrived.reordered == ()
    assert not ledger.lost
    assert not ledger.invented
    assert ledger.duplicated == 0
    assert dead == 0

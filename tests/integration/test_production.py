"""What the page about production says is enough."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from diator import Mediator, NotificationEvent
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.redis_streams import RedisStreamsBroker

PAGE = Path(__file__).parents[2] / "docs" / "production.md"


@dataclass(frozen=True, kw_only=True)
class Joined(NotificationEvent):
    number: int


@pytest.fixture
async def accounts(own_redis):
    """Make the accounts of the page, and return their URLs by name."""
    names = []
    async with Redis.from_url(own_redis.url) as client:
        for command in re.findall(r"^ACL SETUSER .*$", PAGE.read_text(), re.MULTILINE):
            await client.execute_command(*command.split())
            names.append(command.split()[2])
    host = own_redis.url.removeprefix("redis://")
    return {name: f"redis://{name}:password@{host}" for name in names}


class TestAccounts:
    @pytest.mark.parametrize("partitions", [None, {"events": 2}])
    async def test_enough(self, own_redis, accounts, partitions):
        """The commands that the accounts are allowed are all that is needed."""
        options = {"partitions": partitions, "require_durable": True}
        relaying = RedisStreamsBroker(accounts["relay"], **options)
        working = RedisStreamsBroker(accounts["worker"], **options)
        sender, receiver = Mediator(message_broker=relaying), Mediator()
        for mediator in (sender, receiver):
            mediator.event_emitter.registry.add(Joined, key=lambda event: "1")
        done = asyncio.Event()

        @receiver.handles(Joined)
        async def fail_or_finish(event):
            if event.number == 0:
                raise ValueError
            done.set()

        for number in range(2):
            await sender.event_emitter.emit(Joined(number=number))
        options = {"group": "clerks", "max_attempts": 1, "heartbeat": 0.01}
        async with asyncio.timeout(60), Consumer(receiver, working, **options):
            await done.wait()
        letters = working.dead_letters("events", "clerks")
        [letter] = await letters.list()
        assert "; ValueError (integration/test_production.py:" in letter.cause
        assert await letters.replay([letter.letter_id]) == 1
        await working.lag("events", "clerks")
        assert await working.trim("events") > 0
        await relaying.aclose()
        await working.aclose()
        async with Redis.from_url(own_redis.url) as client:
            assert await client.acl_log() == []

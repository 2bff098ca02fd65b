"""A consumer of Redis Streams, beside a loop written by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from benchmarks.bench_streams import in_pairs
from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from diator import Mediator, NotificationEvent
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis_streams import RedisStreamsBroker

STREAM = "diator:events"
WAITING = 5_000
BATCH = 500
KEYS = 200


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user: str


class Body(msgspec.Struct):
    """What somebody would read of a message who knows what comes."""

    message_id: str
    message_name: str
    payload: UserJoined


@pytest.fixture
def client(redis_url: str, runner: asyncio.Runner) -> Iterator[Any]:
    client: Any = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]  # not typed well
    runner.run(client.flushall())
    yield client
    runner.run(client.aclose(close_connection_pool=True))


class Handled:
    """Counts what was handled, and tells when all is."""

    def __init__(self) -> None:
        self.number = 0
        self.all = asyncio.Event()

    async def handle(self, _event: UserJoined) -> None:
        self.number += 1
        if self.number == WAITING:
            self.all.set()


def test_consuming(compare: Compare, runner: asyncio.Runner, client: Any) -> None:
    """Receiving, decoding, handling and acknowledging."""
    broker = RedisStreamsBroker(client)
    handled = Handled()
    mediator = Mediator()
    mediator.event_emitter.registry.add(UserJoined)

    @mediator.handles(UserJoined)
    async def count(event: UserJoined) -> None:
        await handled.handle(event)

    async def fill() -> None:
        events = [UserJoined(meeting_id=1, user="Ada") for _ in range(WAITING)]
        await broker.publish(
            [
                Message(
                    message_type="notification_event",
                    message_name="UserJoined",
                    message_id=event.event_id,
                    payload=event,
                    key=f"key {number % KEYS}",
                )
                for number, event in enumerate(events)
            ]
        )
        for group in ("by hand", "diator"):
            await client.xgroup_create(STREAM, group, "0")

    async def begin(group: str) -> None:
        handled.number = 0
        handled.all.clear()
        await client.xgroup_setid(STREAM, group, "0")

    decode = msgspec.json.Decoder(Body).decode

    async def consume_by_hand(_request: object) -> int:
        await begin("by hand")
        while handled.number < WAITING:
            [(_, entries)] = in_pairs(
                await client.xreadgroup("by hand", "me", {STREAM: ">"}, count=BATCH)
            )
            for _, fields in entries:
                await handled.handle(decode(fields[b"body"]).payload)
            await client.xack(STREAM, "by hand", *[each for each, _ in entries])
        return handled.number

    async def consume(_request: object) -> int:
        await begin("diator")
        async with Consumer(mediator, broker, group="diator"):
            await handled.all.wait()
        return handled.number

    runner.run(fill())
    compare(
        Case(
            name="consumer beside a loop that handles one by one",
            request=None,
            sends=1,
            rounds=20,
            work=WAITING,
            is_throughput=True,
        ),
        by_hand=consume_by_hand,
        diator=consume,
    )

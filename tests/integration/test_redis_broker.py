"""Publishing through a real Redis, and through one that fails."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from diator.events.event import ECSTEvent, NotificationEvent
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis import RedisMessageBroker
from diator.events.message_brokers.redis_connections import CONNECT_ATTEMPTS
from tests.proxy import Proxy

SOON = 0.2  # seconds
PATIENCE = 30  # seconds
AT_ONCE = 3  # seconds, on a busy machine


@dataclass(frozen=True, kw_only=True)
class UserJoinedNotificationEvent(NotificationEvent):
    user_id: int


@dataclass(frozen=True, kw_only=True)
class UserChanged(ECSTEvent):
    user_id: int


def make_message(user_id=0, event_type=UserJoinedNotificationEvent, **fields):
    event = event_type(user_id=user_id, **fields)
    is_ecst = isinstance(event, ECSTEvent)
    return Message(
        message_type="ecst_event" if is_ecst else "notification_event",
        message_name=event_type.__name__,
        message_id=event.event_id,
        payload=event,
    )


def make_messages(count):
    return [make_message(number) for number in range(count)]


class Listener:
    """Hears what is published."""

    def __init__(self, pubsub) -> None:
        self._pubsub = pubsub

    async def hear(self):
        """Return the channel and the body of the next message."""
        async with asyncio.timeout(PATIENCE):
            while True:
                heard = await self._pubsub.get_message(
                    ignore_subscribe_messages=True, timeout=PATIENCE
                )
                if heard is not None:
                    return heard["channel"].decode(), heard["data"]

    async def hear_all(self, client):
        """Return the ids of all messages that were published up to now, counted."""
        await client.publish("python_diator_channel:end", "")
        heard = Counter()
        while (channel := (await self.hear())[0]) != "python_diator_channel:end":
            heard[UUID(channel.rpartition(":")[2])] += 1
        return heard


@asynccontextmanager
async def listening(url):
    async with Redis.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe("python_diator_channel:*")
        confirmation = await pubsub.get_message(timeout=PATIENCE)
        assert confirmation["type"] == "psubscribe"
        yield Listener(pubsub)


@pytest.fixture
async def listener(redis_url, redis_client):
    async with listening(redis_url) as listener:
        yield listener


@pytest.fixture
async def proxy(redis_url):
    async with aclosing(Proxy(redis_url)) as proxy:
        await proxy.start()
        yield proxy


@pytest.fixture
async def client_of_proxy(proxy):
    # The client that nobody configured, with retries and a pool that raises.
    async with Redis(host="127.0.0.1", port=urlsplit(proxy.url).port) as client:
        yield client


def texts(outcomes):
    return [None if outcome is None else str(outcome) for outcome in outcomes]


class TestPublishing:
    async def test_wire(self, redis_client, listener):
        """Whoever listens receives what the README promises."""
        message = make_message(
            user_id=123,
            event_id=UUID("9f62e977-73f7-462b-92cb-8ea658d3bcb5"),
            event_timestamp=datetime(2023, 3, 7, 9, 26, 2, 588855, tzinfo=UTC),
        )

        assert await RedisMessageBroker(redis_client).publish([message]) == [None]

        channel, body = await listener.hear()
        assert channel == (
            "python_diator_channel:notification_event:"
            "9f62e977-73f7-462b-92cb-8ea658d3bcb5"
        )
        assert list(json.loads(body).items()) == [
            ("message_type", "notification_event"),
            ("message_name", "UserJoinedNotificationEvent"),
            ("message_id", "9f62e977-73f7-462b-92cb-8ea658d3bcb5"),
            (
                "payload",
                {
                    "event_id": "9f62e977-73f7-462b-92cb-8ea658d3bcb5",
                    "event_timestamp": "2023-03-07T09:26:02.588855Z",
                    "user_id": 123,
                },
            ),
        ]

    @pytest.mark.parametrize(
        "options",
        [{}, {"decode_responses": True}, {"protocol": 2}, {"encoding": "utf-16"}],
        ids=str,
    )
    async def test_kinds_of_client(self, redis_url, listener, options):
        """How the client is configured makes no difference on the wire."""
        message = make_message()
        async with Redis.from_url(redis_url, **options) as client:
            assert await RedisMessageBroker(client).publish([message]) == [None]

        channel, _ = await listener.hear()
        assert (
            channel == f"python_diator_channel:notification_event:{message.message_id}"
        )

    async def test_url(self, redis_url, redis_client, listener):
        """A URL will do, and the connections that it needs are closed."""
        broker = RedisMessageBroker(redis_url)
        messages = make_messages(3)

        before = len(await redis_client.client_list())
        assert await broker.publish(messages) == [None] * 3
        assert len(await redis_client.client_list()) == before + 1
        await broker.aclose()

        assert await listener.hear_all(redis_client) == Counter(
            message.message_id for message in messages
        )

    async def test_concurrently(self, redis_url, redis_client, listener):
        """A thousand at once: nothing lost, nothing twice, and one connection."""
        messages = make_messages(1_000)
        url = urlsplit(redis_url)
        # The client that nobody configured, whose pool of 100 raises when exhausted.
        async with Redis(
            host=url.hostname, port=url.port, client_name="publisher"
        ) as client:
            broker = RedisMessageBroker(client)
            outcomes = await asyncio.gather(*(broker.publish([m]) for m in messages))
            names = [each["name"] for each in await redis_client.client_list()]

        assert outcomes == [[None]] * 1_000
        assert await listener.hear_all(redis_client) == Counter(
            message.message_id for message in messages
        )
        assert names.count("publisher") == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_one_round_trip(self, proxy, client_of_proxy):
        """Messages that are published together make one round trip."""
        broker = RedisMessageBroker(client_of_proxy)
        await broker.publish(make_messages(1))
        before = proxy.round_trips

        assert await broker.publish(make_messages(100)) == [None] * 100

        assert proxy.round_trips == before + 1

    async def test_access_control(self, redis_url, redis_client, listener):
        """PUBLISH is all that is needed, and one refusal says nothing of the others."""
        await redis_client.acl_setuser(
            "publisher",
            enabled=True,
            passwords=["+pass/word"],
            commands=["+publish"],
            channels=["python_diator_channel:notification_event:*"],
            reset=True,
        )
        user = redis_url.replace("redis://", "redis://publisher:pass%2Fword@")
        broker = RedisMessageBroker(user)
        messages = [make_message(1), make_message(2, UserChanged), make_message(3)]

        first, second, third = await broker.publish(messages)
        await broker.aclose()
        await redis_client.acl_deluser("publisher")

        assert (first, third) == (None, None)
        assert isinstance(second, NoPermissionError)
        assert await listener.hear_all(redis_client) == Counter(
            message.message_id for message in (messages[0], messages[2])
        )

    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    def test_event_loops(self, redis_url):
        """It works in one event loop after the other, though nothing was closed."""
        broker = RedisMessageBroker(redis_url)

        async def publish_and_close():
            outcomes = await broker.publish(make_messages(2))
            await broker.aclose()
            return outcomes

        assert asyncio.run(broker.publish(make_messages(2))) == [None, None]
        assert asyncio.run(publish_and_close()) == [None, None]
        assert asyncio.run(publish_and_close()) == [None, None]
        gc.collect()  # here, where what is left behind may be warned of


class TestOutage:
    async def test_refused(self, own_redis):
        """An outage is told at once, and over as soon as Redis is back."""
        url = urlsplit(own_redis.url)
        async with Redis(host=url.hostname, port=url.port) as client:
            broker = RedisMessageBroker(client)
            assert await broker.publish(make_messages(1)) == [None]

            own_redis.kill()
            started = time.monotonic()
            outcomes = await broker.publish(make_messages(2))

            assert time.monotonic() - started < AT_ONCE
            assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
            assert all("nothing was sent" in text for text in texts(outcomes))

            own_redis.start()
            assert await broker.publish(make_messages(1)) == [None]

    async def test_restart(self, own_redis):
        """A restart between two messages goes unnoticed."""
        async with Redis.from_url(own_redis.url) as client:
            broker = RedisMessageBroker(client)
            await broker.publish(make_messages(1))

            own_redis.kill()
            own_redis.start()

            assert await broker.publish(make_messages(1)) == [None]

    async def test_silence(self, own_redis):
        """A Redis that says nothing holds nobody up, however many there are."""
        async with Redis.from_url(own_redis.url) as client:
            broker = RedisMessageBroker(client, timeout=SOON)
            await RedisMessageBroker(client).publish(make_messages(1))

            own_redis.pause()
            started = time.monotonic()
            outcomes = await asyncio.gather(
                *(broker.publish(make_messages(2)) for _ in range(100))
            )
            seconds = time.monotonic() - started

            assert seconds < SOON + AT_ONCE
            told = [outcome for results in outcomes for outcome in results]
            assert len(told) == 200
            assert all(isinstance(outcome, TimeoutError) for outcome in told)

            own_redis.resume()
            patient = RedisMessageBroker(client, timeout=PATIENCE)
            assert await patient.publish(make_messages(1)) == [None]

    async def test_reset_while_idle(
        self, proxy, client_of_proxy, redis_client, listener
    ):
        """A connection that was reset while nobody used it is replaced."""
        broker = RedisMessageBroker(client_of_proxy)
        messages = make_messages(2)
        await broker.publish(messages[:1])

        proxy.reset()
        await asyncio.sleep(0.01)  # the reset is a packet, which nothing announces

        assert await broker.publish(messages[1:]) == [None]
        assert await listener.hear_all(redis_client) == Counter(
            message.message_id for message in messages
        )

    async def test_lost_answer(self, proxy, client_of_proxy, redis_client, listener):
        """Where the answer is lost nothing is published twice."""
        broker = RedisMessageBroker(client_of_proxy)
        await broker.publish(make_messages(1))
        await listener.hear()
        messages = make_messages(3)

        proxy.swallows_answers = True
        outcomes = await broker.publish(messages)

        assert all("it may have been sent" in text for text in texts(outcomes))
        assert await listener.hear_all(redis_client) == Counter(
            message.message_id for message in messages
        )

    async def test_cut_off(self, proxy, client_of_proxy):
        """Connecting is tried again a few times, and not as the client would."""
        proxy.refuses = True

        [outcome] = await RedisMessageBroker(client_of_proxy).publish(make_messages(1))

        assert isinstance(outcome, ConnectionError)
        assert proxy.accepted == CONNECT_ATTEMPTS

    async def test_bad_password(self, proxy):
        """A password that is wrong is tried once."""
        async with Redis(
            host="127.0.0.1",
            port=urlsplit(proxy.url).port,
            username="nobody",
            password="secret",
        ) as client:
            [outcome] = await RedisMessageBroker(client).publish(make_messages(1))

        assert isinstance(outcome.__cause__, AuthenticationError)
        assert "secret" not in str(outcome)
        assert proxy.accepted == 1


class TestCancellation:
    async def test_every_await(self, redis_url, redis_client, listener):
        """Wherever callers are cancelled, the others' messages go, each once."""
        kept = []
        async with Redis.from_url(redis_url) as client:
            broker = RedisMessageBroker(client)
            for steps in range(40):
                if steps % 2:
                    await client.connection_pool.disconnect()
                messages = make_messages(4)
                tasks = [
                    asyncio.create_task(broker.publish([message]))
                    for message in messages
                ]
                for _ in range(steps // 2):
                    await asyncio.sleep(0)

                tasks[0].cancel()
                tasks[2].cancel()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)

                assert outcomes[1::2] == [[None], [None]]
                kept += [messages[1], messages[3]]
                # An answer to somebody else would come first.
                assert await client.echo(f"in step {steps}") == (
                    f"in step {steps}".encode()
                )
            assert len(client.connection_pool._in_use_connections) == 0

        heard = await listener.hear_all(redis_client)
        assert set(heard.values()) == {1}
        assert {message.message_id for message in kept} <= set(heard)
        assert asyncio.all_tasks() == {asyncio.current_task()}

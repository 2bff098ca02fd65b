"""Receiving through Redis Pub/Sub, from a real Redis and from one that fails."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, asynccontextmanager
from uuid import uuid4

import msgspec
import pytest

from diator.events.message_brokers import redis_pubsub as module
from diator.events.message_brokers.protocol import EVENTS, Message
from diator.events.message_brokers.redis import RedisMessageBroker
from tests.proxy import Proxy

SOON = 0.2  # seconds
PATIENCE = 30  # seconds
AWAITS = 60  # more than it takes to connect and to be confirmed


def make_message(number=0, message_type="notification_event"):
    return Message(
        message_type=message_type,
        message_name="Numbered",
        message_id=uuid4(),
        payload={"number": number},
    )


def numbers(deliveries):
    return [msgspec.json.decode(each.body)["payload"]["number"] for each in deliveries]


@asynccontextmanager
async def listening(url, **options):
    broker = RedisMessageBroker(url, **options)
    async with (
        aclosing(broker),
        asyncio.timeout(PATIENCE),
        broker.subscribe([EVENTS], group="g") as subscription,
    ):
        yield broker, subscription


async def publish_until(broker, receiving):
    """Publish until somebody hears it."""
    while not receiving.done():
        assert len(await broker.publish([make_message(7)])) == 1
        await asyncio.wait([receiving], timeout=0.02)
    return receiving.result()


@pytest.fixture
async def proxy(redis_url, redis_client):
    async with aclosing(Proxy(redis_url)) as proxy:
        await proxy.start()
        yield proxy


class TestReceiving:
    async def test_begin(self, redis_url):
        """What is received is nobody else's."""
        async with listening(redis_url) as (broker, subscription):
            receiving = asyncio.create_task(subscription.receive(1))
            [delivery, *_] = await publish_until(broker, receiving)

            assert subscription.begin(delivery)

    async def test_delivery(self, redis_url, redis_client):
        """What the channel tells is told; what is no message of ours comes too."""
        command = make_message(1, message_type="command")
        async with listening(redis_url) as (broker, subscription):
            await broker.publish([command])
            await redis_client.publish(
                "python_diator_channel:\udcff".encode(errors="surrogateescape"), b"\xff"
            )

            first, second = [
                *await subscription.receive(1),
                *await subscription.receive(1),
            ]

        assert first.topic == f"python_diator_channel:command:{command.message_id}"
        assert (first.message_type, first.attempt) == ("command", 1)
        assert first.message_id == str(command.message_id)
        assert (first.message_name, first.key, first.headers) == ("", None, {})
        assert (second.body, second.message_type) == (b"\xff", "")

    async def test_together(self, redis_url, redis_client):
        """What has come is given together, as far as it is wanted."""
        async with listening(redis_url) as (broker, subscription):
            await broker.publish([make_message(number) for number in range(10)])
            await asyncio.sleep(
                0.05
            )  # the messages are packets, which nothing announces

            sizes = [len(await subscription.receive(4)) for _ in range(3)]

        assert sizes == [4, 4, 2]

    async def test_dropped(self, redis_url, redis_client, caplog):
        """What cannot be handled is logged, without its payload, and is gone."""
        async with listening(redis_url) as (broker, subscription):
            await broker.publish([make_message(4_711)])
            [delivery] = await subscription.receive(1)
            with caplog.at_level(logging.ERROR, "diator"):
                await subscription.dead_letter(delivery, "ValueError: secret")

        assert "ValueError" in caplog.text
        assert "secret" not in caplog.text
        assert delivery.message_id in caplog.text
        assert "4711" not in caplog.text


class TestOutages:
    async def test_absent_at_first(self, own_redis):
        """Whoever listens to a Redis that is down hears it later."""
        own_redis.kill()
        async with listening(own_redis.url) as (broker, subscription):
            with pytest.raises(ConnectionError):
                await subscription.receive(1)

            own_redis.start()
            receiving = asyncio.create_task(subscription.receive(1))

            assert numbers(await publish_until(broker, receiving)) == [7]

    async def test_unanswered_at_first(self, proxy):
        """A subscription that Redis did not confirm is made anew."""
        proxy.truncates_answers = True
        async with listening(proxy.url, timeout=SOON) as (broker, subscription):
            proxy.truncates_answers = False
            receiving = asyncio.create_task(keep_receiving(subscription))

            assert numbers(await publish_until(broker, receiving)) == [7]

    async def test_confirmation_lost(self, proxy, monkeypatch):
        """The same holds where the connection stands, and its answer is lost."""
        async with listening(proxy.url, timeout=SOON) as (broker, subscription):
            await subscription._hang_up()
            opened = module.open_connection

            async def open_to_lose(*arguments):
                connection = await opened(*arguments)
                proxy.swallows_answers = True
                return connection

            monkeypatch.setattr(module, "open_connection", open_to_lose)
            with pytest.raises(ConnectionError):
                await subscription.receive(1)
            assert subscription._connection is None

            monkeypatch.setattr(module, "open_connection", opened)
            proxy.swallows_answers = False
            receiving = asyncio.create_task(keep_receiving(subscription))
            assert numbers(await publish_until(broker, receiving)) == [7]

    async def test_restart(self, own_redis, caplog):
        """Whoever was cut off connects anew, and says that something may be missing."""
        async with listening(own_redis.url) as (broker, subscription):
            receiving = asyncio.create_task(keep_receiving(subscription))
            await asyncio.sleep(0.05)  # it waits now, which nothing announces
            with caplog.at_level(logging.WARNING, "diator"):
                await asyncio.to_thread(restart, own_redis)

                assert numbers(await publish_until(broker, receiving)) == [7]

        assert "messages_missed" in caplog.text

    async def test_silence(self, own_redis, monkeypatch):
        """A silence is not mistaken for quiet."""
        monkeypatch.setattr(module, "PING_SECONDS", SOON)
        async with listening(own_redis.url, timeout=SOON) as (_, subscription):
            own_redis.pause()
            started = time.monotonic()
            with pytest.raises(ConnectionError):
                await subscription.receive(1)
            assert time.monotonic() - started < PATIENCE
            own_redis.resume()

            patient = RedisMessageBroker(own_redis.url)
            receiving = asyncio.create_task(keep_receiving(subscription))
            assert numbers(await publish_until(patient, receiving)) == [7]
            await patient.aclose()

    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_quiet(self, redis_url, redis_client, monkeypatch, protocol):
        """Quiet is not mistaken for silence."""
        monkeypatch.setattr(module, "PING_SECONDS", 0.01)
        async with listening(f"{redis_url}?protocol={protocol}") as (
            broker,
            subscription,
        ):
            before = await clients(redis_client)
            receiving = asyncio.create_task(subscription.receive(1))
            await asyncio.sleep(0.1)  # so quiet it is
            await broker.publish([make_message(1)])

            assert numbers(await receiving) == [1]
            assert await clients(redis_client) == before

    async def test_reset_before_it_is_asked(self, proxy, monkeypatch):
        """A connection that cannot even be written to is replaced."""
        monkeypatch.setattr(module, "PING_SECONDS", 0.0)
        async with listening(proxy.url) as (broker, subscription):
            subscription._connection._writer.close()
            receiving = asyncio.create_task(subscription.receive(1))

            assert numbers(await publish_until(broker, receiving)) == [7]

    async def test_left_while_it_connects(self, proxy):
        """Whoever leaves while it connects, at any await, leaves nothing behind."""
        for steps in range(AWAITS):
            async with listening(proxy.url) as (_, subscription):
                await subscription._hang_up()
                receiving = asyncio.create_task(subscription.receive(1))
                for _ in range(steps):
                    await asyncio.sleep(0)
                receiving.cancel()
            await asyncio.wait([receiving])
            assert receiving.cancelled()
            assert subscription._connection is None
            assert subscription._fetcher._fetching is subscription._reading is None


async def keep_receiving(subscription):
    """Receive, as a consumer does that does not give up."""
    while True:
        try:
            return await subscription.receive(1)
        except ConnectionError:
            await asyncio.sleep(0.02)


async def clients(redis_client):
    return {client["id"] for client in await redis_client.client_list(_type="pubsub")}


def restart(server):
    server.kill()
    server.start()

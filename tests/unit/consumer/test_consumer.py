"""A consumer, as an application uses it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from diator import EventEmitter, Mediator
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.subscription import Lag
from diator.exceptions import ConfigurationError, InUseError
from tests.unit.consumer.fake_broker import FakeBroker
from tests.unit.consumer.service import AT_ONCE, Service
from tests.unit.fakes import FakeBroker as PublishingBroker
from tests.unit.fakes import pause
from tests.unit.messages.fake_messages import (
    CountRooms,
    OpenRoom,
    StockChanged,
    make_registry,
)


class TestRun:
    async def test_in_an_application(self):
        """It runs in the background for as long as the context lasts."""
        service = Service()
        service.put(1)

        async with service.consumer() as consumer:
            await service.broker.settled()
            service.put(2)
            async with service.broker.changed:
                service.broker.changed.notify_all()
            await service.broker.settled()
            assert (await consumer.health())["running"]

        assert service.handled == [1, 2]
        assert not (await consumer.health())["running"]
        assert service.broker.group == "mail"

    async def test_in_a_process(self):
        """It runs until it is stopped, by a signal, say; again if need be."""
        service = Service()
        consumer = service.consumer()
        consumer.stop()

        for number in (1, 2):
            service.put(number)
            running = asyncio.create_task(consumer.run())
            await service.broker.settled()
            consumer.stop()
            consumer.stop()
            await running

        assert service.handled == [1, 2]

    async def test_twice(self):
        """It does not run twice at the same time."""
        consumer = Service().consumer()

        async with consumer:
            with pytest.raises(InUseError, match="the consumer runs already"):
                await consumer.run()

    async def test_failing_body(self):
        """What fails in the application ends it in good order, too."""
        service = Service()
        service.put(7)

        with pytest.raises(KeyError):  # noqa: PT012  # the context is what is tested
            async with service.consumer():
                await service.broker.until(lambda: service.broker.unsettled)
                raise KeyError

        assert service.broker.ids == ["7"]

    async def test_leaving_is_cancelled(self):
        """Who does not want to wait for the end cancels it."""
        service = Service()
        service.put(7)

        async def block(event: Any) -> None:
            await asyncio.Event().wait()

        async def application() -> None:
            async with service.consumer():
                await service.broker.until(lambda: service.broker.unsettled)

        service.on_joined = block
        task = asyncio.create_task(application())
        await service.broker.until(lambda: service.broker.unsettled)
        await pause(10)
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert service.broker.given_back == ["7"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_ended_before_it_began(self):
        """A consumer that has had no time to begin can be left, and used again."""
        service = Service()
        consumer = service.consumer()

        async with asyncio.timeout(10), consumer:
            pass
        service.put(7)
        async with consumer:
            await service.broker.settled()

        assert service.handled == [7]


class TestInMemory:
    async def test_within_one_process(self):
        """The broker in memory serves a test of a whole service."""
        broker = InMemoryMessageBroker()
        emitter = EventEmitter(message_broker=broker, registry=make_registry())
        mediator = Mediator(event_emitter=emitter)
        handled: list[OpenRoom] = []

        @mediator.handles(OpenRoom)
        async def handle(request: OpenRoom) -> None:
            handled.append(request)
            if len(handled) == 1:
                raise ConnectionError
            done.set()

        done = asyncio.Event()
        async with Consumer(mediator, broker, group="rooms", backoff=AT_ONCE):
            await mediator.post(OpenRoom(name="attic"))
            async with asyncio.timeout(10):
                await done.wait()

        assert handled == [OpenRoom(name="attic")] * 2


class TestTopics:
    async def test_those_with_handlers(self):
        """Without being told, it receives what has handlers here, and no more."""
        service = Service()
        registry = service.mediator.event_emitter.registry
        assert {entry.topic for _, entry in registry} == {"events", "commands"}
        service.put(7)
        await service.consume()
        assert service.broker.topics == ["events"]

        service.mediator.request_map.handles(OpenRoom)(open_room)
        service.put(8)
        await service.consume()
        assert service.broker.topics == ["events", "commands"]

    async def test_told(self):
        """It receives what it is told to."""
        service = Service(topics=["users"])
        async with service.consumer() as consumer:
            await pause(5)

        assert service.broker.topics == ["users"]
        assert (consumer.group, consumer.topics) == ("mail", ["users"])

    async def test_partitions(self):
        """Partitions are for the broker to know what they are."""

        class PartitionedBroker(FakeBroker):
            partitions: Any = None

            def subscribe(self, topics, /, *, group, partitions=None):
                self.partitions = partitions
                return super().subscribe(topics, group=group)

        service = Service(partitions=[1, 2])
        service.broker = PartitionedBroker()
        service.put(7)
        await service.consume()

        assert service.broker.partitions == [1, 2]

    async def test_nothing(self):
        """A consumer that would receive nothing says so."""
        with pytest.raises(ConfigurationError, match="no type in the registry has a"):
            await Consumer(Mediator(), FakeBroker(), group="mail").run()

    async def test_types_without_handlers(self):
        """Types that are merely sent from here do not count."""
        mediator = Mediator()
        mediator.event_emitter.registry.add(StockChanged)
        mediator.event_emitter.registry.add(CountRooms)

        with pytest.raises(ConfigurationError, match="nothing to receive"):
            async with Consumer(mediator, FakeBroker(), group="mail"):
                pass


async def open_room(request: OpenRoom) -> None: ...


class TestHealth:
    async def test_counts(self):
        """It tells what was done, and what is held."""
        service = Service(unknown="skip", max_attempts=1)
        service.put(7)
        service.broker.put(b"")
        before = datetime.now(UTC)
        consumer = service.consumer()
        assert (await consumer.health())["last_progress"] is None
        gate, entered = asyncio.Event(), asyncio.Event()

        async def wait(event: Any) -> None:
            entered.set()
            await gate.wait()

        service.on_joined = wait
        async with consumer:
            await entered.wait()
            await service.broker.until(lambda: service.broker.dead)
            await pause()
            assert (await consumer.health())["in_flight"] == 1
            gate.set()
            await service.broker.settled()

        health = await consumer.health()
        assert before <= health.pop("last_progress") <= datetime.now(UTC)
        assert health == {
            "running": False,
            "connected": False,
            "in_flight": 0,
            "handled": 1,
            "retried": 0,
            "dead_lettered": 1,
            "skipped": 0,
        }

    async def test_lag(self):
        """It tells how far the group is behind, where the broker does, and answers."""
        broker = LaggingBroker()
        consumer = Consumer(Service().mediator, broker, group="mail", topics=["a"])
        assert "lag" not in await consumer.health()

        async with consumer:
            told = (await consumer.health())["lag"]
            broker.is_away = True
            untold = (await consumer.health())["lag"]

        assert told == {"a": {"waiting": 3, "pending": 1}}
        assert untold is None

    async def test_no_lag(self):
        """Nothing is said of it where the broker cannot tell."""
        async with Service().consumer() as consumer:
            assert "lag" not in await consumer.health()


class LaggingBroker(FakeBroker):
    """Tells how far the group `mail` is behind in topic `a`."""

    async def lag(self, topic: str, group: str) -> Lag:
        if self.is_away:
            raise ConnectionError
        assert (topic, group) == ("a", "mail")
        return Lag(waiting=3, pending=1)


class TestSettings:
    @pytest.mark.parametrize(
        "options, told",
        [
            ({"group": ""}, "group must have a name"),
            ({"concurrency": 0}, "concurrency must be at least 1, not 0"),
            ({"prefetch": 0}, "prefetch must be at least 1, not 0"),
            ({"max_attempts": 0}, "max_attempts must be at least 1, not 0"),
            ({"heartbeat": 0}, "heartbeat must be a number of seconds above 0"),
            ({"heartbeat": float("nan")}, "heartbeat must be a number of seconds"),
            ({"drain_timeout": -1}, "drain_timeout must be 0 seconds or more, not -1"),
            ({"drain_timeout": float("inf")}, "drain_timeout must be"),
            ({"unknown": "explode"}, "unknown must be 'dead-letter' or 'skip'"),
        ],
    )
    def test_refused(self, options: dict[str, Any], told: str):
        """What cannot work is refused at once."""
        with pytest.raises(ConfigurationError, match=told):
            Service(**options).consumer()

    def test_broker(self):
        """A broker that can only publish is told apart from others."""
        broker: Any = PublishingBroker()

        with pytest.raises(ConfigurationError, match="FakeBroker cannot be received"):
            Consumer(Mediator(), broker, group="mail")

"""How a received message gets to the mediator."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from structlog.contextvars import get_contextvars

from diator import DomainEvent, collect
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.messages.received import Received, received_message
from diator.middlewares.event_collection import EventCollectionMiddleware
from tests.unit.consumer.service import Service
from tests.unit.fakes import FailedError
from tests.unit.messages.fake_messages import (
    CountRooms,
    OpenRoom,
    StockChanged,
    UserJoined,
)

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Followed(DomainEvent):
    pass


class TestEvents:
    async def test_received(self):
        """An event goes to its handlers, who can tell where it comes from."""
        service = Service()
        seen: list[Any] = []

        async def see(event: UserJoined) -> None:
            received = received_message()
            assert received is not None
            assert received.message is event
            seen.append((received.message_id, received.group, received.attempt))

        service.on_joined = see
        service.put(7, attempt=2)
        await service.consume()

        assert service.handled == [7]
        assert seen == [("7", "mail", 2)]
        assert received_message() is None

    async def test_headers(self):
        """What is published meanwhile belongs to what caused it."""
        service = Service()
        service.mediator.event_emitter.message_broker = broker = InMemoryMessageBroker()

        async def publish(event: UserJoined) -> None:
            collect(StockChanged())

        service.on_joined = publish
        service.put(7)
        service.put(8, headers={"correlation_id": "c", "traceparent": TRACE, "a": "b"})
        await service.consume()

        assert [message.headers for message in broker.messages] == [
            {"correlation_id": "7", "causation_id": "7"},
            {"correlation_id": "c", "causation_id": "8", "traceparent": TRACE},
        ]

    async def test_logged_ids(self):
        """What is logged meanwhile has the same ids, and nothing of other messages."""
        service = Service(concurrency=1)
        seen: list[Any] = []

        async def see(event: UserJoined) -> None:
            seen.append(dict(get_contextvars()))

        service.on_joined = see
        service.put(7, headers={"correlation_id": "c"})
        service.put(8)
        await service.consume()

        assert seen == [
            {"correlation_id": "c", "request_id": "7"},
            {"correlation_id": "8", "request_id": "8"},
        ]
        assert get_contextvars() == {}

    async def test_follow_up(self, caplog: pytest.LogCaptureFixture):
        """An event whose follow-ups fail was handled; their failure is logged."""
        service = Service()

        async def follow(event: UserJoined) -> None:
            collect(Followed())

        @service.mediator.handles(Followed)
        async def fail(event: Followed) -> None:
            raise FailedError

        service.on_joined = follow
        service.put(7)
        with caplog.at_level(logging.ERROR, "diator"):
            await service.consume()

        assert service.handled == [7]
        assert service.broker.ids == ["7"]
        [record] = caplog.records
        assert "events of a received message failed" in record.getMessage()

    async def test_both(self):
        """An event that failed itself is tried again, whatever became of others."""
        service = Service(max_attempts=2)

        @service.mediator.handles(UserJoined)
        async def raise_followed(event: UserJoined) -> None:
            collect(Followed())

        @service.mediator.handles(Followed)
        async def fail(event: Followed) -> None:
            raise FailedError

        async def fail_too(event: UserJoined) -> None:
            raise FailedError

        service.on_joined = fail_too
        service.put(7)
        await service.consume()

        assert [delivery.message_id for delivery, _ in service.broker.dead] == ["7"]


class TestCommands:
    async def test_posted(self):
        """A command that was posted is sent where it is consumed, under its id."""
        service = Service()
        seen: list[Received | None] = []

        @service.mediator.handles(OpenRoom)
        async def open_room(request: OpenRoom) -> None:
            seen.append(received_message())

        command = OpenRoom(name="attic")
        command_id = await service.mediator.post(command)
        await service.consume()

        [received] = seen
        assert received is not None
        assert (received.message, received.message_id) == (command, str(command_id))

    async def test_idempotent(self):
        """With an inbox, a command that is delivered twice is handled once."""
        service = Service()
        inbox: set[tuple[str, str]] = set()
        opened: list[str] = []

        async def once(request: Any, handle: Any) -> Any:
            received = received_message()
            if received is None or received.message is not request:
                return await handle(request)
            key = (received.group, received.message_id)
            if key in inbox:
                return None
            answer = await handle(request)
            inbox.add(key)
            return answer

        service.mediator.use(once)

        @service.mediator.handles(OpenRoom)
        async def open_room(request: OpenRoom) -> None:
            opened.append(request.name)
            # Sent while a message is handled, but not what was received.
            await service.mediator.send(CountRooms())

        @service.mediator.handles(CountRooms)
        async def count_rooms(request: CountRooms) -> int:
            return len(opened)

        await service.mediator.post(OpenRoom(name="attic"))
        service.broker.waiting.append(service.broker.waiting[0])
        await service.mediator.post(OpenRoom(name="cellar"))
        await service.consume()

        assert sorted(opened) == ["attic", "cellar"]
        assert len(service.broker.ids) == 3

    async def test_correlation(self):
        """From an event over its command to that one's events, all belong together."""
        service = Service()

        async def post(event: UserJoined) -> None:
            await service.mediator.post(OpenRoom(name="attic"))

        @service.mediator.handles(OpenRoom)
        async def open_room(request: OpenRoom) -> None:
            collect(StockChanged())
            await service.mediator.post(CountRooms())

        @service.mediator.handles(CountRooms)
        async def count_rooms(request: CountRooms) -> int:
            return 1

        service.on_joined = post
        service.put(7)
        await service.consume()

        first, *others = service.broker.published
        assert first.message_name == "OpenRoom"
        assert first.headers == {"correlation_id": "7", "causation_id": "7"}
        assert [message.message_name for message in others] == [
            "StockChanged",
            "CountRooms",
        ]
        for message in others:
            assert message.headers == {
                "correlation_id": "7",
                "causation_id": str(first.message_id),
            }

    async def test_events_fail(self, caplog: pytest.LogCaptureFixture):
        """A command whose events fail was handled; their failure is logged."""
        service = Service()
        attempts: list[str] = []

        @service.mediator.handles(OpenRoom)
        async def open_room(request: OpenRoom) -> None:
            attempts.append(request.name)
            collect(Followed())

        @service.mediator.handles(Followed)
        async def fail(event: Followed) -> None:
            raise FailedError

        await service.mediator.post(OpenRoom(name="attic"))
        with caplog.at_level(logging.ERROR, "diator"):
            await service.consume()

        assert attempts == ["attic"]
        assert len(service.broker.ids) == 1
        assert len(caplog.records) == 1

    @pytest.mark.parametrize("kind", ["inside", "independent"])
    async def test_rolled_back(self, kind: str):
        """A command that events have failed, by way of its handler, is tried again."""
        service = Service(max_attempts=2)
        attempts: list[str] = []

        @service.mediator.handles(OpenRoom)
        async def open_room(request: OpenRoom) -> None:
            attempts.append(request.name)
            if kind == "inside":
                collect(Followed())
            else:
                await service.mediator.independent().send(CountRooms())

        @service.mediator.handles(CountRooms)
        async def count_rooms(request: CountRooms) -> int:
            collect(Followed())
            return 0

        @service.mediator.handles(Followed)
        async def fail(event: Followed) -> None:
            raise FailedError

        if kind == "inside":
            emitter = service.mediator.event_emitter
            service.mediator.use(EventCollectionMiddleware(emitter), only=OpenRoom)
        await service.mediator.post(OpenRoom(name="attic"))
        await service.consume()

        assert attempts == ["attic"] * 2
        assert len(service.broker.dead) == 1

    async def test_without_a_handler(self):
        """A command that has no handler here is put aside at once."""
        service = Service(topics=["commands"])
        await service.mediator.post(OpenRoom(name="attic"))
        consumer = await service.consume()

        [(_, cause)] = service.broker.dead
        assert cause.startswith("HandlerNotFoundError: OpenRoom has no handler")
        assert (await consumer.health())["retried"] == 0

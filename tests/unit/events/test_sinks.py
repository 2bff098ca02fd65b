"""Where events end up."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diator import DomainEvent, ECSTEvent, Event, EventEmitter, NotificationEvent
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.sinks import message_type
from diator.exceptions import EncodingError, EventsError
from tests.unit.fakes import Announced, FakeBroker, Happened


@dataclass(frozen=True, kw_only=True)
class Stock(ECSTEvent):
    amount: int


class TestMessageType:
    @pytest.mark.parametrize(
        "event_type, name",
        [
            (NotificationEvent, "notification_event"),
            (Announced, "notification_event"),
            (ECSTEvent, "ecst_event"),
            (Stock, "ecst_event"),
            (DomainEvent, None),
            (Happened, None),
            (Event, None),
        ],
    )
    def test_name(self, event_type: type, name: str | None):
        """Notification and ECST events have a name on the wire, others stay here."""
        assert message_type(event_type) == name


class TestBroker:
    async def test_message(self):
        """The broker gets the kind, the name and the id of the event, and itself."""
        broker = InMemoryMessageBroker()
        announced, stock = Announced(name="it"), Stock(amount=3)

        await EventEmitter(message_broker=broker).emit(announced, stock)

        first, second = broker.messages
        assert (first.message_type, first.message_name) == (
            "notification_event",
            "Announced",
        )
        assert first.message_id == announced.event_id
        assert first.payload is announced
        assert (second.message_type, second.message_name) == ("ecst_event", "Stock")
        assert second.message_id == stock.event_id

    async def test_one_batch(self):
        """What is emitted together is published together."""
        broker = FakeBroker()

        await EventEmitter(message_broker=broker).emit(
            Announced(name="a"), Happened("b"), Announced(name="c")
        )

        assert broker.batches == [["a", "c"]]

    async def test_key_of_another_type(self):
        """An event whose key is no text is refused, and others are published."""
        broker = FakeBroker()
        emitter = EventEmitter(message_broker=broker)
        emitter.registry.add(Announced, key=lambda event: "k" if event.name else 0)

        with pytest.raises(EventsError) as caught:
            await emitter.emit(Announced(name=""), Announced(name="it"))

        [failure] = caught.value.exceptions
        assert "key of Announced must be a str" in str(failure)
        assert isinstance(failure.__cause__, EncodingError)
        assert broker.names == ["it"]

    async def test_nothing_to_publish(self):
        """Without events for it the broker is left alone."""
        broker = FakeBroker()

        await EventEmitter(message_broker=broker).emit(Happened("a"))

        assert broker.batches == []

    async def test_no_broker(self):
        """Each event for a broker that is not there is a failure of its own."""
        events = [Announced(name="a"), Announced(name="b")]

        with pytest.raises(EventsError) as caught:
            await EventEmitter().emit(*events)

        failed = [failure.event for failure in caught.value.exceptions]  # type: ignore[union-attr]  # no nested groups
        assert failed == events

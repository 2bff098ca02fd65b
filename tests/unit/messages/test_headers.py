"""What travels beside the body of a message."""

from __future__ import annotations

from dataclasses import dataclass

from diator import EventEmitter, NotificationEvent
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.messages.headers import outgoing_headers, sending_headers


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    pass


class TestHeaders:
    def test_nothing(self):
        """There are none unless somebody adds some."""
        assert outgoing_headers() == {}

    def test_nested(self):
        """Those inside are added to those outside, for as long as it lasts."""
        with sending_headers({"a": "1", "b": "2"}):
            with sending_headers({"b": "3"}):
                inside = outgoing_headers()
            outside = outgoing_headers()

        assert inside == {"a": "1", "b": "3"}
        assert outside == {"a": "1", "b": "2"}
        assert outgoing_headers() == {}

    async def test_published(self):
        """They go with what is published meanwhile, beside the body."""
        broker = InMemoryMessageBroker()
        emitter = EventEmitter(message_broker=broker)

        with sending_headers({"correlation_id": "sent along"}):
            await emitter.emit(UserJoined())
        await emitter.emit(UserJoined())

        with_headers, without = broker.messages
        assert with_headers.headers == {"correlation_id": "sent along"}
        assert without.headers == {}
        assert b"sent along" not in broker.bodies[0]

"""What the recording broker compares."""

from __future__ import annotations

from uuid import uuid4

import msgspec

from diator import Command
from diator.events.message_brokers.protocol import Message
from diator.testing.broker import RecordingBroker
from diator.testing.timeline import Timeline


class Join(msgspec.Struct, Command, frozen=True):
    user_id: int


def message(payload: object) -> Message:
    return Message(
        message_type="command",
        message_name="Join",
        message_id=uuid4(),
        payload=payload,
    )


class TestRecordingBroker:
    async def test_structs_and_json(self):
        """Structs are compared by their fields; JSON is taken as it is."""
        broker = RecordingBroker(Timeline())
        json = msgspec.Raw(b"{}")

        assert await broker.publish([message(Join(1)), message(json)]) == [None, None]

"""What the recording broker compares."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import attrs
import msgspec
import pydantic
import pytest

from diator import Command
from diator.events.message_brokers.protocol import Message
from diator.exceptions import EncodingError
from diator.testing.broker import RecordingBroker
from diator.testing.timeline import Timeline


class Struct(msgspec.Struct, Command, frozen=True):
    value: Any


# With slots, and so without a `__dict__`.
@attrs.frozen
class Attrs(Command):
    value: Any


class Model(pydantic.BaseModel, Command):
    value: Any


def message(payload: object) -> Message:
    return Message(
        message_type="command",
        message_name="Join",
        message_id=uuid4(),
        payload=payload,
    )


class TestRecordingBroker:
    @pytest.mark.parametrize("kind", [Struct, Attrs, Model])
    async def test_kinds(self, kind: Any):
        """Messages of any kind are compared by their fields."""
        broker = RecordingBroker(Timeline())

        [none, error] = await broker.publish(
            [message(kind(value=1)), message(kind(value=(1, 2)))]
        )

        assert none is None
        assert isinstance(error, EncodingError)
        assert f"{kind.__name__}.value does not survive the wire" in str(error)

    async def test_json(self):
        """What is JSON already is taken as it is."""
        broker = RecordingBroker(Timeline())
        json = msgspec.Raw(b"{}")

        assert await broker.publish([message(json)]) == [None]

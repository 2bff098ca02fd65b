"""What the recording broker compares."""

from __future__ import annotations

from dataclasses import dataclass
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


class Join(msgspec.Struct, Command, frozen=True):
    user_id: int


@dataclass(frozen=True, slots=True)
class JoinByDataclass(Command):
    user_id: Any


class JoinByMsgspec(msgspec.Struct, Command):
    user_id: Any


@attrs.frozen
class JoinBySlots(Command):
    user_id: Any


@attrs.define(slots=False)
class JoinByAttrs(Command):
    user_id: Any


class JoinByPydantic(pydantic.BaseModel, Command):
    user_id: Any


class JoinOpenly(pydantic.BaseModel, Command, extra="allow"):
    pass


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

    @pytest.mark.parametrize(
        "join",
        [
            JoinByDataclass,
            JoinByMsgspec,
            JoinBySlots,
            JoinByAttrs,
            JoinByPydantic,
            JoinOpenly,
        ],
    )
    async def test_kinds_of_messages(self, join):
        """Messages of every kind are compared, and what does not survive is told."""
        broker = RecordingBroker(Timeline())

        good, bad = await broker.publish(
            [message(join(user_id=7)), message(join(user_id=(7,)))]
        )

        assert good is None
        assert isinstance(bad, EncodingError)
        assert "user_id does not survive the wire" in str(bad)

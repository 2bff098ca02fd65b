"""What the recording broker compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import attrs
import msgspec
import pydantic
import pytest

from diator import Command, NotificationEvent
from diator.events.message_brokers.protocol import Message
from diator.exceptions import EncodingError
from diator.messages.registry import MessageRegistry
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


@attrs.frozen
class Stamped(NotificationEvent):
    """Is a dataclass by its base, and not by itself."""

    user_id: int


class Unreadable(msgspec.Struct, Command):
    """Cannot be received, because nothing tells the two apart."""

    value: JoinByMsgspec | JoinByPydantic


def message(payload: object, kind: str = "command") -> Message:
    return Message(
        message_type=kind,
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

    async def test_derived_from_dataclasses(self):
        """What is read as the dataclass that it derives from does not survive."""
        broker = RecordingBroker(Timeline())

        [error] = await broker.publish(
            [message(Stamped(user_id=7), "notification_event")]
        )

        assert "Stamped.user_id does not survive the wire: 7" in str(error)

    async def test_of_an_outbox(self):
        """What a relay publishes is read, as far as its type is known, or refused."""
        timeline = Timeline()
        registry = MessageRegistry()
        registry.add(Join, name="Join")
        # What cannot be received has no part in it.
        registry.add(Unreadable)
        broker = RecordingBroker(timeline, registry)

        fits, unfit = await broker.publish(
            [message(msgspec.Raw(b'{"user_id": 1}')), message(msgspec.Raw(b"{}"))]
        )

        assert fits is None
        assert "Join does not survive the wire" in str(unfit)
        published = [each for each in timeline.lines if each.kind == "published"]
        assert [each.message for each in published] == [Join(user_id=1)]

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

"""What a message looks like on the wire, and how it is told that it has no form."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from diator.events.message_brokers.encoding import (
    MAX_BODY_BYTES,
    encode,
    encode_payload,
)
from diator.events.message_brokers.protocol import Message
from diator.exceptions import EncodingError

NO_FORM = "has no form in JSON; use str, numbers, dataclasses"
ID = UUID("9f62e977-73f7-462b-92cb-8ea658d3bcb5")


@dataclass(frozen=True, kw_only=True)
class OrderPlaced:
    lines: Any


@attrs.frozen
class Parcel:
    weight: Any


class Shelf(msgspec.Struct):
    parcels: Any


class Address(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    street: str
    door_code: pydantic.SecretStr = pydantic.SecretStr("1234")
    anything: Any = None


class Colour(Enum):
    RED = "red"


class Unencodable:
    pass


def make_message(payload):
    return Message(
        message_type="notification_event",
        message_name=type(payload).__name__,
        message_id=ID,
        payload=payload,
    )


def encode_lines(lines):
    """Encode an event that holds something, and return what became of that."""
    return json.loads(encode(make_message(OrderPlaced(lines=lines))))["payload"][
        "lines"
    ]


def explain(lines):
    """Return what is said of an event that cannot be encoded."""
    with pytest.raises(EncodingError) as caught:
        encode(make_message(OrderPlaced(lines=lines)))
    return str(caught.value)


def nest(levels):
    innermost = nested = []
    for _ in range(levels):
        innermost.append([])
        innermost = innermost[0]
    return nested


class TestForm:
    def test_wire_format(self):
        """The fields of the message stand in the order of the wire."""

        @dataclass(frozen=True, kw_only=True)
        class UserJoinedNotificationEvent:
            event_id: UUID
            event_timestamp: datetime
            user_id: int

        event = UserJoinedNotificationEvent(
            event_id=ID,
            event_timestamp=datetime(2023, 3, 7, 9, 26, 2, 588855, tzinfo=UTC),
            user_id=123,
        )

        assert encode(make_message(event)) == (
            b'{"message_type":"notification_event",'
            b'"message_name":"UserJoinedNotificationEvent",'
            b'"message_id":"9f62e977-73f7-462b-92cb-8ea658d3bcb5",'
            b'"payload":{"event_id":"9f62e977-73f7-462b-92cb-8ea658d3bcb5",'
            b'"event_timestamp":"2023-03-07T09:26:02.588855Z","user_id":123}}'
        )

    @pytest.mark.parametrize(
        "value,expected",
        [
            (Parcel(weight=3), {"weight": 3}),
            (Shelf(parcels=[Parcel(weight=1)]), {"parcels": [{"weight": 1}]}),
            (OrderPlaced(lines=()), {"lines": []}),
            (Decimal("1.10"), "1.10"),
            (Colour.RED, "red"),
            ({7}, [7]),
            ({ID: 1}, {str(ID): 1}),
            ("naïve ☃", "naïve ☃"),
        ],
        ids=repr,
    )
    def test_known_types(self, value, expected):
        """Dataclasses, attrs classes, Structs and plain values have a form."""
        assert encode_lines(value) == expected

    def test_pydantic_model(self):
        """A pydantic model has the form that pydantic gives it."""
        assert encode_lines([Address(street="Elm")]) == [
            {"street": "Elm", "door_code": "**********", "anything": None}
        ]

    def test_message_is_frozen(self):
        """A message stays as it was made."""
        message = make_message(OrderPlaced(lines=[]))

        with pytest.raises(AttributeError):
            message.message_name = "OrderCancelled"

    @pytest.mark.parametrize(
        "address", [{"topic": "orders"}, {"key": "7"}, {"headers": {"a": "b"}}], ids=str
    )
    def test_address(self, address):
        """What says where a message goes is no part of its body."""
        message = make_message(OrderPlaced(lines=[]))
        addressed = msgspec.structs.replace(message, **address)

        assert encode(addressed) == encode(message)

    @pytest.mark.parametrize("headers", [{}, {"a": "b"}], ids=str)
    def test_another_format(self, headers):
        """A message that has its body already is left as it is."""
        message = make_message(OrderPlaced(lines=[]))
        formatted = msgspec.structs.replace(message, headers=headers, body=b"<it>")

        assert encode(formatted) == b"<it>"

    def test_payload_alone(self):
        """The payload alone is what stands in the body."""
        message = make_message(OrderPlaced(lines=[1]))

        assert encode_payload(message) == b'{"lines":[1]}'
        assert b'"payload":{"lines":[1]}' in encode(message)


class TestRefusal:
    @pytest.mark.parametrize(
        "lines,told",
        [
            ([0, 1, Parcel(weight=1j)], f"[2].weight: complex {NO_FORM}"),
            (
                Shelf(parcels={"top": (Parcel(weight=Unencodable()),)}),
                f".parcels['top'][0].weight: Unencodable {NO_FORM}",
            ),
            (
                {"x": {("a", "b"): 1}},
                "['x']: a key has no form in JSON; use str or numbers",
            ),
            (Parcel, f": type {NO_FORM}"),
            (deque([1]), f": deque {NO_FORM}"),
            (["a\ud800"], "[0]: 'utf-8' codec can't encode character '\\ud800' in "),
        ],
        ids=["attrs", "struct", "key", "class", "deque", "surrogate"],
    )
    def test_names_the_field(self, lines, told):
        """What has no form is named by its path from the event, with the reason."""
        assert explain(lines).startswith(f"OrderPlaced.lines{told}")

    def test_pydantic_model(self):
        """What pydantic has no form for is told in its words."""
        told = explain([Address(street="Elm", anything=Unencodable())])

        assert told.startswith("OrderPlaced.lines[0]: ")
        assert "Unencodable" in told

    def test_long_key(self):
        """A long key of a dict is shortened."""
        assert len(explain({"k" * 10_000: 1j})) < 150

    def test_cycle(self):
        """What contains itself is found out."""
        lines = [0]
        lines.append({"again": lines})

        assert explain(lines) == "OrderPlaced.lines[1]['again']: list contains itself"

    def test_depth(self):
        """What is nested too deeply is told without a path that nobody can read."""
        told = explain(nest(100_000))

        assert told.endswith("list is nested too deeply")
        assert len(told) < 200

    def test_envelope(self):
        """What is wrong outside of the event is told too."""
        message = Message(
            message_type="notification_event",
            message_name="OrderPlaced",
            message_id=1j,
            payload=OrderPlaced(lines=[]),
        )

        with pytest.raises(EncodingError, match=r"^OrderPlaced: complex has no form"):
            encode(message)

    def test_payload_alone(self):
        """It is told of the payload alone in the same words."""
        with pytest.raises(EncodingError, match=r"OrderPlaced\.lines: Unencodable has"):
            encode_payload(make_message(OrderPlaced(lines=Unencodable())))

    def test_size_of_another_format(self):
        """No format makes more of a body than consumers take."""
        formatted = msgspec.structs.replace(
            make_message(None), headers={"a": "b"}, body=b"x" * (MAX_BODY_BYTES + 1)
        )

        with pytest.raises(EncodingError, match="more than the 1,048,576"):
            encode(formatted)

    def test_keeps_the_cause(self):
        """The original error is there for who wants to know more."""
        with pytest.raises(EncodingError) as caught:
            encode(make_message(OrderPlaced(lines=1j)))

        assert isinstance(caught.value.__cause__, TypeError)

    def test_size(self):
        """A body of the largest size has a form, one that is larger has none."""
        overhead = len(encode(make_message(OrderPlaced(lines=""))))
        lines = "x" * (MAX_BODY_BYTES - overhead)

        assert len(encode(make_message(OrderPlaced(lines=lines)))) == MAX_BODY_BYTES
        assert explain(lines + "x") == (
            "OrderPlaced takes 1,048,577 bytes as JSON, more than the 1,048,576 that "
            "a message may have; send a reference instead"
        )

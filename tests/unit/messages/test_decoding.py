"""What is made of the messages that are received."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from diator import Command, NotificationEvent
from diator.events.event import CommandPosted
from diator.events.message_brokers.encoding import MAX_BODY_BYTES, encode
from diator.events.message_brokers.subscription import Delivery
from diator.exceptions import ConfigurationError, DecodingError, UnknownMessageError
from diator.messages.decoding import MessageDecoder
from diator.messages.registry import MessageRegistry
from tests.unit.messages.fake_messages import (
    OPEN_ROOM,
    STOCK_CHANGED,
    USER_JOINED,
    AttrsCommand,
    CountRooms,
    MixedCommand,
    OpenRoom,
    PydanticCommand,
    Seat,
    StructCommand,
    UserJoined,
    make_registry,
)

SINCE = datetime(2026, 3, 7, tzinfo=UTC)

MESSAGES = [
    USER_JOINED,
    STOCK_CHANGED,
    OPEN_ROOM,
    CountRooms(at_least=3),
    StructCommand("attic"),
    AttrsCommand("attic"),
    PydanticCommand(seats=[Seat(number=1, holder=uuid4())], since=SINCE),
    MixedCommand(Seat(number=2)),
]

DECODER = MessageDecoder(make_registry())


def decode(body: bytes, registry: MessageRegistry | None = None) -> Any:
    decoder = DECODER if registry is None else MessageDecoder(registry)
    return decoder.decode(Delivery(topic="it", body=body)).message


def body_of(payload: Any, **changes: Any) -> bytes:
    fields = {
        "message_type": "notification_event",
        "message_name": "user.joined.v1",
        "message_id": "1",
        "payload": payload,
    }
    return json.dumps({**fields, **changes}).encode()


GOOD = {"meeting_id": 1, "user_id": 7}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["", "user.joined.v1", "command", "2026-03-07T09:26:02Z"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                (
                    *("message_type", "message_name", "message_id", "payload"),
                    *("specversion", "type", "id", "source", "data"),
                    *("event_id", "user_id", "meeting_id"),
                )
            )
            | st.text(),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


class TestRoundTrip:
    @pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
    def test_everything_that_can_be_sent(self, message: Any):
        """What was sent is what comes in, of the same type, with its id."""
        event = CommandPosted(command=message)
        if isinstance(message, NotificationEvent) or message is STOCK_CHANGED:
            event = message
        sent = make_registry().message(event, {})

        incoming = DECODER.decode(
            Delivery(topic="it", body=encode(sent), headers={"a": "b"})
        )

        assert incoming.message == message
        assert type(incoming.message) is type(message)
        assert incoming.message_id == str(sent.message_id)
        assert incoming.headers == {"a": "b"}

    def test_more_fields(self):
        """Fields that a type does not know are left out, so that it can be older."""
        read = decode(body_of({**GOOD, "since": "then"}, more=1))

        assert (read.meeting_id, read.user_id) == (1, 7)


class TestRefused:
    @pytest.mark.parametrize(
        "body, reason",
        [
            (b"", "Expecting value"),
            (b"\xff\xfe{}", "not UTF-8"),
            (b"[" * 100_000, "nested too deeply"),
            (b'{"payload":' * 50_000, "nested too deeply"),
            (b" " * (MAX_BODY_BYTES + 1), "1,048,577 bytes, more than the 1,048,576"),
            (b"9" * 5_000, "limit"),
            (b"null", "Expected `object`, got `null`"),
            (b"{}", "missing required field `message_type`"),
            (body_of(GOOD, message_id=""), r"at `\$.message_id`"),
            (body_of(GOOD, message_id="1" * 201), r"at `\$.message_id`"),
            (body_of(GOOD, message_id=1), r"at `\$.message_id`"),
            (body_of(GOOD).replace(b"7", b"NaN"), "malformed"),
            (body_of(GOOD)[:-1], "delimiter"),
            (body_of(GOOD).replace(b'"user_id"', b'"meeting_id"'), "a key twice"),
            (body_of(GOOD).replace(b"{", b'{"payload":1,', 1), "a key twice"),
            (body_of(GOOD, message_type="command"), "is a notification_event, but"),
            (body_of({}), "missing required field `meeting_id`"),
            (body_of({**GOOD, "user_id": "7"}), r"got `str` - at `\$.user_id`"),
            (body_of({**GOOD, "user_id": 7.5}), r"got `float` - at `\$.user_id`"),
            (body_of({**GOOD, "event_id": "7"}), r"at `\$.event_id`"),
            (body_of([]), "user.joined.v1 cannot be decoded: Expected `object`"),
        ],
    )
    def test_reason(self, body: bytes, reason: str):
        """What cannot be a message is refused, and the reason says where and why."""
        with pytest.raises(DecodingError, match=reason) as caught:
            decode(body)

        # Nothing that is told holds on to the body.
        assert caught.value.__cause__ is None or len(body) < 1_000

    @pytest.mark.parametrize("name", ["UserJoined", "user.joined.v2", "x" * 10_000])
    def test_unknown(self, name: str):
        """A name that is not in the registry is not looked for elsewhere."""
        with pytest.raises(
            UnknownMessageError, match=r"no type .* is called"
        ) as caught:
            decode(body_of(GOOD, message_name=name))

        assert len(str(caught.value)) < 400

    def test_pydantic(self):
        """What pydantic finds is told without the values."""
        payload = {"seats": [{"number": "secret"}], "since": "2026-03-07T00:00:00Z"}
        body = body_of(payload, message_type="command", message_name="PydanticCommand")

        with pytest.raises(
            DecodingError, match=r"valid integer - at `seats\.0"
        ) as told:
            decode(body)

        assert "secret" not in str(told.value)

    def test_own_validation(self):
        """What a type's own code raises is a reason like all others."""
        registry = MessageRegistry()
        registry.add(Picky)
        registry.add(PickyModel)

        with pytest.raises(DecodingError, match="not on Sundays"):
            decode(body_of({}, message_type="command", message_name="Picky"), registry)
        with pytest.raises(DecodingError, match="nor on Mondays"):
            decode(
                body_of({}, message_type="command", message_name="PickyModel"), registry
            )

    def test_field_without_a_form(self):
        """A field of a class that JSON knows nothing of is named."""
        registry = MessageRegistry()
        registry.add(Odd)

        with pytest.raises(DecodingError, match="Custom has no form in JSON"):
            decode(
                body_of({"it": {}}, message_type="command", message_name="Odd"),
                registry,
            )

    def test_type_that_cannot_be_received(self):
        """A type that cannot be read from JSON at all is refused at the start."""
        registry = MessageRegistry()
        registry.add(Ambiguous)

        with pytest.raises(ConfigurationError, match="Ambiguous cannot be received"):
            MessageDecoder(registry)

    @given(st.binary() | json_values.map(json.dumps).map(str.encode))
    @example(sys.version.encode())
    def test_anything(self, body: bytes):
        """Whatever comes in, only our errors go out."""
        with suppress(DecodingError, UnknownMessageError):
            decode(body)

    @given(json_values)
    def test_any_payload(self, payload: Any):
        """Whatever a payload is, it is exactly what its type says, or refused."""
        try:
            read = decode(body_of(payload))
        except DecodingError:
            return
        assert type(read) is UserJoined
        assert (type(read.user_id), type(read.meeting_id)) == (int, int)


class TestVersions:
    def test_upcast(self):
        """An older version is changed, step by step, and then decoded."""
        registry = make_registry()

        @registry.upcasts("user.joined.v-1", to="user.joined.v0")
        def name_meeting(payload: dict[str, Any]) -> dict[str, Any]:
            return {"meeting": payload["room"], "user": payload["user"]}

        @registry.upcasts("user.joined.v0", to="user.joined.v1")
        def use_ids(payload: dict[str, Any]) -> dict[str, Any]:
            return {"meeting_id": payload["meeting"], "user_id": int(payload["user"])}

        body = body_of({"room": 1, "user": "7"}, message_name="user.joined.v-1")
        read = decode(body, registry)

        assert type(read) is UserJoined
        assert (read.meeting_id, read.user_id) == (1, 7)

    @pytest.mark.parametrize(
        "payload, reason",
        [
            ({}, "KeyError: 'user'"),
            ({"user": "seven"}, "invalid literal"),
            ({"user": "7"}, "missing required field `meeting_id`"),
            ([], "Expected `object`, got `array`"),
        ],
    )
    def test_failure(self, payload: Any, reason: str):
        """What cannot be changed, or is no newer version then, is refused."""
        registry = make_registry()

        @registry.upcasts("user.joined.v0", to="user.joined.v1")
        def use_ids(payload: dict[str, Any]) -> dict[str, Any]:
            return {"user_id": int(payload["user"])}

        with pytest.raises(DecodingError, match=rf"user\.joined\.v0 .*{reason}"):
            decode(body_of(payload, message_name="user.joined.v0"), registry)

    def test_no_type(self):
        """Versions that lead to no type are told at the start."""
        registry = MessageRegistry()
        registry.upcasts("v0", to="v1")(dict)

        with pytest.raises(ConfigurationError, match="which no type is called"):
            MessageDecoder(registry)

    def test_added_later(self):
        """A type that is added after the first message is known from then on."""
        registry = MessageRegistry()
        decoder = MessageDecoder(registry)
        registry.add(OpenRoom)
        body = body_of({"name": "x"}, message_type="command", message_name="OpenRoom")

        assert decoder.decode(Delivery(topic="it", body=body)).message == OpenRoom(
            name="x"
        )


@dataclass
class Picky(Command):
    def __post_init__(self) -> None:
        msg = "not on Sundays"
        raise ValueError(msg)


class PickyModel(Command):
    @classmethod
    def model_validate_json(cls, body: bytes, *, strict: bool) -> Any:
        msg = "nor on Mondays"
        raise ValueError(msg)


class Custom:
    pass


@dataclass
class Odd(Command):
    it: Custom


class First(msgspec.Struct):
    pass


class Second(msgspec.Struct):
    pass


@dataclass
class Ambiguous(Command):
    it: First | Second

"""Messages as CloudEvents."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from diator.events.event import CommandPosted
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.subscription import Capabilities, Delivery
from diator.exceptions import ConfigurationError, DecodingError, EncodingError
from diator.messages.cloud_events import CloudEventsBroker
from diator.messages.decoding import Incoming, MessageDecoder
from diator.messages.envelope import MAX_ID_LENGTH
from tests.unit.messages.fake_messages import (
    EVENT_ID,
    EVENT_TIMESTAMP,
    OPEN_ROOM,
    USER_JOINED,
    OpenRoom,
    make_registry,
)

MODES = ["structured", "binary"]

HEADERS = {
    "correlation_id": "c0ffee",
    "causation_id": "decade",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tenant": "acme",
}


class Keeping:
    """Keeps the messages it is given, and refuses those of a type."""

    def __init__(self, refused: type | None = None) -> None:
        self.refused = refused
        self.messages: list[Message] = []

    async def publish(self, messages: Any, /) -> Any:
        self.messages += messages
        return [
            ConnectionError() if type(message.payload) is self.refused else None
            for message in messages
        ]


class WithoutHeaders(Keeping):
    capabilities = Capabilities()


class WithHeaders(Keeping):
    capabilities = Capabilities(headers=True)


def message_of(event: Any, headers: Any = ()) -> Message:
    return make_registry().message(event, dict(headers))


async def published(message: Message, mode: Any) -> Message:
    broker = Keeping()
    await CloudEventsBroker(broker, source="/meetings", mode=mode).publish([message])
    return broker.messages[0]


def read(body: bytes, headers: Any = ()) -> Incoming:
    delivery = Delivery(topic="it", body=body, headers=dict(headers))
    return MessageDecoder(make_registry()).decode(delivery)


def as_kafka_has_it(message: Message) -> KafkaMessage:
    headers = {name: value.encode() for name, value in message.headers.items()}
    return KafkaMessage(headers=headers, key=None, value=encode(message))


def has_time(message: Message) -> bool:
    """The library would make one up."""
    return "ce_time" in message.headers or b'"time":' in encode(message)


@pytest.mark.parametrize("mode", MODES)
class TestPublish:
    async def test_official_sdk(self, mode: str):
        """The official library reads what is published."""
        message = await published(message_of(USER_JOINED, HEADERS), mode)

        event = from_kafka(as_kafka_has_it(message), JSONFormat(), CloudEvent)

        assert event.get_specversion() == "1.0"
        assert event.get_id() == str(EVENT_ID)
        assert event.get_source() == "/meetings"
        assert event.get_type() == "user.joined.v1"
        assert event.get_subject() == "7"
        assert event.get_time() == EVENT_TIMESTAMP
        assert has_time(message)
        assert event.get_datacontenttype() == "application/json"
        assert event.get_extension("correlationid") == "c0ffee"
        assert event.get_extension("causationid") == "decade"
        assert event.get_extension("traceparent") == HEADERS["traceparent"]
        assert event.get_data() == {
            "event_id": str(EVENT_ID),
            "event_timestamp": "2026-03-07T09:26:02.588855Z",
            "meeting_id": 1,
            "user_id": 7,
        }

    async def test_official_sdk_reads_commands(self, mode: str):
        """What a command does not have is left out."""
        message = await published(message_of(CommandPosted(command=OPEN_ROOM)), mode)

        event = from_kafka(as_kafka_has_it(message), JSONFormat(), CloudEvent)

        assert event.get_type() == "OpenRoom"
        assert event.get_subject() is None
        assert not has_time(message)
        assert event.get_extension("correlationid") is None
        assert event.get_data() == {"name": "attic", "seats": {"window": 2}}

    async def test_round_trip(self, mode: str):
        """What is published is what comes in."""
        sent = await published(message_of(USER_JOINED, HEADERS), mode)

        incoming = read(encode(sent), sent.headers)

        assert incoming.message == USER_JOINED
        assert incoming.message_id == f"/meetings {EVENT_ID}"
        assert HEADERS.items() <= incoming.headers.items()

    async def test_encoded_earlier(self, mode: str):
        """A message out of an outbox, whose payload is JSON, looks the same."""
        message = message_of(USER_JOINED, HEADERS)
        raw = msgspec.Raw(msgspec.json.encode(USER_JOINED))
        relayed = msgspec.structs.replace(message, payload=raw)

        direct, later = await published(message, mode), await published(relayed, mode)

        assert encode(direct) == encode(later)
        assert direct.headers == later.headers

    async def test_place(self, mode: str):
        """Topic, key, name and id are what they were, for the broker to use."""
        message = message_of(USER_JOINED, HEADERS)
        sent = await published(message, mode)

        for name in ("message_type", "message_name", "message_id", "topic", "key"):
            assert getattr(sent, name) == getattr(message, name)

    async def test_time_without_a_zone(self, mode: str):
        """A time that says not where it is meant is no time of a CloudEvent."""
        naive = replace(USER_JOINED, event_timestamp=datetime(2026, 3, 7))  # noqa: DTZ001  # as meant
        message = await published(message_of(naive), mode)

        assert not has_time(message)

    async def test_result_per_message(self, mode: Any):
        """What cannot be encoded keeps the others from nothing."""
        broker = Keeping(refused=OpenRoom)
        events = [
            CommandPosted(command=OpenRoom(name=object())),  # type: ignore[arg-type]  # as meant
            USER_JOINED,
            CommandPosted(command=OPEN_ROOM),
            CommandPosted(command=OpenRoom(name="x" * 2_000_000)),
        ]

        results = await CloudEventsBroker(broker, source="x", mode=mode).publish(
            [message_of(event) for event in events]
        )

        assert [type(result) for result in results] == [
            *(EncodingError, type(None), ConnectionError, EncodingError)
        ]
        assert len(broker.messages) == 2

    async def test_held_back(self, mode: Any):
        """What cannot be encoded is not overtaken by what has the same key."""
        broker = Keeping()
        first, second = (
            msgspec.structs.replace(message_of(event), key="a")
            for event in (
                CommandPosted(command=OpenRoom(name=object())),  # type: ignore[arg-type]  # as meant
                USER_JOINED,
            )
        )

        results = await CloudEventsBroker(broker, source="x", mode=mode).publish(
            [first, second]
        )

        assert [type(result) for result in results] == [EncodingError, ConnectionError]
        assert broker.messages == []

    async def test_nothing(self, mode: Any):
        """Where nothing can be encoded, the broker has nothing to do."""
        broker = Keeping()
        formatting = CloudEventsBroker(broker, source="x", mode=mode)

        assert await formatting.publish([]) == []


class TestSettings:
    @pytest.mark.parametrize("source", ["", "a b", "a\n"])
    def test_source(self, source: str):
        """The source looks like a URI."""
        with pytest.raises(ConfigurationError, match="source must be a URI"):
            CloudEventsBroker(Keeping(), source=source)

    def test_mode(self):
        """There are two modes."""
        with pytest.raises(ConfigurationError, match="mode must be"):
            CloudEventsBroker(Keeping(), source="x", mode="batched")  # type: ignore[arg-type]  # as meant

    def test_headers_needed(self):
        """The binary mode needs a broker with headers."""
        CloudEventsBroker(WithHeaders(), source="x", mode="binary")
        CloudEventsBroker(WithoutHeaders(), source="x")

        with pytest.raises(ConfigurationError, match="WithoutHeaders has no headers"):
            CloudEventsBroker(WithoutHeaders(), source="x", mode="binary")


STRUCTURED = (
    b'{"specversion":"1.0","id":"1","source":"/x","type":"OpenRoom",'
    b'"data":{"name":"attic"}}'
)
BINARY_HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "1",
    "ce_source": "/x",
    "ce_type": "OpenRoom",
}


class TestRead:
    @pytest.mark.parametrize(
        "headers",
        [
            {"content-type": "application/cloudevents+json; charset=UTF-8"},
            {"content-type": "application/json"},
            {},
        ],
    )
    def test_structured(self, headers: dict[str, str]):
        """A structured one is known by its content type, or by its body alone."""
        incoming = read(STRUCTURED, headers)

        assert incoming.message == OpenRoom(name="attic")
        assert incoming.message_id == "/x 1"

    @pytest.mark.parametrize(
        "source,event_id",
        [("/x", "1"), ("/y", "1"), ("/x 1", "1"), ("/x", "1 1"), ("/" * 300, "1")],
    )
    def test_two_sources(self, source: str, event_id: str):
        """Events of two sources with the same id are two, and ids are never long."""
        ids = {
            (each, number): read(
                b'{"name":"attic"}',
                {**BINARY_HEADERS, "ce_source": each, "ce_id": number},
            ).message_id
            for each, number in (("/x", "2"), ("/" * 301, "1"), (source, event_id))
        }

        assert len({*ids.values()}) == 3
        assert all(len(each) <= MAX_ID_LENGTH for each in ids.values())

    @pytest.mark.parametrize(
        "content_type", [None, "application/json; charset=utf-8", "application/x+json"]
    )
    def test_binary(self, content_type: str | None):
        """A binary one is known by its headers."""
        headers = dict(BINARY_HEADERS)
        if content_type is not None:
            headers["content-type"] = content_type

        assert read(b'{"name":"attic"}', headers).message == OpenRoom(name="attic")

    def test_default_body_with_such_a_word(self):
        """A payload that talks about versions makes no CloudEvent of a message."""
        body = (
            b'{"message_type":"command","message_name":"OpenRoom","message_id":"1",'
            b'"payload":{"name":"x","specversion":"1.0"}}'
        )

        assert read(body).message == OpenRoom(name="x")

    @pytest.mark.parametrize(
        "body, headers, reason",
        [
            (STRUCTURED.replace(b"1.0", b"0.3"), {}, "specversion"),
            (STRUCTURED.replace(b'"id":"1",', b""), {}, "field `id`"),
            (STRUCTURED.replace(b'"/x"', b'""'), {}, "source"),
            (STRUCTURED.replace(b'"data"', b'"data_base64"'), {}, "field `data`"),
            (
                STRUCTURED.replace(b'"id"', b'"datacontenttype":"text/xml","id"'),
                {},
                "data of another type than JSON",
            ),
            (b"{}", {**BINARY_HEADERS, "content-type": "text/xml"}, "than JSON"),
            (b"{}", {**BINARY_HEADERS, "ce_id": ""}, "length >= 1"),
            (b"{}", {**BINARY_HEADERS, "ce_time": "noon"}, "RFC3339"),
            (b"{}", {"content-type": "application/cloudevents+json"}, "required field"),
            (b"{}", BINARY_HEADERS, "OpenRoom .* field `name`"),
        ],
    )
    def test_refused(self, body: bytes, headers: dict[str, str], reason: str):
        """What breaks the rules of CloudEvents, or has no JSON, is refused."""
        with pytest.raises(DecodingError, match=reason):
            read(body, headers)

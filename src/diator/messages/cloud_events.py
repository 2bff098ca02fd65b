"""
Publish and read messages as CloudEvents 1.0, a format that many systems know.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from diator.events.message_brokers.encoding import encode_payload
from diator.events.message_brokers.holding_back import HeldBackKeys
from diator.events.message_brokers.protocol import Message, MessageBroker, checked
from diator.exceptions import ConfigurationError, DecodingError, EncodingError
from diator.messages.envelope import MAX_ID_LENGTH, Envelope, Id, Name
from diator.messages.headers import (
    CAUSATION_ID,
    CORRELATION_ID,
    TRACEPARENT,
    TRACESTATE,
)

CONTENT_TYPE = "content-type"
STRUCTURED = "application/cloudevents+json"

# As the binding for Kafka has it. Of the documented prefixes it alone has no character
# that names of headers must not have somewhere, as `-` and `:` for AMQP's clients.
PREFIX = "ce_"

# Those of the extensions "correlation" and "distributed tracing".
EXTENSIONS = {
    CORRELATION_ID: "correlationid",
    CAUSATION_ID: "causationid",
    TRACEPARENT: "traceparent",
    TRACESTATE: "tracestate",
}


class _Attributes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    specversion: Literal["1.0"]
    id: Id
    source: Name
    type: Name
    time: datetime | UnsetType = UNSET
    subject: str | UnsetType = UNSET
    datacontenttype: str | UnsetType = UNSET
    correlationid: str | UnsetType = UNSET
    causationid: str | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    tracestate: str | UnsetType = UNSET


class _CloudEvent(_Attributes, frozen=True, kw_only=True, omit_defaults=True):
    data: msgspec.Raw


class _Timed(msgspec.Struct):
    event_timestamp: Annotated[datetime, msgspec.Meta(tz=True)]


class _Versioned(msgspec.Struct):
    specversion: str


class CloudEventsBroker:
    """
    Publish messages as CloudEvents, through another broker.

    It stands in the place of the broker that it is given wherever something is
    published: in an `EventEmitter`, or in a relay. A consumer knows CloudEvents when it
    sees them, and receives from the broker itself.

    The message's id, name and key become `id`, `type` and `subject`, the
    `event_timestamp` of an event `time`, and the headers `correlation_id`,
    `causation_id`, `traceparent` and `tracestate` the extensions `correlationid`,
    `causationid`, `traceparent` and `tracestate`. Headers also travel as they are.

    Args:
        broker: Takes the messages.
        source: Where they come from, as a URI or a part of one, such as `/meetings`.
            Together with `id` it has to be unique.
        mode: Whether attributes and data are the body (`structured`), or the data
            alone, with the attributes as headers that begin with `ce_`, as Kafka has
            them (`binary`).

    Raises:
        ConfigurationError: The source is not a part of a URI, there is no such mode, or
            the broker has no headers for it.

    """

    def __init__(
        self,
        broker: MessageBroker,
        *,
        source: str,
        mode: Literal["structured", "binary"] = "structured",
    ) -> None:
        if not source or not source.isprintable() or " " in source:
            msg = f"source must be a URI, or a part of one, not {source!r}"
            raise ConfigurationError(msg)
        if mode not in ("structured", "binary"):
            msg = f"mode must be 'structured' or 'binary', not {mode!r}"
            raise ConfigurationError(msg)
        capabilities: Any = getattr(broker, "capabilities", None)
        if mode == "binary" and capabilities is not None and not capabilities.headers:
            msg = f"{type(broker).__name__} has no headers: use mode='structured'"
            raise ConfigurationError(msg)
        self._broker = broker
        self._source = source
        self._is_binary = mode == "binary"

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """
        Publish messages as the broker does.

        Returns:
            What the broker says of each, or an `EncodingError`, or a `ConnectionError`
            for what comes after one of these with the same key.

        """
        outcomes: list[Exception | None] = [None] * len(messages)
        formatted: list[Message] = []
        places: list[int] = []
        held_back = HeldBackKeys()
        for place, message in enumerate(messages):
            try:
                held_back.check(message)
                formatted.append(self._format(message))
            except (ConnectionError, EncodingError) as error:
                held_back.add(message)
                outcomes[place] = error
            else:
                places.append(place)
        if formatted:
            published = await self._broker.publish(formatted)
            for place, outcome in zip(places, published, strict=True):
                outcomes[place] = outcome
        return outcomes

    async def check(self) -> None:
        """
        Find out whether the broker answers, as it does itself.

        Raises:
            ConfigurationError: The broker has no way to be asked.
            Exception: It does not answer.

        """
        await checked(self._broker)

    def _format(self, message: Message) -> Message:
        data = encode_payload(message)
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": str(message.message_id),
            "source": self._source,
            "type": message.message_name,
            "time": _time(data),
            # Attributes must not be empty.
            "subject": message.key or UNSET,
            "datacontenttype": "application/json",
            **{
                name: message.headers[header]
                for header, name in EXTENSIONS.items()
                if message.headers.get(header)
            },
        }
        if self._is_binary:
            headers, body = _headers(_Attributes(**attributes)), data
        else:
            headers = {CONTENT_TYPE: STRUCTURED}
            body = msgspec.json.encode(
                _CloudEvent(**attributes, data=msgspec.Raw(data))
            )
        return msgspec.structs.replace(
            message, headers={**message.headers, **headers}, body=body
        )


def read_cloud_event(body: bytes, headers: Mapping[str, str]) -> Envelope | None:
    """
    Read a CloudEvent, in either mode.

    Args:
        body: The body of a message, which is JSON.
        headers: What came beside it.

    Returns:
        None if the message is none.

    Raises:
        DecodingError: It cannot be handled, because its data are not JSON.
        msgspec.ValidationError: It breaks the rules of CloudEvents.

    """
    if f"{PREFIX}specversion" in headers:
        attributes = {
            name.removeprefix(PREFIX): value
            for name, value in headers.items()
            if name.startswith(PREFIX)
        }
        content_type = headers.get(CONTENT_TYPE, "application/json")
        event = msgspec.convert(
            {**attributes, "datacontenttype": content_type}, _Attributes
        )
        return _envelope(event, msgspec.Raw(body))
    content_type = headers.get(CONTENT_TYPE, "")
    if content_type.startswith(STRUCTURED) or _has_version(body):
        structured = msgspec.json.decode(body, type=_CloudEvent)
        return _envelope(structured, structured.data)
    return None


def _envelope(event: _Attributes, data: msgspec.Raw) -> Envelope:
    if not _is_json(event.datacontenttype or "application/json"):
        msg = f"{event.type} has data of another type than JSON"
        raise DecodingError(msg)
    values = ((header, getattr(event, name)) for header, name in EXTENSIONS.items())
    return Envelope(
        message_id=_message_id(event),
        message_name=event.type,
        payload=data,
        headers={header: value for header, value in values if value},
    )


def _message_id(event: _Attributes) -> str:
    """Make an id that no event of another source has: `id` alone is not unique."""
    joined = f"{event.source} {event.id}"
    # It goes where ids go, such as into headers.
    is_plain = joined.isascii() and joined.isprintable() and " " not in event.source
    if is_plain and len(joined) <= MAX_ID_LENGTH:
        return joined
    return sha256(msgspec.json.encode((event.source, event.id))).hexdigest()


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _has_version(body: bytes) -> bool:
    """Tell a CloudEvent by its body, where nothing came beside it."""
    # Most messages are none, which this tells in a tenth of the time.
    if b'"specversion"' not in body:
        return False
    try:
        msgspec.json.decode(body, type=_Versioned)
    except msgspec.ValidationError:
        return False
    return True


def _headers(attributes: _Attributes) -> dict[str, str]:
    values: dict[str, str] = msgspec.to_builtins(attributes)
    content_type = values.pop("datacontenttype")
    named = {f"{PREFIX}{name}": value for name, value in values.items()}
    return {CONTENT_TYPE: content_type, **named}


def _time(data: bytes) -> datetime | UnsetType:
    # Commands have none, and one without a time zone is no time of a CloudEvent.
    try:
        return msgspec.json.decode(data, type=_Timed).event_timestamp
    except msgspec.ValidationError:
        return UNSET

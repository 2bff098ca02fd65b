"""
What messages look like on the wire, byte by byte.

Other processes, in other versions and languages, rely on it. A file in `tests/golden`
must only change together with the version of the wire.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from diator.events.event import CommandPosted
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.subscription import Delivery
from diator.messages.cloud_events import CloudEventsBroker
from diator.messages.decoding import MessageDecoder
from tests.unit.messages.fake_messages import (
    EVENT_ID,
    OPEN_ROOM,
    STOCK_CHANGED,
    USER_JOINED,
    make_registry,
)

GOLDEN = Path(__file__).parents[2] / "golden"

MESSAGES = {
    "notification_event": USER_JOINED,
    "ecst_event": STOCK_CHANGED,
    "command": CommandPosted(command=OPEN_ROOM, command_id=EVENT_ID),
}

HEADERS = {
    "correlation_id": "c0ffee",
    "causation_id": "decade",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


class Keeping:
    """Keeps the messages it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def publish(self, messages: Any, /) -> Any:
        self.messages += messages
        return [None for _ in messages]


async def published(kind: str, mode: Any) -> Message:
    broker = Keeping()
    message = make_registry().message(MESSAGES[kind], HEADERS)
    formatting = broker
    if mode is not None:
        formatting = CloudEventsBroker(broker, source="/meetings", mode=mode)
    assert await formatting.publish([message]) == [None]
    return broker.messages[0]


@pytest.mark.parametrize("kind", MESSAGES)
class TestGolden:
    async def test_body(self, kind: str):
        """The body of the default format."""
        message = await published(kind, None)

        assert encode(message) == (GOLDEN / f"{kind}.json").read_bytes()
        assert message.headers == HEADERS

    async def test_structured_cloud_event(self, kind: str):
        """The body of a structured CloudEvent, and the header that tells it."""
        message = await published(kind, "structured")
        file = GOLDEN / f"{kind}.cloud_event.json"

        assert encode(message) == file.read_bytes()
        assert message.headers == {
            **HEADERS,
            "content-type": "application/cloudevents+json",
        }

    async def test_binary_cloud_event(self, kind: str):
        """Body and headers of a binary CloudEvent."""
        message = await published(kind, "binary")
        wire = {"headers": message.headers, "body": json.loads(encode(message))}
        file = GOLDEN / f"{kind}.binary_cloud_event.json"

        assert json.dumps(wire, indent=2, ensure_ascii=False) == file.read_text()
        assert (
            encode(message)
            == json.dumps(
                wire["body"], separators=(",", ":"), ensure_ascii=False
            ).encode()
        )

    @pytest.mark.parametrize("mode", [None, "structured", "binary"])
    async def test_read(self, kind: str, mode: Any):
        """What lies in the files can be read for ever."""
        file = GOLDEN / (f"{kind}.json" if mode is None else f"{kind}.cloud_event.json")
        body, headers = file.read_bytes(), {}
        if mode == "binary":
            wire = json.loads((GOLDEN / f"{kind}.binary_cloud_event.json").read_text())
            body, headers = json.dumps(wire["body"]).encode(), wire["headers"]
        delivery = Delivery(topic="it", body=body, headers=headers)

        incoming = MessageDecoder(make_registry()).decode(delivery)

        event = MESSAGES[kind]
        assert incoming.message == getattr(event, "command", event)
        source = "" if mode is None else "/meetings "
        assert incoming.message_id == f"{source}{EVENT_ID}"

"""What a message is on the wire, and publishing within the process."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import pytest

from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from diator import NotificationEvent
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.protocol import Message

pytestmark = pytest.mark.benchmark(timer=time.thread_time)

KEPT = 1_000
TIMES = 100


class Envelope(msgspec.Struct, frozen=True, gc=False):
    message_type: str
    message_name: str
    message_id: UUID
    payload: Any


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user: str


EVENT = UserJoined(meeting_id=1, user="Ada")
ENVELOPE = Envelope("notification_event", "UserJoined", EVENT.event_id, EVENT)
MESSAGE = Message(
    message_type="notification_event",
    message_name="UserJoined",
    message_id=EVENT.event_id,
    payload=EVENT,
)

encode_by_hand = msgspec.json.Encoder().encode


def test_encoding(compare: Compare) -> None:
    async def repeat_by_hand(times: int) -> bytes:
        for _ in range(times):
            body = encode_by_hand(ENVELOPE)
        return body

    async def repeat(times: int) -> bytes:
        for _ in range(times):
            body = encode(MESSAGE)
        return body

    compare(
        Case(
            name="encoding",
            request=TIMES,
            sends=10,
            work=TIMES,
            target=1.1,
            reached=1.25,
        ),
        by_hand=repeat_by_hand,
        diator=repeat,
    )


def test_memory(compare: Compare) -> None:
    published: deque[tuple[Envelope, bytes]] = deque(maxlen=KEPT)
    broker = InMemoryMessageBroker(keep=KEPT)

    async def publish_by_hand(_messages: list[Message]) -> list[None]:
        published.append((ENVELOPE, encode_by_hand(ENVELOPE)))
        return [None]

    compare(
        Case(name="published in memory", request=[MESSAGE]),
        by_hand=publish_by_hand,
        diator=broker.publish,
    )

    assert [body for _, body in published] == broker.bodies

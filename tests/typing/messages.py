# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
What messages between processes are called, and who consumes them.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_type

from diator import Command, EventEmitter, Mediator, NotificationEvent
from diator.backoff import Backoff
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.messages.cloud_events import CloudEventsBroker
from diator.messages.registry import MessageRegistry


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    user_id: int
    nickname: str


@dataclass(frozen=True)
class OpenRoom(Command):
    name: str


class Printer:
    """A message broker of one's own, which cannot be received from."""

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        return [None for _ in messages]


def added(registry: MessageRegistry) -> None:
    registry.add(UserJoined, name="user.joined.v1", key=lambda event: event.nickname)
    registry.add(OpenRoom, topic="rooms", key=lambda command: command.name)
    registry.add(UserJoined, key=lambda event: event.user_id)  # type: ignore[arg-type, return-value]  # no str
    registry.add(UserJoined, key=lambda event: event.room)  # type: ignore[attr-defined]  # no such field
    registry.add(UserJoined(user_id=1, nickname=""))  # type: ignore[arg-type]  # no class
    assert_type(registry.type_of("user.joined.v1"), type | None)


def upcast(registry: MessageRegistry) -> None:
    @registry.upcasts("user.joined.v1", to="user.joined.v2")
    def add_nickname(payload: dict[str, Any]) -> dict[str, Any]:
        return {**payload, "nickname": ""}

    assert_type(add_nickname({}), dict[str, Any])

    @registry.upcasts("user.joined.v0", to="user.joined.v1")  # type: ignore[type-var]  # not of JSON
    def read_text(payload: str) -> str:
        return payload

    registry.upcasts("user.joined.v0")  # type: ignore[call-arg]  # to what?
    assert_type(read_text, Callable[[str], str])  # type: ignore[assert-type]  # as above


def consumed(mediator: Mediator, streams: RedisStreamsBroker) -> None:
    Consumer(mediator, streams, group="mail")
    Consumer(
        mediator,
        InMemoryMessageBroker(),
        group="mail",
        topics=["events", "rooms"],
        partitions=[0, 1],
        backoff=Backoff(first=0.5),
        is_transient=lambda error: isinstance(error, OSError),
        unknown="skip",
    )
    Consumer(mediator, streams)  # type: ignore[call-arg]  # which group?
    Consumer(mediator, Printer(), group="mail")  # type: ignore[arg-type]  # cannot be received from
    Consumer(mediator, streams, group="mail", unknown="explode")  # type: ignore[arg-type]  # no policy


async def run(consumer: Consumer) -> None:
    async with consumer as entered:
        assert_type(entered, Consumer)
        assert_type(await entered.health(), dict[str, Any])


def formatted(streams: RedisStreamsBroker) -> None:
    EventEmitter(message_broker=CloudEventsBroker(streams, source="/meetings"))
    CloudEventsBroker(Printer(), source="/meetings", mode="binary")
    CloudEventsBroker(streams)  # type: ignore[call-arg]  # from where?
    CloudEventsBroker(streams, source="/meetings", mode="batched")  # type: ignore[arg-type]  # no mode

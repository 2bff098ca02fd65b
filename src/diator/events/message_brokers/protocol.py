"""What a message broker is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

import msgspec

from diator.exceptions import ConfigurationError

EVENTS = "events"
"""The topic of events, unless a `MessageRegistry` says otherwise."""

COMMANDS = "commands"
"""The topic of commands, likewise."""


# A message never holds itself, so there is no cycle that the garbage collector would
# have to look for; telling it so saves a quarter of what a message costs.
class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """
    An event or a command on its way out.

    The first four fields are its body and stand in it in this order; the others say
    where it goes and what goes with it.

    Attributes:
        message_type: Its kind: `notification_event`, `ecst_event` or `command`.
        message_name: The name of its type on the wire, that of the class unless a
            `MessageRegistry` has another.
        message_id: Its id, by which those who receive it twice know it.
        payload: The event or command itself, or its JSON as a `msgspec.Raw`.
        topic: What it is published under.
        key: Messages with the same key are kept in order, by brokers that can.
        headers: What travels beside the body, where the broker has a place for it.
        body: The whole body, where it is in another format than that of the first four
            fields.

    """

    message_type: str
    message_name: str
    message_id: UUID
    payload: Any
    topic: str = EVENTS
    key: str | None = None
    headers: dict[str, str] = {}
    body: bytes | None = None


class MessageBroker(Protocol):
    """Takes messages to whoever listens in other processes."""

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """
        Publish messages, and say of each, in the same order, what became of it.

        What keeps the broker from taking a message is returned, not raised, so that
        one message's failure says nothing about the others.

        Args:
            messages: What to publish, in this order.

        Returns:
            None for each message that the broker has taken, else the reason: a
            `ConnectionError` or `TimeoutError` where it is none of the message's; a
            `ConfigurationError` or `EncodingError` where the message can never be
            taken.

        """
        ...


@runtime_checkable
class Checkable(Protocol):
    """A message broker that can be asked whether it is there."""

    async def check(self) -> None:
        """Find out whether the broker answers, and raise anything if not."""


async def checked(broker: MessageBroker) -> None:
    """
    Find out whether a broker answers.

    Raises:
        ConfigurationError: It has no way to be asked.
        Exception: It does not answer.

    """
    if not isinstance(broker, Checkable):
        msg = f"{type(broker).__name__} has no check, which tells whether it answers"
        raise ConfigurationError(msg)
    await broker.check()

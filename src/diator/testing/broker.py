"""A message broker that finds what would not survive the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.subscription import Delivery
from diator.exceptions import ConfigurationError, DecodingError, EncodingError
from diator.messages.decoding import MessageDecoder
from diator.messages.registry import MessageRegistry
from diator.testing.fields import field_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diator.events.message_brokers.protocol import Message
    from diator.testing.timeline import Timeline


class RecordingBroker(InMemoryMessageBroker):
    """
    Publish within the process, and read everything back as another process would.

    A message whose fields are not what they were is refused with an `EncodingError`.

    Args:
        timeline: Where what is published is noted.
        registry: Tells which events a relay publishes of an outbox, which has nothing
            but their JSON; a registry without types if left out.

    """

    def __init__(
        self, timeline: Timeline, registry: MessageRegistry | None = None
    ) -> None:
        super().__init__()
        self._timeline = timeline
        self._registry = MessageRegistry() if registry is None else registry

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """
        Encode messages, read them back, and remember them.

        Args:
            messages: What to publish, in this order.

        Returns:
            None for each message that survived, else the reason.

        """
        outcomes: list[Exception | None] = []
        for message in messages:
            outcome: Exception | None
            published: object = None
            try:
                published = self._survivor(message)
            except EncodingError as error:
                outcome = error
            else:
                [outcome] = await super().publish([message])
            outcomes.append(outcome)
            if outcome is None:
                self._timeline.add("published", published)
            else:
                self._timeline.add("handler", f"the broker refuses: {outcome}")
        return outcomes

    def _survivor(self, message: Message) -> object:
        """Give what is published, if another process would read the same."""
        before: object = message.payload
        if not isinstance(before, msgspec.Raw):
            _check_survival(before, _received(message, type(before)))
            return before
        # A relay's, whose event is no longer there to compare it with.
        message_type = self._registry.type_of(message.message_name)
        if message_type is None:
            return message.message_name
        return _received(message, message_type)


def _received(message: Message, message_type: type[Any]) -> Any:
    """Read a message as a process does that knows its type alone."""
    registry = MessageRegistry()
    registry.add(message_type, name=message.message_name)
    delivery = Delivery(
        topic=message.topic, body=encode(message), headers=message.headers
    )
    try:
        return MessageDecoder(registry).decode(delivery).message
    except (ConfigurationError, DecodingError) as error:
        msg = f"{message_type.__name__} does not survive the wire: {error}"
        raise EncodingError(msg) from error


def _check_survival(before: object, after: Any) -> None:
    # What an open pydantic model has besides its fields.
    open_fields: dict[str, Any] = getattr(before, "__pydantic_extra__", None) or {}
    for name in [*(field_names(type(before)) or ()), *open_fields]:
        # Of a class that is read as another kind than it is, some may be missing.
        sent, received = getattr(before, name), getattr(after, name, None)
        if sent != received:
            msg = (
                f"{type(before).__name__}.{name} does not survive the wire: "
                f"{sent!r} is received as {received!r}; give the field a type that "
                "JSON can be read as"
            )
            raise EncodingError(msg)

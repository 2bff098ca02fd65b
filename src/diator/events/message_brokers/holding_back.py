"""Publish nothing after a message with the same key that was refused."""

from __future__ import annotations

from diator.events.message_brokers.protocol import Message


class HeldBackKeys:
    """The keys of messages that were refused, of those that are published together."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def add(self, message: Message) -> None:
        """Note that a message was refused."""
        if message.key is not None:
            self._keys.add(message.key)

    def check(self, message: Message) -> None:
        """
        Refuse a message that would overtake another one.

        Raises:
            ConnectionError: One with the same key was refused. It is none of this
                one's fault, and so of the kind of an outage.

        """
        if message.key in self._keys:
            msg = (
                f"nothing was sent: {message.message_name} is held back, because one "
                "before it with the same key was refused"
            )
            raise ConnectionError(msg)

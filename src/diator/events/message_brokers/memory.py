"""Publish within the process: for tests, and until there is a broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message
from diator.exceptions import ConfigurationError, EncodingError


class InMemoryMessageBroker:
    """
    Take messages and remember the last of them.

    Every message is encoded, so that an event which could not leave the process
    fails here too.

    Args:
        keep: How many messages are remembered, so that a process that runs for long
            does not grow.

    """

    def __init__(self, *, keep: int = 1_000) -> None:
        if keep < 0:
            msg = f"keep must be at least 0, not {keep}"
            raise ConfigurationError(msg)
        self._taken: deque[tuple[Message, bytes]] = deque(maxlen=keep)

    @property
    def messages(self) -> list[Message]:
        """The messages that were published last, oldest first."""
        return [message for message, _ in self._taken]

    @property
    def bodies(self) -> list[bytes]:
        """What these messages look like on the wire."""
        return [body for _, body in self._taken]

    def clear(self) -> None:
        """Forget what was published."""
        self._taken.clear()

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """
        Encode and remember messages.

        Args:
            messages: What to publish, in this order.

        Returns:
            None for each message that could be encoded, else an `EncodingError`.

        """
        outcomes: list[Exception | None] = []
        # Neither a function of its own nor a comprehension does this: each would be a
        # frame more, and for one message cost a fifth of it all.
        try:
            for message in messages:
                try:
                    body = encode(message)
                except EncodingError as error:
                    outcomes.append(error)
                else:
                    self._taken.append((message, body))
                    outcomes.append(None)
            return outcomes
        finally:
            # An error leads to this frame, which must not lead to the error.
            del outcomes

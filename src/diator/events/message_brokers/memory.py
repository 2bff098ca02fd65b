"""Publish within the process: for tests, and until there is a broker."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.holding_back import HeldBackKeys
from diator.events.message_brokers.memory_groups import MemoryGroups
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.subscription import Capabilities, Subscription
from diator.exceptions import ConfigurationError, EncodingError
from diator.messages.dead_letters import DeadLetters


class InMemoryMessageBroker:
    """
    Take messages, remember the last of them, and share them among consumer groups.

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
        self._groups: MemoryGroups | None = None

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

    @property
    def capabilities(self) -> Capabilities:
        """What it promises, for as long as the process lives."""
        return Capabilities(
            acknowledges=True,
            keeps=True,
            groups=True,
            headers=True,
            ordered=True,
            counts=True,
            dead_letters=True,
        )

    @asynccontextmanager
    async def subscribe(
        self, topics: Sequence[str], /, *, group: str
    ) -> AsyncGenerator[Subscription]:
        """
        Become a member of a consumer group for as long as the context lasts.

        A group begins with the messages that are remembered, and from then on has what
        is published until it is acknowledged, with or without a member. Messages with
        the same key are delivered in their order. Leaving it gives back what was
        neither acknowledged nor put aside.

        Args:
            topics: What is received.
            group: Each message goes to one member of each group.

        """
        member = self._made_groups().join(topics, group, self._taken)
        try:
            yield member
        finally:
            member.leave()

    def dead_letters(self, topic: str, group: str, /) -> DeadLetters:
        """Give access to what a group could not handle of a topic."""
        return self._made_groups().dead_letters(topic, group, self._taken)

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """
        Encode and remember messages.

        Args:
            messages: What to publish, in this order.

        Returns:
            None for each message that could be encoded, else an `EncodingError`, or a
            `ConnectionError` where one with the same key was refused before it.

        """
        outcomes: list[Exception | None] = []
        held_back: HeldBackKeys | None = None
        # Neither a function of its own nor a comprehension does this: each would be a
        # frame more, and for one message cost up to a sixth of it all.
        try:
            for message in messages:
                try:
                    if held_back is not None:
                        held_back.check(message)
                    body = encode(message)
                except (ConnectionError, EncodingError) as error:
                    if held_back is None:
                        held_back = HeldBackKeys()
                    held_back.add(message)
                    outcomes.append(error)
                else:
                    self._taken.append((message, body))
                    if self._groups is not None:
                        self._groups.take(message, body)
                    outcomes.append(None)
            return outcomes
        finally:
            # An error leads to this frame, which must not lead to the error.
            del outcomes

    def _made_groups(self) -> MemoryGroups:
        # Whoever only publishes need not pay for them.
        if self._groups is None:
            self._groups = MemoryGroups()
        return self._groups

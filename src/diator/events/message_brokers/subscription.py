"""What a message broker is that messages can be received from, too."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import msgspec

from diator.events.message_brokers.protocol import MessageBroker
from diator.messages.dead_letters import DeadLetters


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """
    A message as it was received; nothing of it has been trusted or decoded yet.

    Attributes:
        topic: What it was published under.
        body: What `encode` made of it, or anything else.
        message_id: Its id, empty where nothing but the body tells it.
        message_type: Its kind, likewise.
        message_name: The name of its type, likewise.
        key: Its key, None if it has none or the broker did not carry it.
        headers: What came beside the body.
        attempt: Which attempt to handle it this is for, counted from 1; 1 where the
            broker does not count. A first delivery counts as an attempt, a later one
            only where `extend` said that it was begun.
        receipt: What the broker knows the delivery by.

    """

    topic: str
    body: bytes
    message_id: str = ""
    message_type: str = ""
    message_name: str = ""
    key: str | None = None
    headers: dict[str, str] = {}
    attempt: int = 1
    receipt: Any = None


class Subscription(Protocol):
    """
    The messages of some topics for one member of a consumer group.

    All of its methods raise a `ConnectionError` where the broker cannot be reached for
    the time being, and to call them again is of use, and does no harm.
    """

    async def receive(self, limit: int, /) -> Sequence[Delivery]:
        """
        Wait for messages, and give some of them.

        To cancel the waiting loses none. One task at a time may wait.

        Args:
            limit: How many at most.

        Returns:
            At least one; those with the same key in their order, where the broker
            keeps any.

        """
        ...

    async def ack(self, deliveries: Sequence[Delivery], /) -> None:
        """Say that messages were handled, and need not be delivered again."""

    async def nack(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Give messages back, to be delivered again, to this member or another.

        The attempts that they were delivered for do not count, whether they were begun
        or not. Where there is an order, those with the same key that were delivered
        later have to be given back too, or else they overtake.
        """

    async def extend(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Say that messages are still being handled, so that no other member is.

        It is their `attempt`s that are: a broker that counts has that many from now on.
        Therefore it has to be called before an attempt after the first one begins, and
        whoever lets messages wait calls it for these with an `attempt` less by one.
        """

    def begin(self, delivery: Delivery, /) -> bool:
        """
        Tell whether a message is still this member's, right before each attempt.

        If not, it must not be handled, and nothing be said of it to the broker any
        more, which sees to it by itself.
        """
        ...

    async def dead_letter(self, delivery: Delivery, cause: str, /) -> None:
        """
        Put a message aside for people to look at, and have it delivered no more.

        Args:
            delivery: The message.
            cause: Why it cannot be handled.

        """


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """
    What a broker promises.

    Attributes:
        acknowledges: Whether `publish` returns only after the broker has the message.
        keeps: Whether messages wait for those who do not listen yet, or crash.
        groups: Whether the members of a consumer group share its messages.
        headers: Whether topic, key and headers travel along.
        ordered: Whether messages with the same key are delivered in their order, also
            after failures.
        counts: Whether it counts the attempts that came to no end.
        leases: Whether what a member held when it crashed is delivered to another.
        dead_letters: Whether messages can be put aside, looked at and replayed: then
            it is a `KeepsDeadLetters`.

    """

    acknowledges: bool = False
    keeps: bool = False
    groups: bool = False
    headers: bool = False
    ordered: bool = False
    counts: bool = False
    leases: bool = False
    dead_letters: bool = False


class SubscribableBroker(MessageBroker, Protocol):
    """A message broker that messages can be received from, too."""

    @property
    def capabilities(self) -> Capabilities:
        """What it promises."""
        ...

    def subscribe(
        self, topics: Sequence[str], /, *, group: str
    ) -> AbstractAsyncContextManager[Subscription]:
        """
        Become a member of a consumer group for as long as the context lasts.

        Leaving it gives back what was neither acknowledged nor put aside.

        Args:
            topics: What is received.
            group: Each message goes to one member of each group.

        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """
    How far a consumer group is behind.

    Attributes:
        waiting: How many messages no member was given yet; None where the broker cannot
            tell, as Redis cannot after entries were deleted, until all are read.
        pending: How many were delivered, and not acknowledged.

    """

    waiting: int | None
    pending: int


@runtime_checkable
class TellsLag(Protocol):
    """A message broker that can tell how far its consumer groups are behind."""

    async def lag(self, topic: str, group: str) -> Lag:
        """
        Tell how far a group is behind.

        Args:
            topic: The topic.
            group: The group.

        Raises:
            ConnectionError: The broker cannot be reached.

        """
        ...


class KeepsDeadLetters(Protocol):
    """A message broker that messages can be put aside at."""

    def dead_letters(self, topic: str, group: str, /) -> DeadLetters:
        """Give access to what a group could not handle of a topic."""
        ...

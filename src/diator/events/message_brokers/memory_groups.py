"""Consumer groups within the process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import count, islice

from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.subscription import Delivery
from diator.exceptions import DeadLetterNotFoundError
from diator.messages.dead_letters import DeadLetter

Taken = tuple[Message, bytes]
"""A message that was published, and its body."""


class MemoryGroups:
    """The consumer groups of a broker, each with what it has not acknowledged yet."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], _Group] = {}

    def take(self, message: Message, body: bytes) -> None:
        """Give a message to every group of its topic."""
        for group in self._groups.values():
            if group.topic == message.topic:
                group.add(message, body)

    def join(
        self, topics: Iterable[str], group: str, published: Iterable[Taken]
    ) -> MemorySubscription:
        """
        Make a member of a group.

        Args:
            topics: What it receives.
            group: The name of the group.
            published: What a new group begins with.

        """
        published = list(published)
        return MemorySubscription(
            [self._group(topic, group, published) for topic in topics]
        )

    def dead_letters(
        self, topic: str, group: str, published: Iterable[Taken]
    ) -> MemoryDeadLetters:
        """
        Give access to what a group could not handle of a topic.

        Args:
            topic: The topic.
            group: The name of the group.
            published: What a new group begins with.

        """
        return MemoryDeadLetters(self._group(topic, group, published).dead, self.take)

    def _group(self, topic: str, name: str, published: Iterable[Taken]) -> _Group:
        group = self._groups.get((topic, name))
        if group is None:
            group = self._groups[topic, name] = _Group(topic)
            for message, body in published:
                if message.topic == topic:
                    group.add(message, body)
        return group


class MemorySubscription:
    """
    A member of a consumer group, within the process.

    Messages with the same key go to one member at a time, in their order.

    Args:
        groups: The group, for each of the topics.

    """

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._groups = groups
        self._wake = asyncio.Event()
        for group in groups:
            group.members.add(self._wake)

    async def receive(self, limit: int, /) -> Sequence[Delivery]:
        """
        Wait for messages, and give some of them.

        Args:
            limit: How many at most.

        """
        while True:
            self._wake.clear()
            deliveries: list[Delivery] = []
            for group in self._groups:
                deliveries += group.give(self, limit - len(deliveries))
            if deliveries:
                return deliveries
            await self._wake.wait()

    async def ack(self, deliveries: Sequence[Delivery], /) -> None:
        """Say that messages were handled."""
        for delivery in deliveries:
            self._let_go(delivery)

    async def nack(self, deliveries: Sequence[Delivery], /) -> None:
        """
        Give messages back, to be delivered again before those that are newer.

        The attempts that they were delivered for do not count. Those with the same key
        that were delivered later have to be given back too, or else they overtake.
        """
        for delivery in deliveries:
            stored = self._let_go(delivery)
            if stored is not None:
                stored.group.put_back([stored])

    def begin(self, delivery: Delivery, /) -> bool:  # noqa: ARG002  # all are
        """Tell that a message is this member's to handle."""
        return True

    async def extend(self, deliveries: Sequence[Delivery], /) -> None:
        """Do nothing: within a process no member crashes alone, so nothing counts."""

    async def dead_letter(self, delivery: Delivery, cause: str, /) -> None:
        """
        Put a message aside.

        Args:
            delivery: The message.
            cause: Why it cannot be handled.

        """
        stored = self._let_go(delivery)
        if stored is not None:
            letter = DeadLetter(
                letter_id=str(next(stored.group.letters)),
                topic=delivery.topic,
                message_name=delivery.message_name,
                message_id=delivery.message_id,
                key=delivery.key,
                cause=cause,
                attempts=delivery.attempt,
                died_at=datetime.now(UTC),
                headers=delivery.headers,
                body=delivery.body,
            )
            stored.group.dead[letter.letter_id] = (letter, stored.message)

    def leave(self) -> None:
        """Give back what was neither acknowledged nor put aside."""
        for group in self._groups:
            group.members.discard(self._wake)
            left = [stored for stored, holder in group.held.values() if holder is self]
            for stored in left:
                group.release(stored)
            group.put_back(left)

    def _let_go(self, delivery: Delivery) -> _Stored | None:
        stored: _Stored = delivery.receipt
        _, holder = stored.group.held.get(stored.sequence, (None, None))
        if holder is not self:
            # It was given back when this member left.
            return None
        stored.group.release(stored)
        return stored


class MemoryDeadLetters:
    """
    What a consumer group could not handle of a topic, within the process.

    Args:
        dead: What was put aside, by id, oldest first.
        publish: Takes a message that is published again.

    """

    def __init__(
        self, dead: dict[str, _Dead], publish: Callable[[Message, bytes], None]
    ) -> None:
        self._dead = dead
        self._publish = publish

    async def list(
        self, limit: int = 100, *, after: DeadLetter | None = None
    ) -> Sequence[DeadLetter]:
        """Give the oldest ones, or those that come after one, at most `limit`."""
        last = -1 if after is None else int(after.letter_id)
        found = (letter for letter, _ in self._dead.values())
        later = (letter for letter in found if int(letter.letter_id) > last)
        return list(islice(later, limit))

    async def get(self, letter_id: str) -> DeadLetter:
        """
        Give one.

        Raises:
            DeadLetterNotFoundError: There is none with this id.

        """
        if letter_id not in self._dead:
            msg = f"there is no dead letter {letter_id!r}, or there is none any more"
            raise DeadLetterNotFoundError(msg)
        letter, _ = self._dead[letter_id]
        return letter

    async def replay(self, letter_ids: Sequence[str]) -> int:
        """
        Publish some again, to all groups, under their own ids.

        Returns:
            How many there were; the others are gone already.

        """
        found = self._take_out(letter_ids)
        for letter, message in found:
            self._publish(message, letter.body)
        return len(found)

    async def drop(self, letter_ids: Sequence[str]) -> int:
        """
        Delete some for good.

        Returns:
            How many there were; the others are gone already.

        """
        return len(self._take_out(letter_ids))

    def _take_out(self, letter_ids: Sequence[str]) -> Sequence[_Dead]:
        found = [each for each in letter_ids if each in self._dead]
        return [self._dead.pop(each) for each in found]


class _Stored:
    """What a group knows of a message."""

    __slots__ = ("body", "group", "message", "sequence")

    def __init__(
        self, group: _Group, sequence: int, message: Message, body: bytes
    ) -> None:
        self.group = group
        self.sequence = sequence
        self.message = message
        self.body = body

    def deliver(self) -> Delivery:
        message = self.message
        return Delivery(
            topic=message.topic,
            body=self.body,
            message_id=str(message.message_id),
            message_type=message.message_type,
            message_name=message.message_name,
            key=message.key,
            headers=dict(message.headers),
            receipt=self,
        )


_Dead = tuple[DeadLetter, Message]


class _Group:
    """
    A consumer group of one topic.

    Attributes:
        topic: The topic.
        members: What wakes those who may wait.
        held: What was delivered, and to whom, by sequence number.
        dead: What was put aside.
        letters: Numbers what is put aside.

    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.members: set[asyncio.Event] = set()
        self.held: dict[int, tuple[_Stored, MemorySubscription]] = {}
        self.dead: dict[str, _Dead] = {}
        self.letters = count()
        self._numbers = count()
        # Only a linked list gives its first item quickly again and again.
        self._waiting: OrderedDict[int, _Stored] = OrderedDict()
        # Who has messages with a key, and how many.
        self._owners: dict[str, tuple[MemorySubscription, int]] = {}

    def add(self, message: Message, body: bytes) -> None:
        number = next(self._numbers)
        self._waiting[number] = _Stored(self, number, message, body)
        self._wake()

    def give(self, member: MemorySubscription, limit: int) -> list[Delivery]:
        given: list[_Stored] = []
        skipped: set[str] = set()
        for stored in self._waiting.values():
            if len(given) == limit:
                break
            key = stored.message.key
            if key is not None:
                owner, number = self._owners.get(key, (member, 0))
                if owner is not member or key in skipped:
                    skipped.add(key)
                    continue
                self._owners[key] = (member, number + 1)
            given.append(stored)
        for stored in given:
            del self._waiting[stored.sequence]
            self.held[stored.sequence] = (stored, member)
        return [stored.deliver() for stored in given]

    def release(self, stored: _Stored) -> None:
        _, member = self.held.pop(stored.sequence)
        key = stored.message.key
        if key is not None:
            number = self._owners[key][1] - 1
            if number:
                self._owners[key] = (member, number)
            else:
                del self._owners[key]
                self._wake()

    def put_back(self, stored: Iterable[_Stored]) -> None:
        self._waiting.update((each.sequence, each) for each in stored)
        self._waiting = OrderedDict(sorted(self._waiting.items()))
        self._wake()

    def _wake(self) -> None:
        for event in self.members:
            event.set()

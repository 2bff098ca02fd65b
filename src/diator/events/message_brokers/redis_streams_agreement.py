"""Have all programs agree on how many partitions a topic has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from diator.events.message_brokers.redis_streams_dead_letters import Ask, Command
from diator.events.message_brokers.redis_streams_entries import StreamNames
from diator.exceptions import ConfigurationError

NONE = b"none"  # of a topic whose messages have no order


class PartitionAgreement:
    """
    The numbers of partitions, as the first program that comes notes them in Redis.

    One that publishes to more partitions than another reads would have the rest of its
    messages wait for ever, without anybody noticing.

    Args:
        ask: Asks Redis.
        names: The names of streams, and the numbers that this program was told.

    """

    def __init__(self, ask: Ask, names: StreamNames) -> None:
        self._ask = ask
        self._names = names
        self._agreed: set[str] = set()

    async def reach(self, topics: Iterable[str]) -> None:
        """
        Note the numbers of some topics, or compare them with those noted before.

        Raises:
            ConfigurationError: Another program was told another number.
            ConnectionError: Redis cannot be reached.

        """
        new = list(set(topics) - self._agreed)
        if not new:
            return
        noting = [
            (b"SET", self._names.partition_count(topic), self._number(topic), b"NX")
            for topic in new
        ]
        noted = await self._ask([*noting, *self._reading(new)])
        self._compare(new, noted[len(noting) :])
        self._agreed.update(new)

    async def check(self, topics: Iterable[str]) -> None:
        """
        Compare the numbers of some topics with those that were noted, if they were.

        Raises:
            ConfigurationError: Another program was told another number.
            ConnectionError: Redis cannot be reached.

        """
        compared = list(topics)
        self._compare(compared, await self._ask(self._reading(compared)))

    def _reading(self, topics: Iterable[str]) -> list[Command]:
        return [(b"GET", self._names.partition_count(topic)) for topic in topics]

    def _compare(self, topics: Iterable[str], noted: Sequence[Any]) -> None:
        for topic, theirs in zip(topics, noted, strict=True):
            ours = self._number(topic)
            if theirs not in (None, ours):
                key = self._names.partition_count(topic).decode()
                msg = (
                    f"{topic!r} has partitions={theirs.decode()} in other programs and "
                    f"partitions={ours.decode()} in this one: give the broker the same "
                    "number everywhere, or, to change it, stop all of them, let the "
                    f"consumers finish first, and delete {key}"
                )
                raise ConfigurationError(msg)

    def _number(self, topic: str) -> bytes:
        count = self._names.partitions.get(topic)
        return NONE if count is None else b"%d" % count

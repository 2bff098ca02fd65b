"""Have all programs agree on how many partitions a topic has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from diator.events.message_brokers.redis_replies import nothing_written, outcome_of
from diator.events.message_brokers.redis_streams_dead_letters import Command
from diator.events.message_brokers.redis_streams_entries import StreamNames
from diator.events.message_brokers.redis_streams_subscription import raise_refusal
from diator.exceptions import ConfigurationError, TopicUnavailableError

NONE = b"none"  # of a topic whose messages have no order

Exchange = Callable[[Sequence[Command], float | None], Awaitable[Sequence[Any]]]
"""
Sends commands and gives the replies, of which some may be errors.

It may be told until when, in the time of the event loop.
"""


class PartitionAgreement:
    """
    The numbers of partitions, as the first program that comes notes them in Redis.

    One that publishes to more partitions than another reads would have the rest of its
    messages wait for ever, without anybody noticing.

    Args:
        exchange: Asks Redis.
        names: The names of streams, and the numbers that this program was told.

    """

    def __init__(self, exchange: Exchange, names: StreamNames) -> None:
        self._exchange = exchange
        self._names = names
        self._agreed: set[str] = set()

    async def reach(
        self, topics: Iterable[str], deadline: float | None = None
    ) -> dict[str, Exception]:
        """
        Note the numbers of some topics, or compare them with those noted before.

        Args:
            topics: The topics.
            deadline: Until when, in the time of the event loop.

        Returns:
            For the topics to which nothing may be published, why not: a
            `TopicUnavailableError` where it is about that one alone, else a
            `ConnectionError`.

        """
        new = [topic for topic in topics if topic not in self._agreed]
        if not new:
            return {}
        noting = [
            (b"SET", self._names.partition_count(topic), self._number(topic), b"NX")
            for topic in new
        ]
        replies = await self._exchange([*noting, *self._reading(new)], deadline)
        refusals: dict[str, Exception] = {}
        for topic, noted, read in zip(
            new, replies[: len(new)], replies[len(new) :], strict=True
        ):
            problem = _problem(noted) or _problem(read)
            if isinstance(problem, OSError):
                refusals[topic] = problem
                continue
            if problem is None:
                problem = self._other(topic, read)
            if problem is None:
                self._agreed.add(topic)
                continue
            # Somebody will mend it: the messages are right.
            key = self._names.partition_count(topic).decode()
            told = f"nothing was written: {problem}"
            if isinstance(problem, ResponseError):
                told = f"{told}; allow GET and SET of {key}"
            refusals[topic] = TopicUnavailableError(told)
        return refusals

    async def check(self, topics: Sequence[str]) -> None:
        """
        Compare the numbers of some topics with those that were noted, if they were.

        Raises:
            ConfigurationError: Another program was told another number.
            ConnectionError: Redis cannot be reached, or refuses to tell.

        """
        for topic, read in zip(
            topics, await self._exchange(self._reading(topics), None), strict=True
        ):
            raise_refusal(read)
            other = self._other(topic, read)
            if other is not None:
                raise other

    def _reading(self, topics: Iterable[str]) -> list[Command]:
        return [(b"GET", self._names.partition_count(topic)) for topic in topics]

    def _number(self, topic: str) -> bytes:
        count = self._names.partitions.get(topic)
        return NONE if count is None else b"%d" % count

    def _other(self, topic: str, theirs: bytes | None) -> ConfigurationError | None:
        ours = self._number(topic)
        if theirs is None or theirs == ours:
            return None
        key = self._names.partition_count(topic).decode()
        return ConfigurationError(
            f"{topic!r} has partitions={theirs.decode()} in other programs and "
            f"partitions={ours.decode()} in this one: give the broker the same number "
            "everywhere, or, to change it, stop all of them, let the consumers finish "
            f"first, and delete {key}"
        )


def _problem(reply: Any) -> Exception | None:
    # Whatever became of the note, no message was sent.
    return nothing_written(reply) if isinstance(reply, OSError) else outcome_of(reply)

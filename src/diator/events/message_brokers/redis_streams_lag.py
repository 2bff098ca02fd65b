"""Tell how far a consumer group is behind, in Redis Streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diator.events.message_brokers.redis_streams_dead_letters import Ask
from diator.events.message_brokers.redis_streams_trimming import to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """
    How far a consumer group is behind.

    Attributes:
        waiting: How many messages no member was given yet; None where Redis cannot
            tell, as after entries were deleted, until all are read.
        pending: How many were delivered, and not acknowledged.

    """

    waiting: int | None
    pending: int


async def lag_of(ask: Ask, streams: Sequence[bytes], group: str) -> Lag:
    """
    Tell how far a group is behind in some streams.

    A group that is not there yet will be given all that there is.

    Args:
        ask: Asks Redis.
        streams: The streams.
        group: The group.

    Raises:
        ConnectionError: Redis cannot be reached.

    """
    lengths = await ask([(b"XLEN", stream) for stream in streams])
    waiting: int | None = 0
    pending = 0
    for stream, length in zip(streams, lengths, strict=True):
        lag: int | None = length
        if length:
            [groups] = await ask([(b"XINFO", b"GROUPS", stream)])
            for described in map(to_dict, groups):
                if described[b"name"] == group.encode():
                    lag = described[b"lag"]
                    pending += described[b"pending"]
        waiting = None if waiting is None or lag is None else waiting + lag
    return Lag(waiting=waiting, pending=pending)

"""Tell how far a consumer group is behind, in Redis Streams."""

from __future__ import annotations

from collections.abc import Sequence

from diator.events.message_brokers.redis_streams_dead_letters import Ask
from diator.events.message_brokers.redis_streams_trimming import to_dict
from diator.events.message_brokers.subscription import Lag


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
    existence = await ask([(b"EXISTS", stream) for stream in streams])
    # Of a stream that is not there Redis does not tell the groups.
    existing = [
        stream for stream, exists in zip(streams, existence, strict=True) if exists
    ]
    told = await ask(
        [
            *((b"XLEN", stream) for stream in existing),
            *((b"XINFO", b"GROUPS", stream) for stream in existing),
        ]
    )
    waiting: int | None = 0
    pending = 0
    lengths, groups_of_each = told[: len(existing)], told[len(existing) :]
    for length, groups in zip(lengths, groups_of_each, strict=True):
        lag: int | None = length
        for described in map(to_dict, groups):
            if described[b"name"] == group.encode():
                lag = described[b"lag"]
                pending += described[b"pending"]
        waiting = None if waiting is None or lag is None else waiting + lag
    return Lag(waiting=waiting, pending=pending)

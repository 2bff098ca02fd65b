"""Remove from Redis Streams what every consumer group has dealt with."""

from __future__ import annotations

from typing import Any

from diator.events.message_brokers.redis_streams_dead_letters import Ask
from diator.events.message_brokers.redis_streams_entries import position

TRIM_BATCH = 10_000
"""How many entries Redis removes at most before it serves others."""


async def trim_stream(ask: Ask, stream: bytes) -> int:
    """
    Remove the entries that all groups have acknowledged, and tell their number.

    Those after the oldest entry that some group has pending, or has not been given
    yet, stay, and so does everything where there is no group. A group that is not used
    any more therefore has to be deleted.

    Args:
        ask: Asks Redis.
        stream: The stream.

    Raises:
        ConnectionError: Redis cannot be reached.

    """
    floor = await _oldest_needed(ask, stream)
    if floor is None:
        return 0
    removed = 0
    limit = str(TRIM_BATCH).encode()
    while True:
        [number] = await ask(
            [(b"XTRIM", stream, b"MINID", b"~", floor, b"LIMIT", limit)]
        )
        if not number:
            break
        removed += number
    # Only whole nodes of the stream were removed; the rest is less than one.
    [number] = await ask([(b"XTRIM", stream, b"MINID", floor)])
    rest: int = number
    return removed + rest


async def _oldest_needed(ask: Ask, stream: bytes) -> bytes | None:
    [exists] = await ask([(b"EXISTS", stream)])
    if not exists:
        return None
    [groups] = await ask([(b"XINFO", b"GROUPS", stream)])
    if not groups:
        return None
    described = [to_dict(group) for group in groups]
    summaries = await ask(
        [(b"XPENDING", stream, group[b"name"]) for group in described]
    )
    # The last entry that a group was given is as good as the one after it.
    needed: list[bytes] = [group[b"last-delivered-id"] for group in described]
    needed += [summary[1] for summary in summaries if summary[0]]
    return min(needed, key=position)


def to_dict(reply: Any) -> dict[bytes, Any]:
    """Make a dict of a description that RESP3 makes a map of, and RESP2 a list."""
    flat: Any = reply
    if isinstance(reply, dict):
        # As RESP3 has it.
        return flat  # type: ignore[no-any-return]
    return dict(zip(flat[::2], flat[1::2], strict=True))

"""Append messages to Redis Streams, none after a refused one with the same key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from diator.events.message_brokers.redis_exchange import pack
from diator.events.message_brokers.redis_replies import outcome_of

# Appends each entry, unless one before it with the same key was refused. A transaction
# would not do: what Redis refuses in one keeps nothing after it from being done. A
# script takes no more than 8,000 values out of a table at once.
APPEND_IN_ORDER = b"""
local replies, refused, at, number = {}, {}, 1, 1
while at <= #ARGV do
  local key, count = ARGV[at], tonumber(ARGV[at + 1])
  if refused[key] then
    replies[number] = false
  elseif count > 7000 then
    refused[key] = true
    replies[number] = redis.error_reply('ERR it has too many headers')
  else
    local last = at + 1 + count
    local reply = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, at + 2, last))
    if type(reply) == 'table' and reply.err then refused[key] = true end
    replies[number] = reply
  end
  at, number = at + 2 + count, number + 1
end
return replies
"""


class Appending(NamedTuple):
    """
    A message that is to be appended.

    Attributes:
        topic: Its topic.
        stream: The stream.
        key: What has to stay in order, None where nothing has to.
        fields: Names and values.

    """

    topic: str
    stream: bytes
    key: bytes | None
    fields: Sequence[bytes]


class AppendingBatch:
    """
    The commands that append some messages in one round trip, and what becomes of each.

    What shares its key with another one goes with it, in a script; all others are
    commands of their own, which cost less.

    Args:
        appendings: The messages, in their order.

    """

    def __init__(self, appendings: Sequence[Appending]) -> None:
        self._size = len(appendings)
        self._in_order: dict[bytes, list[int]] = {}
        self._alone: Iterable[int] = range(self._size)
        counts = Counter(each[1:3] for each in appendings if each.key is not None)
        if len(counts) < counts.total():
            alone: list[int] = []
            for place, each in enumerate(appendings):
                if counts[each[1:3]] > 1:
                    self._in_order.setdefault(each.stream, []).append(place)
                else:
                    alone.append(place)
            self._alone = alone
        self.commands = [
            pack(b"XADD", each.stream, b"*", *each.fields)
            for each in (appendings[place] for place in self._alone)
        ]
        for stream, places in self._in_order.items():
            parts = (part for place in places for part in _counted(appendings[place]))
            self.commands.append(pack(b"EVAL", APPEND_IN_ORDER, b"1", stream, *parts))

    def outcomes(self, replies: Iterable[Any]) -> list[Exception | None]:
        """Give what is said of each message, from the replies to the commands."""
        outcomes: list[Exception | None] = [None] * self._size
        reply_of = iter(replies)
        for place in self._alone:
            outcomes[place] = outcome_of(next(reply_of))
        for places in self._in_order.values():
            reply: Any = next(reply_of)
            replies_of_each: list[Any] = (
                [reply] * len(places) if isinstance(reply, Exception) else reply
            )
            for place, one in zip(places, replies_of_each, strict=True):
                outcomes[place] = _held_back() if one is None else outcome_of(one)
        return outcomes


def _counted(appending: Appending) -> Iterator[bytes]:
    yield appending.key or b""
    yield b"%d" % len(appending.fields)
    yield from appending.fields


def _held_back() -> ConnectionError:
    # It is none of this one's fault, and so of the kind of an outage.
    msg = "nothing was written: one before it with the same key was refused"
    return ConnectionError(msg)

"""Who owns partitions of Redis Streams, so that two members never do at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from diator.events.message_brokers.redis_streams_dead_letters import Ask, Command
from diator.logger import get_logger

OWNED_SECONDS = 6.0
"""
For how long partitions remain a member's that does not renew that.

So long they wait after a crash, and so long an owner may be paused, or its event loop
be busy, without losing them.
"""

RENEWALS = 3
"""How often ownership could be renewed in that time: one answer may be lost."""

# All partitions or none, so that two who want the same ones never wait for each other.
# What is full must still be read, or it would never get empty.
OWN = b"""#!lua flags=allow-oom
for number, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if owner and owner ~= ARGV[1] then return number end
end
for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1], 'PX', ARGV[2]) end
return 0
"""

DISOWN = b"""#!lua flags=allow-oom
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
"""


class Ownership:
    """
    The partitions that are one member's, as keys in Redis that expire.

    Args:
        ask: Asks Redis.
        streams: The partitions.
        group: The consumer group.

    Attributes:
        number: How often they were won, 0 before the first time.
        since: When, in this number, they were won that have been this member's without
            a gap. What was read before may be another one's by now.

    """

    def __init__(
        self,
        ask: Ask,
        streams: Sequence[bytes],
        group: bytes,
    ) -> None:
        self._ask = ask
        self._keys = [b"%b:owner:%b" % (stream, group) for stream in streams]
        self._streams = streams
        self._group = group
        self._me = uuid4().hex.encode()
        self._until = 0.0
        self._is_lost = True
        self._renewing: asyncio.Task[None] | None = None
        self._has_asked = False
        # Whether they may have been another member's since they were won last.
        self._has_gap = True
        self.number = 0
        self.since = 0

    def holds(self) -> bool:
        """Tell whether they are certainly this member's at this moment."""
        if not self._is_lost and asyncio.get_running_loop().time() >= self._until:
            # It may be another one's now, and is not to come back by a late answer.
            self._is_lost = self._has_gap = True
        return not self._is_lost

    def lose(self) -> None:
        """Have them won anew, so that what was read, and not begun, counts no more."""
        self._is_lost = True

    async def win(self, ask: Ask) -> None:
        """
        Wait until they are this member's.

        Args:
            ask: Asks Redis where it will be asked for messages next.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        is_told = False
        self._has_gap |= asyncio.get_running_loop().time() >= self._until
        # Redis may do what it was asked for though nobody waits for the answer.
        self._has_asked = True
        while (taken := await self._claim(ask)) is not None:
            self._has_gap = True
            if not is_told:
                get_logger().warning(
                    "partition is another member's: waiting for it",
                    stream=taken.decode(),
                    group=self._group.decode(),
                )
                is_told = True
            await asyncio.sleep(OWNED_SECONDS / RENEWALS)
        self._is_lost = False
        self.number += 1
        if self._has_gap:
            self._has_gap = False
            self.since = self.number
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew())

    async def aclose(self) -> None:
        """
        Let others have them at once.

        Raises:
            ConnectionError: Redis cannot be reached for the time being.

        """
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        if self._has_asked:
            await self._ask([self._command(DISOWN)])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(OWNED_SECONDS / RENEWALS)
            if self.holds():
                try:
                    # The next renewal is not to wait for an answer that was lost.
                    async with asyncio.timeout(OWNED_SECONDS / RENEWALS):
                        taken = await self._claim(self._ask)
                except (ConnectionError, TimeoutError):
                    continue
                if taken is not None:
                    self._is_lost = self._has_gap = True
                    get_logger().error(
                        "partition was taken by another member",
                        stream=taken.decode(),
                        group=self._group.decode(),
                    )

    async def _claim(self, ask: Ask) -> bytes | None:
        """Claim all of them, and give the first that is another member's, if any."""
        asked_at = asyncio.get_running_loop().time()
        milliseconds = b"%d" % int(OWNED_SECONDS * 1_000)
        replies = await ask([self._command(OWN, milliseconds)])
        number: int = replies[0]
        if number:
            return self._streams[number - 1]
        # It must have been so without a gap; `win` alone begins anew.
        self.holds()
        # As counted from before it was asked, not to end later here than there.
        self._until = asked_at + OWNED_SECONDS
        return None

    def _command(self, script: bytes, *arguments: bytes) -> Command:
        count = b"%d" % len(self._keys)
        return (b"EVAL", script, count, *self._keys, self._me, *arguments)

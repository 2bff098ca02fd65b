"""Tell the broker what became of messages."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from diator.consumer.held import Held
    from diator.consumer.outages import Outages
    from diator.events.message_brokers.subscription import Subscription

GATHERING_SECONDS = 0.002
"""
For how long what was handled waits for more of it, to be acknowledged together.

Longer than a broker takes to answer, and shorter than anybody notices. A message that
is the only one does not wait.
"""


class Settling:
    """
    Acknowledges what was handled, in batches, and puts aside what cannot be.

    Args:
        subscription: Is told.
        outages: Tells it again until it is heard.
        let_go: Is called with what the broker was told of.

    """

    def __init__(
        self,
        subscription: Subscription,
        outages: Outages,
        let_go: Callable[[Sequence[Held]], None],
    ) -> None:
        self._subscription = subscription
        self._outages = outages
        self._let_go = let_go
        self._handled: list[Held] = []
        self._has_more = asyncio.Event()
        self._is_over = False

    def add(self, held: Held) -> None:
        """Have a message acknowledged that was handled."""
        held.is_decided = True
        self._handled.append(held)
        self._has_more.set()

    async def acknowledge(self, is_full: Callable[[int], bool]) -> None:
        """
        Acknowledge what was handled: each time all that was since the last time.

        Args:
            is_full: Tells of a number of messages whether to wait for no more.

        """
        while self._handled or not self._is_over:
            if not self._handled:
                self._has_more.clear()
                await self._has_more.wait()
                continue
            if not is_full(len(self._handled)):
                await asyncio.sleep(GATHERING_SECONDS)
            handled, self._handled = self._handled, []
            deliveries = [held.delivery for held in handled]
            ack = partial(self._subscription.ack, deliveries)
            if await self._outages.insist("acknowledging", ack):
                self._let_go(handled)

    def finish(self) -> None:
        """Have `acknowledge` end when nothing is left."""
        self._is_over = True
        self._has_more.set()

    async def put_aside(self, held: Held, cause: str) -> bool:
        """
        Make a dead letter of a message.

        Args:
            held: The message.
            cause: Why it cannot be handled.

        Returns:
            Whether the broker has taken it.

        """
        held.is_decided = True
        delivery = msgspec.structs.replace(held.delivery, attempt=held.attempt)
        dead_letter = partial(self._subscription.dead_letter, delivery, cause)
        if not await self._outages.insist("putting aside", dead_letter):
            return False
        self._let_go([held])
        return True

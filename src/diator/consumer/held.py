"""A message that was received, and is not settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Hashable

    from diator.events.message_brokers.subscription import Delivery


class Held:
    """
    A message that was received, and is not settled.

    Attributes:
        delivery: The message.
        lane: What others have in common with it that have to wait for it.
        attempt: Which attempt to handle it is the next, or is being made.
        outages: How many attempts did not count, for something was out of reach.
        handled: How many messages had been handled when it last failed, None before.
        task: What handles it, in the attempt that is being made or was the last.
        is_begun: Whether it was handled here already, or is being so.
        pause: What ends its waiting for the next attempt, None while it does not wait.
        is_decided: Whether the broker is being told what became of it.

    """

    __slots__ = (
        "attempt",
        "delivery",
        "handled",
        "is_begun",
        "is_decided",
        "lane",
        "outages",
        "pause",
        "task",
    )

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.lane: Hashable | None = None
        if delivery.key is not None:
            self.lane = delivery.topic, delivery.key
        self.attempt = delivery.attempt
        self.outages = 0
        self.handled: int | None = None
        self.task: asyncio.Task[None] | None = None
        self.pause: asyncio.TimerHandle | None = None
        self.is_begun = False
        self.is_decided = False

    def counted(self) -> Delivery:
        """Give the delivery with the attempts that were begun, to have it extended."""
        attempt = self.delivery.attempt
        if self.is_begun or attempt == 1:
            return self.delivery
        return msgspec.structs.replace(self.delivery, attempt=attempt - 1)

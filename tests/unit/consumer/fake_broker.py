"""A broker that can be received from, in memory, and told to fail."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.subscription import Capabilities, Delivery


class FakeBroker:
    """
    Keeps the messages of one consumer group, and what the consumer says about them.

    What comes again is counted when its handling begins: with `extend`.

    Attributes:
        published: What was published.
        waiting: What will be delivered next.
        unsettled: What was delivered.
        acknowledged: The ids of what was handled, batch by batch.
        given_back: The ids of what was given back.
        extended: The ids of what took longer, batch by batch.
        dead: What was put aside, and why.
        failures: What the next calls of a method raise.
        counts: How often what was delivered was tried.
        is_away: Whether it can be told nothing.
        taken_away: The ids of what is not this consumer's any more.
        topics: What was subscribed to.
    """

    capabilities = Capabilities(keeps=True, groups=True, headers=True, counts=True)

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.waiting: deque[Delivery] = deque()
        self.unsettled: dict[int, Delivery] = {}
        self.acknowledged: list[list[str]] = []
        self.given_back: list[str] = []
        self.extended: list[list[str]] = []
        self.dead: list[tuple[Delivery, str]] = []
        self.failures: dict[str, list[BaseException]] = {}
        self.counts: dict[int, int] = {}
        self.is_away = False
        self.taken_away: set[str] = set()
        self.topics: Sequence[str] = ()
        self.group = ""
        self.limits: list[int] = []
        self.most_unsettled = 0
        self.changed = asyncio.Condition()
        self._receipts = 0

    @property
    def ids(self) -> list[str]:
        """Those of all that was acknowledged."""
        return [message_id for batch in self.acknowledged for message_id in batch]

    @property
    def is_settled(self) -> bool:
        return not self.waiting and not self.unsettled

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        self.published += messages
        for message in messages:
            self.put(
                encode(message),
                topic=message.topic,
                message_id=str(message.message_id),
                message_name=message.message_name,
                key=message.key,
                headers=message.headers,
            )
        await self._tell()
        return [None for _ in messages]

    def put(self, body: bytes, *, topic: str = "events", **fields: Any) -> None:
        self.waiting.append(Delivery(topic=topic, body=body, **fields))

    async def until(self, is_so: Any) -> None:
        """Wait for what a consumer does to the broker."""
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(is_so)

    async def settled(self) -> None:
        """Wait until nothing is left."""
        await self.until(lambda: self.is_settled)

    @asynccontextmanager
    async def subscribe(
        self, topics: Sequence[str], /, *, group: str
    ) -> AsyncGenerator[FakeBroker]:
        await self._fail("subscribe")
        self.topics, self.group = topics, group
        try:
            yield self
        finally:
            self._put_back(list(self.unsettled))
            await self._tell()

    async def receive(self, limit: int, /) -> Sequence[Delivery]:
        await self._fail("receive")
        self.limits.append(limit)
        async with self.changed:
            await self.changed.wait_for(lambda: self.waiting)
            number = min(limit, len(self.waiting))
            deliveries = [self._deliver() for _ in range(number)]
            self.changed.notify_all()
        self.most_unsettled = max(self.most_unsettled, len(self.unsettled))
        return deliveries

    async def ack(self, deliveries: Sequence[Delivery], /) -> None:
        await self._fail("ack")
        for delivery in deliveries:
            del self.unsettled[delivery.receipt]
        self.acknowledged.append([each.message_id for each in deliveries])
        await self._tell()

    async def nack(self, deliveries: Sequence[Delivery], /) -> None:
        await self._fail("nack")
        self.given_back += [each.message_id for each in deliveries]
        self._put_back([each.receipt for each in deliveries])
        await self._tell()

    def begin(self, delivery: Delivery, /) -> bool:
        if delivery.message_id not in self.taken_away:
            return True
        del self.unsettled[delivery.receipt]
        return False

    async def extend(self, deliveries: Sequence[Delivery], /) -> None:
        await self._fail("extend")
        self.extended.append([each.message_id for each in deliveries])
        self.counts.update({each.receipt: each.attempt for each in deliveries})
        await self._tell()

    async def dead_letter(self, delivery: Delivery, cause: str, /) -> None:
        await self._fail("dead_letter")
        del self.unsettled[delivery.receipt]
        self.dead.append((delivery, cause))
        await self._tell()

    def _deliver(self) -> Delivery:
        self._receipts += 1
        delivery = msgspec.structs.replace(
            self.waiting.popleft(), receipt=self._receipts
        )
        self.unsettled[self._receipts] = delivery
        self.counts[self._receipts] = max(1, delivery.attempt - 1)
        return delivery

    def _put_back(self, receipts: list[int]) -> None:
        again = [self.unsettled.pop(receipt) for receipt in sorted(receipts)]
        self.waiting.extendleft(
            msgspec.structs.replace(each, attempt=self.counts[each.receipt] + 1)
            for each in reversed(again)
        )

    async def _fail(self, method: str) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise ConnectionError
        failures = self.failures.get(method)
        if failures:
            error = failures.pop(0)
            await self._tell()
            raise error

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

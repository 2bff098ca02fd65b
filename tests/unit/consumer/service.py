"""A service that consumes, for the tests of the consumer."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from diator import EventEmitter, Mediator
from diator.backoff import Backoff
from diator.consumer.consumer import Consumer
from tests.unit.consumer.fake_broker import FakeBroker
from tests.unit.messages.fake_messages import UserJoined, make_registry

AT_ONCE = Backoff(first=0.0001, longest=0.0001)
NEVER = Backoff(first=3600, longest=3600)


class Service:
    """
    A mediator, a broker, and the ids of the users whose joining was handled.

    Args:
        options: For the consumer.

    """

    def __init__(self, **options: Any) -> None:
        self.broker = FakeBroker()
        emitter = EventEmitter(message_broker=self.broker, registry=make_registry())
        self.mediator = Mediator(event_emitter=emitter)
        self.options = {"group": "mail", "backoff": AT_ONCE, **options}
        self.handled: list[int] = []
        # What is to happen when a user joins.
        self.on_joined: Any = None

        @self.mediator.handles(UserJoined)
        async def remember(event: UserJoined) -> None:
            if self.on_joined is not None:
                await self.on_joined(event)
            self.handled.append(event.user_id)

    def consumer(self) -> Consumer:
        return Consumer(self.mediator, self.broker, **self.options)

    def put(self, user_id: int, **fields: Any) -> None:
        """Have a user join, with a message whose id is that of the user."""
        body = {
            "message_type": "notification_event",
            "message_name": "user.joined.v1",
            "message_id": str(user_id),
            "payload": {
                "event_id": str(uuid4()),
                "meeting_id": 1,
                "user_id": user_id,
            },
        }
        self.broker.put(
            json.dumps(body).encode(),
            **{"message_id": str(user_id), "message_name": "user.joined.v1", **fields},
        )

    async def consume(self) -> Consumer:
        """Run a consumer until the broker has nothing left."""
        consumer = self.consumer()
        async with consumer:
            await self.broker.settled()
        return consumer

"""What the tests of the outbox have in common."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from diator import NotificationEvent
from diator.messages.registry import MessageRegistry
from diator.outbox.outbox import Outbox


@dataclass(frozen=True, kw_only=True)
class Moved(NotificationEvent):
    """Something moved, in an order of its own."""

    name: str
    key: str | None = None


class KeyedRegistry(MessageRegistry):
    """Knows the event by a stable name, and its key where it has one."""

    def __init__(self):
        super().__init__()
        self.add(Moved, name="moved.v1", topic="moves", key=lambda event: event.key)


class RecordingBroker:
    """
    Takes messages, in order for each key, unless it is told otherwise.

    Attributes:
        batches: The names of the events it has taken.
        messages: All that it has taken.
        refused: Why events of some names are not taken.
        outage: Why none is.
        asked: Set with each batch.
        taken: Set when something was taken.
        asked: Set with each batch.
        taken: Set when something was taken.

    """

    def __init__(self):
        self.batches = []
        self.messages = []
        self.refused = {}
        self.outage = None
        self.asked = asyncio.Event()
        self.taken = asyncio.Event()
        self.calls = 0

    @property
    def names(self):
        return [name for batch in self.batches for name in batch]

    async def publish(self, messages, /):
        self.calls += 1
        self.asked.set()
        if self.outage is not None:
            return [self.outage for _ in messages]
        batch = []
        results = []
        held_back = {}
        for message in messages:
            name = json.loads(bytes(message.payload))["name"]
            error = self.refused.get(name) or held_back.get(message.key)
            if error is None:
                batch.append(name)
                self.messages.append(message)
            elif message.key is not None:
                held_back[message.key] = error
            results.append(error)
        self.batches.append(batch)
        if batch:
            self.taken.set()
        return results


def make_outbox(engine):
    return Outbox(engine, KeyedRegistry())


async def commit(outbox, *events):
    """Write events into the outbox, in a transaction of their own."""
    async with AsyncSession(outbox.engine) as session, session.begin():
        await outbox.add(session, *events)


async def waiting(outbox):
    """Give the rows that wait, in their order."""
    table = outbox.tables.outbox
    async with outbox.engine.connect() as connection:
        return (await connection.execute(select(table).order_by(table.c.seq))).all()


async def names_waiting(outbox):
    """Give the names of the events that wait, in their order."""
    return [json.loads(row.payload)["name"] for row in await waiting(outbox)]

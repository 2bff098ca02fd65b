"""
A process that writes into an outbox, or empties it, until somebody kills it.

Usage: python -m tests.outbox_process relay|both URL LEDGER

The broker is a file, the ledger: a line for each message that was published.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass

from sqlalchemy import Column, Integer, MetaData, String, Table, event, func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from diator import NotificationEvent
from diator.messages.registry import MessageRegistry
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay
from diator.outbox.tables import Tables

KEYS = 20
BATCH = 50
PUBLISH_SECONDS = 0.002  # so that a kill may well come in between

metadata = MetaData()
tables = Tables(metadata)
facts = Table(
    "facts",
    metadata,
    Column("key", String(20), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
)


@dataclass(frozen=True, kw_only=True)
class Counted(NotificationEvent):
    """Tells of a fact; those about one key are numbered from 0."""

    key: str
    number: int


def make_outbox(engine):
    registry = MessageRegistry()
    registry.add(Counted, key=lambda event: event.key)
    return Outbox(engine, registry, tables=tables)


def make_engine(url):
    engine = create_async_engine(url)
    if url.startswith("sqlite"):

        @event.listens_for(engine.sync_engine, "connect")
        def connect(connection, record):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

    return engine


class FileBroker:
    """Writes down what is published, in one piece for each batch."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def publish(self, messages, /):
        await asyncio.sleep(PUBLISH_SECONDS)
        payloads = [json.loads(bytes(message.payload)) for message in messages]
        lines = [f"{payload['key']} {payload['number']}\n" for payload in payloads]
        os.write(self.file, "".join(lines).encode())
        await asyncio.sleep(PUBLISH_SECONDS)
        return [None for _ in messages]


async def write(outbox, rounds=None):
    """Write facts, with the events that tell of them, a transaction for each."""
    numbers = dict.fromkeys(map(str, range(KEYS)), -1)
    last = select(facts.c.key, func.max(facts.c.number)).group_by(facts.c.key)
    async with AsyncSession(outbox.engine) as session:
        numbers.update((await session.execute(last)).all())
    written = 0
    while written != rounds:
        for key, number in numbers.items():
            fact = {"key": key, "number": number + 1 + written}
            async with AsyncSession(outbox.engine) as session, session.begin():
                await session.execute(facts.insert(), fact)
                await outbox.add(session, Counted(**fact))
        written += 1


async def main(role, url, ledger):
    outbox = make_outbox(make_engine(url))
    relay = Relay(outbox, FileBroker(ledger), batch_size=BATCH, poll_seconds=0.1)
    if role == "relay":
        await relay.run()
    else:
        async with relay:
            await write(outbox)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""Where messages wait, written together with what they tell of, to be published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.event import listens_for
from sqlalchemy.orm import Session

from diator.events.message_brokers.encoding import encode
from diator.messages.headers import outgoing_headers
from diator.outbox.tables import BUCKETS, Tables, in_utc, insert_of, tables_needed

if TYPE_CHECKING:
    import asyncio

    from sqlalchemy import Column, ScalarSelect
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

    from diator.events.event import Event
    from diator.messages.registry import MessageRegistry


MAX_COUNT = 10_000
"""
How many messages are counted at most.

A probe asks every few seconds, also when there are millions: that is when it matters.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStatus:
    """
    How an outbox fares.

    Attributes:
        pending: How many messages wait to be published, up to `MAX_COUNT`.
        oldest_seconds: How long ago the first of them was raised, 0 if there is none.
        dead: How many messages were given up, up to `MAX_COUNT`.

    """

    pending: int
    oldest_seconds: float
    dead: int


class Outbox:
    """
    The messages that are to be published, written together with what they tell of.

    Whatever transaction they are written in: they are published if it is committed,
    and only then. A `Relay` publishes them.

    Args:
        engine: The database, PostgreSQL or SQLite.
        registry: What messages are called on the wire: the emitter's `registry`.
        tables: Where they are kept; tables with the usual names if left out.

    Attributes:
        engine: The database.
        tables: Where messages are kept.
        committed: Set after each commit by which messages came, for relays of this
            event loop.

    Raises:
        ConfigurationError: It is a kind of database that the outbox does not know.

    """

    def __init__(
        self,
        engine: AsyncEngine,
        registry: MessageRegistry,
        *,
        tables: Tables | None = None,
    ) -> None:
        insert_of(engine.dialect.name)
        self.engine = engine
        self.tables = Tables() if tables is None else tables
        self.committed: set[asyncio.Event] = set()
        self._registry = registry
        self._insert = insert(self.tables.outbox)

    async def add(self, session: AsyncSession, *events: Event) -> None:
        """
        Have events published if the running transaction of a session is committed.

        What the session has not written yet, it writes first: who comes later waits for
        a row that both change before its message takes its place, not after.

        Args:
            session: The session. To commit it is left to others.
            events: Notification and ECST events, and `CommandPosted`.

        Raises:
            EncodingError: A field of an event has no form in JSON, or it is too large,
                or its key is no text.
            BindingError: It is another kind of event.

        """
        if not events:
            return
        headers = outgoing_headers()
        now = datetime.now(UTC)
        rows = [self._row(event, headers, now) for event in events]
        await session.flush()
        await session.execute(self._insert, rows)
        session.info.setdefault(_WRITTEN, set()).add(self)

    async def status(self) -> OutboxStatus:
        """
        Look how many messages wait, since when, and how many were given up.

        Raises:
            ConfigurationError: The tables are missing.

        """
        outbox, dead = self.tables.outbox, self.tables.dead
        # By the key, since nothing else finds it without reading all the others.
        first = select(outbox.c.created_at).order_by(outbox.c.seq).limit(1)
        query = select(
            _count(outbox.c.seq), first.scalar_subquery(), _count(dead.c.message_id)
        )
        with tables_needed():
            async with self.engine.connect() as connection:
                pending, oldest, died = (await connection.execute(query)).one()
        seconds = 0.0
        if oldest is not None:
            # Clocks may differ, and what was raised just now come from the future.
            waited = datetime.now(UTC) - in_utc(oldest)
            seconds = max(waited.total_seconds(), 0.0)
        return OutboxStatus(pending=pending, oldest_seconds=seconds, dead=died)

    def tell_relays(self) -> None:
        """Wake the relays of this event loop: there may be something to publish."""
        for event in self.committed:
            event.set()

    def _row(
        self, event: Event, headers: dict[str, str], now: datetime
    ) -> dict[str, Any]:
        message = self._registry.message(event, headers)
        # By way of the whole body, so that its size is checked, too.
        payload = _decode_body(encode(message)).payload
        return {
            "message_id": message.message_id,
            "bucket": bucket_of(message.key, message.message_id.bytes),
            "message_type": message.message_type,
            "message_name": message.message_name,
            "topic": message.topic,
            "key": message.key,
            "headers": _encode(headers) if headers else None,
            "payload": bytes(payload),
            "created_at": now,
        }


# A listener for each session would cost a tenth of a transaction.
@listens_for(Session, "after_commit")
def _tell_of_commit(session: Session) -> None:
    # It hears of savepoints, too.
    if session.info and not session.in_nested_transaction():
        for outbox in session.info.pop(_WRITTEN, ()):
            outbox.tell_relays()


_WRITTEN = "diator_outbox"
"""Where a session keeps which outboxes its transaction has written to."""


def _count(column: Column[Any]) -> ScalarSelect[int]:
    counted = select(column).limit(MAX_COUNT).subquery()
    return select(func.count()).select_from(counted).scalar_subquery()


class _Body(msgspec.Struct):
    payload: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode_body = msgspec.json.Decoder(_Body).decode


def bucket_of(key: str | None, message_id: bytes) -> int:
    """Give the bucket of a message: one for all with its key, any if it has none."""
    # Not `hash`, which is another in each process.
    return crc32(message_id if key is None else key.encode()) % BUCKETS

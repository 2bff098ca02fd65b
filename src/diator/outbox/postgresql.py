"""How relays share the work on PostgreSQL: whoever locks a bucket empties it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from diator.outbox.batch import is_due, within

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from diator.outbox.batch import Batches, Publish
    from diator.outbox.tables import Tables


AT_ONCE = 2
"""
How many buckets a relay empties at the same time.

While the database is at work for one, the broker is for the other. Each has a
connection of its own.
"""


class LockedBuckets:
    """
    The work of any number of relays, in order for each key.

    A relay holds the lock of a bucket until what became of its messages is committed,
    so that nobody publishes what comes after them meanwhile. To lock the messages
    themselves would not do: another relay would pass over them to the next ones.

    Args:
        engine: The database.
        tables: The tables.
        batches: Reads the messages, and notes what became of them.

    """

    at_once = AT_ONCE

    def __init__(self, engine: AsyncEngine, tables: Tables, batches: Batches) -> None:
        # Once the lock is had, the next statement must see what was committed by who
        # had it before.
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._batches = batches
        self._last = -1
        bucket = tables.bucket
        outbox = tables.outbox
        # Each bucket is asked for its first message by itself, with the index. As an
        # EXISTS, it might be joined, which means to read the whole outbox.
        first = (
            within(tables, bucket.c.bucket, select(outbox.c.seq).where(is_due(tables)))
            .limit(1)
            .correlate(bucket)
            .scalar_subquery()
        )
        self._lock = (
            select(bucket.c.bucket)
            .where(first.is_not(None))
            # In turn, so that a busy bucket does not keep the others waiting.
            .order_by(bucket.c.bucket <= bindparam("last"), bucket.c.bucket)
            .limit(1)
            .with_for_update(of=bucket, skip_locked=True)
        )

    async def relay(self, publish: Publish) -> bool:
        """
        Publish some messages of one bucket.

        Args:
            publish: Publishes them. What it raises leaves everything as it was.

        Returns:
            Whether there may be more to do at once.

        Raises:
            ConnectionError: The broker cannot be reached, or was lost on the way.

        """
        async with self._engine.begin() as connection:
            parameters = {"now": datetime.now(UTC), "last": self._last}
            bucket = await connection.scalar(self._lock, parameters)
            if bucket is None:
                return False
            self._last = bucket
            rows = await self._batches.read(connection, bucket)
            if not rows:
                # Another relay was quicker.
                return True
            outcome = await publish(rows)
            await self._batches.settle(connection, outcome, bucket)
        if outcome.outage is not None:
            raise outcome.outage
        return True

    async def release(self) -> None:
        """Do nothing: there are no locks without a transaction."""

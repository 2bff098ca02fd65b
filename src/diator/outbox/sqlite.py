"""How relays keep out of each other's way on SQLite: one is at work, by a lease."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from sqlalchemy import StaticPool, bindparam, or_, update

from diator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from diator.outbox.batch import Batches, Outcome, Publish, Waiting
    from diator.outbox.tables import Tables

T = TypeVar("T")

LEASE_SECONDS = 3.0
"""
For how long a relay that was killed keeps the others from going on.

One that merely stands still for longer costs duplicates, but no order: both publish
the same messages, each in the same order.
"""

RENEWALS = 3
"""How often a lease is renewed within its time, so that once may fail."""


class Lease:
    """
    The work of one relay; others wait until it has ended.

    SQLite locks the whole database for who writes, so nothing is locked while messages
    are being published.

    Args:
        engine: The database.
        tables: The tables.
        batches: Reads the messages, and notes what became of them.

    Raises:
        ConfigurationError: All share one connection, and so one transaction.

    """

    at_once = 1

    def __init__(self, engine: AsyncEngine, tables: Tables, batches: Batches) -> None:
        if isinstance(engine.pool, StaticPool):
            msg = (
                "a relay would commit the transactions of others, because a database "
                "in memory has one connection for all: use a file"
            )
            raise ConfigurationError(msg)
        self._engine = engine
        self._batches = batches
        lease = tables.lease
        self._holder = uuid4()
        is_ours = lease.c.holder == self._holder
        now = bindparam("now", type_=lease.c.expires_at.type)
        self._take = (
            update(lease)
            .where(or_(is_ours, lease.c.holder.is_(None), lease.c.expires_at <= now))
            .values(
                holder=self._holder,
                expires_at=bindparam("end", type_=lease.c.expires_at.type),
            )
        )
        self._release = update(lease).where(is_ours).values(holder=None)

    async def relay(self, publish: Publish) -> bool:
        """
        Publish some messages, if no other relay is at work.

        Args:
            publish: Publishes them. What it raises leaves everything as it was.

        Returns:
            Whether there may be more to do at once.

        Raises:
            ConnectionError: The broker cannot be reached, or was lost on the way.

        """
        if not await uninterrupted(self._hold()):
            return False
        rows = await uninterrupted(self._read())
        if not rows:
            return False
        async with self._renewed():
            outcome = await publish(rows)
        await uninterrupted(self._settle(outcome))
        if outcome.outage is not None:
            raise outcome.outage
        return True

    async def release(self) -> None:
        """Let another relay go on at once."""
        async with self._engine.begin() as connection:
            await connection.execute(self._release)

    @asynccontextmanager
    async def _renewed(self) -> AsyncGenerator[None]:
        """Keep the lease for as long as a slow broker needs."""
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / RENEWALS)
            # A database that is locked just now may not be so the next time.
            with suppress(Exception):
                await uninterrupted(self._hold())

    async def _hold(self) -> bool:
        now = datetime.now(UTC)
        parameters = {"now": now, "end": now + timedelta(seconds=LEASE_SECONDS)}
        async with self._engine.begin() as connection:
            taken = await connection.execute(self._take, parameters)
        return taken.rowcount > 0

    async def _read(self) -> Sequence[Waiting]:
        async with self._engine.connect() as connection:
            return await self._batches.read(connection)

    async def _settle(self, outcome: Outcome) -> None:
        async with self._engine.begin() as connection:
            await self._batches.settle(connection, outcome)


async def uninterrupted(steps: Coroutine[Any, Any, T]) -> T:
    """
    Let a few statements come to their end before a cancellation passes, or several.

    SQLAlchemy closes a connection whose statement was cancelled, but SQLite keeps its
    locks until the last object that belongs to it has been collected as garbage.
    """
    task = asyncio.create_task(steps)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # Who waits with `gather` would pass a second cancellation on to the statements.
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            # Asked for, or asyncio would complain that nobody did.
            task.exception()
        raise

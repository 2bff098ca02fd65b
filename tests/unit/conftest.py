"""The database of the unit tests, which needs no server."""

from __future__ import annotations

import pytest


@pytest.fixture
async def engine(tmp_path):
    """An engine of a new database with the tables of outbox and inbox."""
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import AsyncAdaptedQueuePool

    from diator.outbox.tables import Tables

    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path / 'outbox.sqlite'}",
        # Older releases keep no count of the connections to a file.
        poolclass=AsyncAdaptedQueuePool,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection, record):
        # No test cuts the power.
        connection.execute("PRAGMA synchronous = OFF")

    await Tables().create_all(engine)
    yield engine
    # Whatever a test does, every connection is given back.
    assert engine.pool.checkedout() == 0
    await engine.dispose()

"""The tables of the outbox and the inbox."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from diator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator

BUCKETS = 32
"""
In how many buckets the messages are divided; one relay at a time empties each of them.

More relays than half of that could not work at once, and each looks at all of them
when it looks for work. Messages that wait while this number is changed may overtake
others with the same key.
"""

UNDEFINED_TABLE = "42P01"
"""How PostgreSQL says that a table is missing."""

# Who creates the tables waits for others who do, by a lock with an arbitrary number.
CREATION_LOCK = 0x6469_6174_6F72


class Tables:
    """
    The tables of the outbox and the inbox, as SQLAlchemy knows them.

    Args:
        metadata: Where they are declared, so that Alembic finds them among those of
            the application: `Base.metadata`. One of their own if left out.
        prefix: The beginning of their names.

    Attributes:
        metadata: Where they are declared.
        outbox: The messages that wait to be published, in the order of `seq`.
        bucket: A row for each bucket, which a relay locks on PostgreSQL.
        lease: A row that says which relay is at work on SQLite.
        dead: The messages that were given up.
        inbox: The ids of the messages that were handled.

    """

    def __init__(
        self, metadata: MetaData | None = None, *, prefix: str = "diator_"
    ) -> None:
        self.metadata = MetaData() if metadata is None else metadata
        self.outbox = Table(
            f"{prefix}outbox",
            self.metadata,
            # Of a `seq` that is used again, a relay that was slow would delete the
            # wrong message.
            Column("seq", _BIG_KEY, Identity(), primary_key=True),
            Column("message_id", Uuid, nullable=False, unique=True),
            Column("bucket", SmallInteger, nullable=False),
            *_message_columns(),
            # None for at once: clocks have no say in the order of new messages.
            Column("available_at", DateTime(timezone=True)),
            Column("attempts", Integer, nullable=False, server_default="0"),
            Column("last_error", Text),
            sqlite_autoincrement=True,
        )
        columns = self.outbox.c
        Index(f"ix_{prefix}outbox_bucket", columns.bucket, columns.seq)
        # Finds the few that failed and wait, without a look at all the others.
        fails = columns.available_at.is_not(None)
        Index(
            f"ix_{prefix}outbox_failed",
            columns.bucket,
            columns.key,
            postgresql_where=fails,
            sqlite_where=fails,
        )
        self.bucket = Table(
            f"{prefix}outbox_bucket",
            self.metadata,
            Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
        )
        self.lease = Table(
            f"{prefix}outbox_lease",
            self.metadata,
            Column("id", SmallInteger, primary_key=True, autoincrement=False),
            Column("holder", Uuid),
            Column("expires_at", DateTime(timezone=True)),
        )
        self.dead = Table(
            f"{prefix}outbox_dead",
            self.metadata,
            Column("message_id", Uuid, primary_key=True),
            *_message_columns(),
            Column("died_at", DateTime(timezone=True), nullable=False, index=True),
            Column("attempts", Integer, nullable=False),
            Column("last_error", Text, nullable=False),
        )
        self.inbox = Table(
            f"{prefix}inbox",
            self.metadata,
            Column("consumer", String(200), primary_key=True),
            # Others may have ids that are no UUIDs.
            Column("message_id", String(200), primary_key=True),
            Column("handled_at", DateTime(timezone=True), nullable=False),
        )
        columns = self.inbox.c
        Index(f"ix_{prefix}inbox_handled", columns.consumer, columns.handled_at)

    async def create_all(self, bind: AsyncEngine | AsyncConnection) -> None:
        """
        Create those tables that are missing, and fill the ones that need it.

        Args:
            bind: An engine, or a connection whose transaction others end.

        """
        if isinstance(bind, AsyncEngine):
            async with bind.begin() as connection:
                await self.create_all(connection)
            return
        if bind.dialect.name == "postgresql":
            await bind.execute(select(func.pg_advisory_xact_lock(CREATION_LOCK)))
        ours = [self.outbox, self.bucket, self.lease, self.dead, self.inbox]
        await bind.run_sync(
            lambda connection: self.metadata.create_all(connection, tables=ours)
        )
        await self.fill(bind)

    async def fill(self, connection: AsyncConnection) -> None:
        """Add the rows that relays need, as far as they are missing."""
        insert = insert_of(connection.dialect.name)
        buckets = [{"bucket": bucket} for bucket in range(BUCKETS)]
        await connection.execute(insert(self.bucket).on_conflict_do_nothing(), buckets)
        await connection.execute(
            insert(self.lease).on_conflict_do_nothing(), [{"id": 0}]
        )


@contextmanager
def tables_needed() -> Generator[None]:
    """
    Say how tables that are missing are created.

    Raises:
        ConfigurationError: What is done inside has not found a table.

    """
    try:
        yield
    except DBAPIError as error:
        found: Any = error.orig
        if getattr(found, "sqlstate", None) == UNDEFINED_TABLE or (
            "no such table" in str(found)
        ):
            msg = (
                "the tables of the outbox are missing: create them with `await "
                "outbox.tables.create_all(engine)`, or by a migration"
            )
            raise ConfigurationError(msg) from error
        raise


def insert_of(dialect: str) -> Any:
    """
    Give the `insert` of a kind of database that can pass over what is there already.

    Raises:
        ConfigurationError: It is a kind of database that the outbox does not know.

    """
    inserts = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
    if dialect not in inserts:
        msg = (
            f"outbox and inbox do not know {dialect}: use PostgreSQL, or SQLite for "
            "what runs on one machine"
        )
        raise ConfigurationError(msg)
    return inserts[dialect]


def in_utc(moment: datetime) -> datetime:
    """Give a moment that was read its time zone, which SQLite does not keep."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


# SQLite counts by itself in columns of this type alone.
_BIG_KEY = BigInteger().with_variant(Integer, "sqlite")


def _message_columns() -> list[Column[Any]]:
    return [
        Column("message_type", String(50), nullable=False),
        Column("message_name", String(200), nullable=False),
        Column("topic", String(200), nullable=False),
        Column("key", Text),
        Column("headers", LargeBinary),
        Column("payload", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
    ]

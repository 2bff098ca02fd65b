"""Which messages of the outbox are published together, and what becomes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    delete,
    exists,
    insert,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from diator.outbox.tables import Tables

ERROR_CHARACTERS = 2_000
"""How much of an error is kept: what a broker says may be as long as a message."""


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A message that the broker did not take.

    Attributes:
        row: The message's row.
        error: The reason.
        delay: After how many seconds it may be tried again; None to give it up.

    """

    row: Any
    error: Exception
    delay: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of the messages that were published together.

    Attributes:
        published: The `seq` of each message that the broker has taken.
        failures: Those that it has not taken, each the first one with its key.

    """

    published: Sequence[int]
    failures: Sequence[Failure]


Publish = Callable[[Sequence[Any]], Awaitable[Outcome]]
"""Publishes the messages of rows, those with the same key in this order."""


class Batches:
    """
    The statements about the messages that are published together.

    Args:
        tables: The tables.
        size: How many messages at most.

    """

    def __init__(self, tables: Tables, size: int) -> None:
        self._tables = tables
        outbox = tables.outbox
        seq = outbox.c.seq
        self._select = select(outbox).where(is_due(tables)).order_by(seq).limit(size)
        self._delete = delete(outbox).where(seq.in_(bindparam("gone", expanding=True)))
        one = seq == bindparam("of")
        attempts = outbox.c.attempts + 1
        at = bindparam("at", type_=outbox.c.available_at.type)
        error = bindparam("error", type_=outbox.c.last_error.type)
        self._postpone = (
            update(outbox)
            .where(one)
            .values(attempts=attempts, available_at=at, last_error=error)
        )
        # Copied where it is: what failed to be written would be logged.
        changed: dict[str, Any] = {
            "died_at": at,
            "attempts": attempts,
            "last_error": error,
        }
        names = tables.dead.c.keys()
        columns = [
            changed[name] if name in changed else outbox.c[name] for name in names
        ]
        self._bury = insert(tables.dead).from_select(names, select(*columns).where(one))

    async def read(
        self, connection: AsyncConnection, bucket: int | None = None
    ) -> Sequence[Any]:
        """
        Read the messages that may be published now, in their order.

        Args:
            connection: A connection that nobody else uses.
            bucket: Where to look; everywhere if left out.

        """
        query = self._select
        if bucket is not None:
            query = query.where(self._tables.outbox.c.bucket == bindparam("bucket"))
        parameters = {"now": datetime.now(UTC), "bucket": bucket}
        rows = (await connection.execute(query, parameters)).all()
        return _without_followers(rows)

    async def settle(self, connection: AsyncConnection, outcome: Outcome) -> None:
        """Take note of what became of messages."""
        now = datetime.now(UTC)
        dead = [failure for failure in outcome.failures if failure.delay is None]
        gone = [*outcome.published, *(failure.row.seq for failure in dead)]
        if dead:
            buried = [
                {"of": failure.row.seq, "at": now, "error": _told(failure.error)}
                for failure in dead
            ]
            await connection.execute(self._bury, buried)
        if gone:
            await connection.execute(self._delete, {"gone": gone})
        postponed = [
            {
                "of": failure.row.seq,
                "at": now + timedelta(seconds=failure.delay),
                "error": _told(failure.error),
            }
            for failure in outcome.failures
            if failure.delay is not None
        ]
        if postponed:
            await connection.execute(self._postpone, postponed)


def is_due(tables: Tables) -> ColumnElement[bool]:
    """Say in SQL that a message may be published at the time `now`."""
    outbox = tables.outbox
    failed = outbox.alias("failed")
    now = bindparam("now", type_=outbox.c.available_at.type)
    return and_(
        or_(outbox.c.available_at == null(), outbox.c.available_at <= now),
        ~exists().where(
            failed.c.bucket == outbox.c.bucket,
            failed.c.key == outbox.c.key,
            failed.c.available_at > now,
        ),
    )


def _without_followers(rows: Sequence[Any]) -> list[Any]:
    """
    Leave out what follows a message that has failed before.

    A broker may well refuse that again, and take what follows it.
    """
    failed: set[str] = set()
    chosen: list[Any] = []
    for row in rows:
        if row.key in failed:
            continue
        if row.attempts and row.key is not None:
            failed.add(row.key)
        chosen.append(row)
    return chosen


def _told(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]
    # PostgreSQL stores neither of these.
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")

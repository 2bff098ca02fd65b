"""What became of messages that no broker would take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select

from diator.outbox.outbox import bucket_of
from diator.outbox.tables import in_utc

if TYPE_CHECKING:
    from diator.outbox.outbox import Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    A message that was given up.

    Attributes:
        message_id: Its id.
        message_type: Its kind.
        message_name: The name of its type on the wire.
        topic: Where it should have been published.
        key: Its key, None if it has none.
        payload: The event as JSON.
        created_at: When it was raised.
        died_at: When it was given up.
        attempts: How often it was tried to publish it.
        last_error: What failed at last.

    """

    message_id: UUID
    message_type: str
    message_name: str
    topic: str
    key: str | None
    payload: bytes
    created_at: datetime
    died_at: datetime
    attempts: int
    last_error: str


class DeadLetters:
    """
    The messages of an outbox that were given up.

    Args:
        outbox: The outbox.

    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        dead = outbox.tables.dead
        columns = [dead.c[name] for name in DeadLetter.__slots__]
        self._list = select(*columns).order_by(dead.c.died_at.desc())
        chosen = dead.c.message_id.in_(bindparam("ids", expanding=True))
        self._select = select(dead).where(chosen).order_by(dead.c.died_at)
        self._delete = delete(dead).where(chosen)
        self._insert = insert(outbox.tables.outbox)

    async def list(self, *, limit: int = 100) -> Sequence[DeadLetter]:
        """
        Give those that were given up last.

        Args:
            limit: How many at most.

        """
        async with self._outbox.engine.connect() as connection:
            rows = await connection.execute(self._list.limit(limit))
            return [_letter(row) for row in rows.mappings()]

    async def replay(self, message_ids: Iterable[UUID]) -> int:
        """
        Have messages published after all, behind those that wait.

        Args:
            message_ids: Their ids.

        Returns:
            How many there were.

        """
        ids = list(message_ids)
        async with self._outbox.engine.begin() as connection:
            # First, so that who replays at the same time finds nothing left.
            found = await connection.execute(
                self._select.with_for_update(), {"ids": ids}
            )
            rows = [_row(row) for row in found.mappings()]
            if rows:
                await connection.execute(self._delete, {"ids": ids})
                await connection.execute(self._insert, rows)
        self._outbox.tell_relays()
        return len(rows)

    async def drop(self, message_ids: Iterable[UUID]) -> int:
        """
        Delete messages for good.

        Args:
            message_ids: Their ids.

        Returns:
            How many there were.

        """
        async with self._outbox.engine.begin() as connection:
            deleted = await connection.execute(self._delete, {"ids": list(message_ids)})
        return deleted.rowcount


def _letter(row: Any) -> DeadLetter:
    columns: dict[str, Any] = dict(row)
    for name in ("created_at", "died_at"):
        columns[name] = in_utc(columns[name])
    return DeadLetter(**columns)


def _row(letter: Any) -> dict[str, Any]:
    row = dict(letter)
    for name in ("died_at", "attempts", "last_error"):
        del row[name]
    row["bucket"] = bucket_of(row["key"], row["message_id"].bytes)
    return row

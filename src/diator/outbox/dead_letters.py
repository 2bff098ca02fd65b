"""What became of messages that no broker would take."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
from sqlalchemy import bindparam, delete, select, tuple_

from diator.exceptions import DeadLetterNotFoundError
from diator.messages.dead_letters import DeadLetter
from diator.outbox.outbox import bucket_of
from diator.outbox.tables import in_utc, insert_of

if TYPE_CHECKING:
    from diator.outbox.outbox import Outbox


class OutboxDeadLetters:
    """
    The messages of an outbox that were given up.

    Args:
        outbox: The outbox.

    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        dead = outbox.tables.dead
        chosen = dead.c.message_id.in_(bindparam("ids", expanding=True))
        self._order = (dead.c.died_at, dead.c.message_id)
        self._list = select(dead).order_by(*self._order)
        self._select = self._list.where(chosen)
        self._delete = delete(dead).where(chosen)
        self._take = self._delete.returning(*dead.c)
        insert = insert_of(outbox.engine.dialect.name)
        self._insert = insert(outbox.tables.outbox).on_conflict_do_nothing()

    async def list(
        self, limit: int = 100, *, after: DeadLetter | None = None
    ) -> Sequence[DeadLetter]:
        """
        Give the oldest ones.

        Args:
            limit: How many at most.
            after: The last one that was given before, to go on from there.

        """
        query = self._list.limit(limit)
        if after is not None:
            last = (after.died_at, UUID(after.letter_id))
            query = query.where(tuple_(*self._order) > last)
        async with self._outbox.engine.connect() as connection:
            return [_letter(row) for row in await connection.execute(query)]

    async def get(self, letter_id: str) -> DeadLetter:
        """
        Give one.

        Raises:
            DeadLetterNotFoundError: There is none with this id.

        """
        async with self._outbox.engine.connect() as connection:
            rows = await connection.execute(self._select, {"ids": _ids([letter_id])})
            for row in rows:
                return _letter(row)
        msg = f"there is no dead letter {letter_id!r}, or there is none any more"
        raise DeadLetterNotFoundError(msg)

    async def replay(self, letter_ids: Sequence[str]) -> int:
        """
        Have some published after all, behind those that wait.

        One that was written anew, and waits already, is merely deleted here.

        Returns:
            How many there were; the others are gone already.

        """
        ids = _ids(letter_ids)
        async with self._outbox.engine.begin() as connection:
            # At once, so that who replays or drops at the same time finds none left.
            taken = await connection.execute(self._take, {"ids": ids})
            letters = sorted(taken.mappings(), key=_order)
            rows = [_row(letter) for letter in letters]
            if rows:
                await connection.execute(self._insert, rows)
        self._outbox.tell_relays()
        return len(rows)

    async def drop(self, letter_ids: Sequence[str]) -> int:
        """
        Delete some for good.

        Returns:
            How many there were; the others are gone already.

        """
        async with self._outbox.engine.begin() as connection:
            deleted = await connection.execute(self._delete, {"ids": _ids(letter_ids)})
        return deleted.rowcount


def _ids(letter_ids: Sequence[str]) -> Sequence[UUID]:
    ids: list[UUID] = []
    for letter_id in letter_ids:
        # What is no id is that of no letter.
        with suppress(ValueError):
            ids.append(UUID(letter_id))
    return ids


def _letter(row: Any) -> DeadLetter:
    headers: dict[str, str] = {} if row.headers is None else _decode(row.headers)
    return DeadLetter(
        letter_id=str(row.message_id),
        topic=row.topic,
        message_name=row.message_name,
        message_id=str(row.message_id),
        key=row.key,
        cause=row.last_error,
        attempts=row.attempts,
        died_at=in_utc(row.died_at),
        headers=headers,
        body=row.payload,
    )


_decode = msgspec.json.Decoder(dict[str, str]).decode


def _order(letter: Any) -> Any:
    return letter["died_at"], letter["message_id"]


def _row(letter: Any) -> dict[str, Any]:
    row = dict(letter)
    for name in ("died_at", "attempts", "last_error"):
        del row[name]
    row["bucket"] = bucket_of(row["key"], row["message_id"].bytes)
    return row

"""Which messages of the outbox are published together, and what becomes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    any_,
    bindparam,
    delete,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from diator.outbox.tables import Tables, insert_of


class Waiting(NamedTuple):
    """
    A message that waits: what a relay has to know of its row.

    To read the times as well would cost it a tenth, and to look things up in the rows
    of SQLAlchemy by name another one.
    """

    seq: int
    attempts: int
    message_type: str
    message_name: str
    message_id: UUID
    payload: bytes
    topic: str
    key: str | None
    headers: bytes | None


BATCH_BYTES = 524_288
"""
How large the payloads of a batch are together at most, 512 KiB, unless it is one
message.

A broker has a deadline for each batch, and what misses it is sent again as a whole.
Two of this size, for as many a relay publishes at a time, pass a link of 2 Mbit/s in
the 5 seconds that brokers usually have.
"""

ERROR_CHARACTERS = 2_000
"""How much of an error is kept: what a broker says may be as long as a message."""


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A message that the broker did not take.

    Attributes:
        message: The message.
        error: The reason.
        delay: After how many seconds it may be tried again; None to give it up.
        counts: Whether it counts as an attempt.

    """

    message: Waiting
    error: Exception
    delay: float | None
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of the messages that were published together.

    Attributes:
        published: The `seq` of each message that the broker has taken.
        failures: Those that it has refused, each the first one with its key.
        outage: Why the others were not taken, which says nothing about them; to be
            raised once the rest is settled.
        too_slow: How many messages there were, if that was more than the broker could
            take in time.

    """

    published: Sequence[int]
    failures: Sequence[Failure]
    outage: Exception | None = None
    too_slow: int | None = None


Publish = Callable[[Sequence[Waiting]], Awaitable[Outcome]]
"""Publishes messages, those with the same key in this order."""


class Batches:
    """
    The statements about the messages that are published together.

    Args:
        tables: The tables.
        size: How many messages at most are published together.
        dialect: What kind of database it is.

    """

    def __init__(self, tables: Tables, size: int, dialect: str) -> None:
        self._size = size
        # How many messages the next batch of a bucket has, as far as the last ones
        # tell. One for all would grow by what others do well, and never get to the one
        # message that is too slow.
        self._limits: dict[int | None, int] = {}
        outbox = tables.outbox
        seq = outbox.c.seq
        columns = [outbox.c[name] for name in Waiting._fields]
        due = select(*columns).where(is_due(tables)).limit(bindparam("limit"))
        self._select = due.order_by(seq)
        self._select_of_bucket = within(tables, bindparam("bucket"), due)
        # One array, where there are any, costs a third of hundreds of parameters.
        chosen = (
            seq == any_(bindparam("gone", type_=ARRAY(BigInteger)))
            if dialect == "postgresql"
            else seq.in_(bindparam("gone", expanding=True))
        )
        # By their numbers alone, PostgreSQL may well read the whole outbox for them.
        self._delete = delete(outbox).where(
            seq.between(bindparam("first"), bindparam("last")), chosen
        )
        one = seq == bindparam("of")
        attempts = outbox.c.attempts + bindparam("counted", type_=Integer)
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
        copied = [
            changed[name] if name in changed else outbox.c[name] for name in names
        ]
        bury = insert_of(dialect)(tables.dead).from_select(
            names, select(*copied).where(one)
        )
        # It has died before, where who wrote it has written it once more.
        self._bury = bury.on_conflict_do_update(
            index_elements=[tables.dead.c.message_id],
            set_={name: bury.excluded[name] for name in names},
        )

    async def read(
        self, connection: AsyncConnection, bucket: int | None = None
    ) -> Sequence[Waiting]:
        """
        Read the messages that may be published now, in their order.

        Args:
            connection: A connection that nobody else uses.
            bucket: Where to look; everywhere if left out.

        """
        query = self._select if bucket is None else self._select_of_bucket
        limit = self._limits.get(bucket, self._size)
        parameters = {"now": datetime.now(UTC), "bucket": bucket, "limit": limit}
        rows = await connection.execute(query, parameters)
        candidates = _without_followers([Waiting(*row) for row in rows])
        batch = candidates[: _count_that_fits(candidates)]
        if len(batch) < len(candidates):
            # Nor should all that does not fit be read again and again.
            self._limits[bucket] = min(limit, 2 * len(batch))
        return batch

    async def settle(
        self, connection: AsyncConnection, outcome: Outcome, bucket: int | None = None
    ) -> None:
        """
        Take note of what became of messages.

        Args:
            connection: A connection, whose transaction others end.
            outcome: What became of them.
            bucket: Where they were read.

        """
        limit = self._limits.get(bucket, self._size)
        self._limits[bucket] = (
            min(2 * limit, self._size)
            if outcome.too_slow is None
            else max(1, outcome.too_slow // 2)
        )
        now = datetime.now(UTC)
        dead = [failure for failure in outcome.failures if failure.delay is None]
        gone = [*outcome.published, *(failure.message.seq for failure in dead)]
        if dead:
            buried = [
                {
                    "of": failure.message.seq,
                    "at": now,
                    "error": _told(failure.error),
                    "counted": 1,
                }
                for failure in dead
            ]
            await connection.execute(self._bury, buried)
        if gone:
            parameters = {"first": min(gone), "last": max(gone), "gone": gone}
            await connection.execute(self._delete, parameters)
        postponed = [
            {
                "of": failure.message.seq,
                "at": now + timedelta(seconds=failure.delay),
                "error": _told(failure.error),
                "counted": int(failure.counts),
            }
            for failure in outcome.failures
            if failure.delay is not None
        ]
        if postponed:
            await connection.execute(self._postpone, postponed)


def within(
    tables: Tables, bucket: ColumnElement[int], messages: Select[Any]
) -> Select[Any]:
    """
    Select the messages of one bucket, in their order.

    Of one bucket, the order by `seq` alone would be the same. But then PostgreSQL may
    read all buckets in the order of its primary key to find it, if it takes this one's
    messages to be among the first: with a backlog of 60,000, for ten times as long.
    """
    outbox = tables.outbox
    return messages.where(outbox.c.bucket.between(bucket, bucket)).order_by(
        outbox.c.bucket, outbox.c.seq
    )


def is_due(tables: Tables) -> ColumnElement[bool]:
    """Say in SQL that a message may be published at the time `now`."""
    outbox = tables.outbox
    failed = outbox.alias("failed")
    now = bindparam("now", type_=outbox.c.available_at.type)
    holding_back = select(literal(1)).where(
        failed.c.bucket == outbox.c.bucket,
        failed.c.key == outbox.c.key,
        failed.c.available_at > now,
    )
    return and_(
        or_(outbox.c.available_at == null(), outbox.c.available_at <= now),
        # Without the offset PostgreSQL would make a join of it. Where there are few
        # keys it would then expect hardly any messages to be left, and read and sort
        # all that wait so as to publish a batch.
        ~holding_back.offset(0).exists(),
    )


def _without_followers(messages: Sequence[Waiting]) -> list[Waiting]:
    """
    Leave out what follows a message that has failed before.

    A broker may well refuse that again, and take what follows it.
    """
    failed: set[str] = set()
    chosen: list[Waiting] = []
    for message in messages:
        if message.key in failed:
            continue
        if message.attempts and message.key is not None:
            failed.add(message.key)
        chosen.append(message)
    return chosen


def _count_that_fits(messages: Sequence[Waiting]) -> int:
    total = 0
    for count, message in enumerate(messages):
        total += len(message.payload)
        if total > BATCH_BYTES:
            return max(1, count)
    return len(messages)


def _told(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]
    # PostgreSQL stores neither of these.
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")

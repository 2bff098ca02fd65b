"""The servers of a scenario, and what they tell of what happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import create_engine, func, select

from tests.chaos.application import (
    GROUP,
    TOPIC,
    Settings,
    effects,
    facts,
    metadata,
    tables,
)
from tests.chaos.ledger import Fact

PAGE = 5_000
STREAM = f"diator:{TOPIC}"


class _Payload(msgspec.Struct):
    key: str
    number: int


class _Body(msgspec.Struct):
    payload: _Payload


decode = msgspec.json.Decoder(_Body).decode


class World:
    """
    A database and a Redis, both empty at first, seen from outside.

    Args:
        settings: Those of the processes.
        redis_url: Where Redis is, if the processes have to go by way of a proxy.

    """

    def __init__(self, settings: Settings, redis_url: str | None = None) -> None:
        self.settings = settings
        self._engine = create_engine(settings.database.replace("+aiosqlite", ""))
        # Where Redis is away, who asks is to hear of it.
        self._redis = redis.Redis.from_url(
            redis_url or settings.redis, socket_timeout=5, retry=Retry(NoBackoff(), 0)
        )
        count = settings.partitions
        self._streams = (
            [STREAM]
            if count is None
            else [f"{STREAM}:{number}" for number in range(count)]
        )
        metadata.drop_all(self._engine)
        metadata.create_all(self._engine)

    def close(self) -> None:
        self._engine.dispose()
        self._redis.close()

    @property
    def expected(self) -> int:
        return self.settings.facts * self.settings.keys

    # --- Counts, for waiting ---

    def committed_count(self) -> int:
        return self._count(facts)

    def pending_count(self) -> int:
        return self._count(tables.outbox)

    def effects_count(self) -> int:
        return self._count(effects)

    def arrived_count(self) -> int:
        return sum(self._redis.xlen(stream) for stream in self._streams)

    def dead_count(self) -> int:
        return self._redis.xlen(f"{STREAM}:dead:{GROUP}")

    def stuck_count(self) -> int:
        """Count what the group has not acknowledged."""
        return sum(
            group["pending"] + (group["lag"] or 0)
            for stream in self._streams
            for group in self._redis.xinfo_groups(stream)
        )

    def _count(self, table) -> int:
        with self._engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(table))

    # --- What the ledger compares ---

    def committed(self, *, poisonous: bool = True) -> list[Fact]:
        """Give the facts, those that nobody can handle only if asked for."""
        query = select(facts.c.key, facts.c.number)
        if not poisonous:
            query = query.where(~facts.c.poisonous)
        return self._facts(query)

    def effects(self) -> list[Fact]:
        return self._facts(select(effects.c.key, effects.c.number).order_by("seq"))

    def _facts(self, query) -> list[Fact]:
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def arrived(self) -> Iterator[Fact]:
        """Give what is in the streams, in order for each of them."""
        for stream in self._streams:
            start = "-"
            while entries := self._redis.xrange(stream, start, count=PAGE):
                for _, fields in entries:
                    payload = decode(fields[b"body"]).payload
                    yield payload.key, payload.number
                start = b"(" + entries[-1][0]

    def is_locked(self) -> bool:
        """Tell whether somebody holds the one lock of SQLite."""
        path = self._engine.url.database
        with closing(sqlite3.connect(path, 0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

    def has_heir(self, seconds: float) -> bool:
        """Tell whether a consumer is silent for so long, and others have its events."""
        return any(
            consumer["idle"] > seconds * 1_000 and not consumer["pending"]
            for stream in self._streams
            for consumer in self._redis.xinfo_consumers(stream, GROUP)
        )

    # --- Harm ---

    def put_garbage(self, number: int) -> None:
        """Append entries that nobody can decode."""
        for place in range(number):
            stream = self._streams[place % len(self._streams)]
            self._redis.xadd(stream, {"body": b"\xff garbage"})

    def terminate_sessions(self) -> None:
        """End all sessions of the database but this one."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )


@contextmanager
def make_world(settings: Settings, redis_url: str | None = None) -> Iterator[World]:
    world = World(settings, redis_url)
    try:
        yield world
    finally:
        world.close()

"""Outbox, relays and inbox on PostgreSQL and SQLite, and processes that are killed."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from diator import Mediator
from diator.backoff import Backoff
from diator.exceptions import ConfigurationError
from diator.messages.received import Received, handling
from diator.messages.registry import MessageRegistry
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.outbox import relay as relay_module
from diator.outbox.dead_letters import OutboxDeadLetters
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay
from diator.outbox.tables import Tables
from tests.outbox_process import (
    KEYS,
    Counted,
    facts,
    make_engine,
    make_outbox,
    metadata,
    tables,
    write,
)

ROOT = Path(__file__).parents[2]
KILLS = 5


@pytest.fixture
async def engine(postgresql):
    """An engine of the shared PostgreSQL, with empty tables."""
    engine = make_engine(postgresql.url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    await tables.create_all(engine)
    yield engine
    assert engine.pool.checkedout() == 0
    await engine.dispose()


@pytest.fixture
def outbox(engine):
    return make_outbox(engine)


class LedgerBroker:
    """
    Remembers what was published, as (key, number).

    Attributes:
        published: In this order.
        refused: What is not taken, nor what follows it with the same key.
        taken: Set when something was published.

    """

    def __init__(self):
        self.published = []
        self.refused = set()
        self.taken = asyncio.Event()

    async def publish(self, messages, /):
        # Others get their turn.
        await asyncio.sleep(0)
        held_back = set()
        results = []
        for message in messages:
            payload = json.loads(bytes(message.payload))
            told = (payload["key"], payload["number"])
            if message.key in held_back or told in self.refused:
                held_back.add(message.key)
                results.append(ValueError("refused"))
            else:
                self.published.append(told)
                results.append(None)
        self.taken.set()
        return results


class StuckBroker(LedgerBroker):
    """Never comes to an end with one of the messages, but answers otherwise."""

    def __init__(self, poison):
        super().__init__()
        self.poison = poison

    async def publish(self, messages, /):
        payloads = [json.loads(bytes(message.payload)) for message in messages]
        if self.poison in [(each["key"], each["number"]) for each in payloads]:
            await asyncio.Event().wait()
        return await super().publish(messages)

    async def check(self):
        """It answers."""


async def add(outbox, *told):
    await add_events(outbox, *(Counted(key=key, number=number) for key, number in told))


async def add_events(outbox, *events):
    async with AsyncSession(outbox.engine) as session, session.begin():
        await outbox.add(session, *events)


async def relay_batch(outbox, broker, **options):
    relay = Relay(outbox, broker, **options)
    return await relay._work.relay(relay._publish)


async def relay_all(outbox, broker, **options):
    relay = Relay(outbox, broker, **options)
    while await relay._work.relay(relay._publish):
        pass


async def emptied(outbox):
    """Wait until nothing is left in the outbox."""
    async with asyncio.timeout(60):
        while (await outbox.status()).pending:  # noqa: ASYNC110  # others empty it
            await asyncio.sleep(0.05)


async def committed(engine):
    """Give the facts, as (key, number)."""
    async with engine.connect() as connection:
        rows = await connection.execute(select(facts.c.key, facts.c.number))
        return [(key, number) for key, number in rows]


def rows_read(plan):
    """Tell how many rows were looked at, by what EXPLAIN says."""
    of_parts = sum(rows_read(part) for part in plan.get("Plans", ()))
    at_a_time = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return of_parts + at_a_time * plan["Actual Loops"]


def out_of_order(published):
    """Give what was published before something with a lower number, the first time."""
    numbers = defaultdict(list)
    for key, number in dict.fromkeys(published):
        numbers[key].append(number)
    return {key: told for key, told in numbers.items() if told != sorted(told)}


class TestRelay:
    async def test_order(self, outbox):
        """All is published, in order for each key, and then gone."""
        told = [(str(key), number) for number in range(30) for key in range(KEYS)]
        broker = LedgerBroker()
        await add(outbox, *told)

        await relay_all(outbox, broker, batch_size=7)

        assert sorted(broker.published) == sorted(told)
        assert out_of_order(broker.published) == {}
        assert (await outbox.status()).pending == 0

    async def test_refusal(self, outbox):
        """What is refused holds back its key, is given up, and can be replayed."""
        broker = LedgerBroker()
        broker.refused = {("a", 1)}
        an_hour = Backoff(first=3600.0, longest=3600.0)
        await add(outbox, ("a", 0), ("a", 1), ("a", 2), ("b", 0))

        await relay_all(
            outbox,
            broker,
            backoff=an_hour,
            max_attempts=2,
        )
        before = set(broker.published)
        async with outbox.engine.begin() as connection:
            await connection.execute(tables.outbox.update().values(available_at=None))
        await relay_all(outbox, broker, max_attempts=2)
        [letter] = await OutboxDeadLetters(outbox).list()
        broker.refused = set()
        await OutboxDeadLetters(outbox).replay([letter.letter_id])
        await relay_all(outbox, broker)

        assert before == {("a", 0), ("b", 0)}
        assert letter.cause == "ValueError: refused"
        assert letter.attempts == 2
        assert broker.published[-2:] == [("a", 2), ("a", 1)]

    async def test_lost_on_the_way(self, outbox):
        """What was taken is gone, and what was lost waits without an attempt."""

        class Losing(LedgerBroker):
            async def publish(self, messages, /):
                [taken] = await super().publish(messages[:1])
                return [taken, *[ConnectionError("lost")] * (len(messages) - 1)]

        broker = Losing()
        await add(outbox, ("a", 0), ("a", 1), ("a", 2))

        for _ in range(2):
            with pytest.raises(ConnectionError, match="lost"):
                await relay_all(outbox, broker, max_attempts=1)
        await relay_all(outbox, broker, max_attempts=1)

        assert broker.published == [("a", 0), ("a", 1), ("a", 2)]
        assert await OutboxDeadLetters(outbox).list() == []

    async def test_dead_again(self, outbox):
        """What was written once more may die once more, and be replayed once."""
        broker = LedgerBroker()
        broker.refused = {("a", 0)}
        event = Counted(key="a", number=0)
        letters = OutboxDeadLetters(outbox)
        for _ in range(2):
            await add_events(outbox, event)
            await relay_all(outbox, broker, max_attempts=1)
        [letter] = await letters.list()
        assert await letters.list(after=letter) == []
        await add_events(outbox, event)
        broker.refused = set()

        replayed, dropped = await asyncio.gather(
            letters.replay([letter.letter_id]), letters.drop([letter.letter_id])
        )
        await relay_all(outbox, broker)

        assert replayed + dropped == 1
        assert broker.published == [("a", 0)]

    async def test_woken(self, outbox):
        """The commit of this process wakes the relay."""
        broker = LedgerBroker()

        async with asyncio.timeout(20), Relay(outbox, broker, poll_seconds=3600):
            for number in range(3):
                broker.taken.clear()
                await add(outbox, ("a", number))
                await broker.taken.wait()

        assert broker.published == [("a", 0), ("a", 1), ("a", 2)]

    async def test_locked_bucket(self, outbox):
        """A bucket that another relay is at work on is passed over, not waited for."""
        entered = asyncio.Event()
        may_end = asyncio.Event()

        class Slow(LedgerBroker):
            async def publish(self, messages, /):
                entered.set()
                await may_end.wait()
                return await super().publish(messages)

        slow, quick = Slow(), LedgerBroker()
        await add(outbox, ("a", 0))
        relay = Relay(outbox, slow)
        task = asyncio.create_task(relay._work.relay(relay._publish))
        await entered.wait()
        await add(outbox, ("a", 1), ("b", 0))

        await relay_all(outbox, quick)
        may_end.set()
        await task

        assert quick.published == [("b", 0)]
        assert slow.published == [("a", 0)]

    async def test_emptied_bucket(self, outbox):
        """A bucket that another relay has emptied meanwhile is left at that."""

        class Emptied:
            async def read(self, connection, bucket):
                return []

        broker = LedgerBroker()
        await add(outbox, ("a", 0))
        relay = Relay(outbox, broker)
        relay._work._batches = Emptied()

        assert await relay._work.relay(relay._publish)
        assert broker.published == []

    async def test_backlog(self, outbox, engine):
        """However much waits, a relay reads little more than what it publishes."""
        await add(outbox, *(("others", number) for number in range(3_000)), ("a", 0))
        queries = []

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def note(_connection, _cursor, statement, parameters, *_):
            if statement.startswith("SELECT"):
                queries.append((statement, parameters))

        async with engine.execution_options(
            isolation_level="AUTOCOMMIT"
        ).connect() as connection:
            # Then PostgreSQL knows enough for other plans than before.
            await connection.execute(text("ANALYZE diator_outbox"))
            for _ in range(2):
                await relay_batch(outbox, LedgerBroker(), batch_size=10)
            plans = []
            for query, parameters in tuple(queries):
                explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"
                explained = await connection.exec_driver_sql(explain, parameters)
                plans += explained.scalar_one()

        assert len(plans) == 4
        assert max(rows_read(plan["Plan"]) for plan in plans) < 200

    async def test_too_slow(self, outbox, monkeypatch):
        """A message that takes too long is given up, however much others publish."""
        monkeypatch.setattr(relay_module, "PUBLISH_SECONDS", 0.05)
        broker = StuckBroker(("a", 0))
        relay = Relay(outbox, broker, max_attempts=1, batch_size=8)
        await add(outbox, *(("a", number) for number in range(8)))

        for number in range(30):
            await add(outbox, *(("b", 8 * number + more) for more in range(8)))
            with suppress(ConnectionError):
                await relay._work.relay(relay._publish)

        [letter] = await OutboxDeadLetters(outbox).list()
        assert json.loads(letter.body)["key"] == "a"
        assert len(broker.published) > 100

    async def test_two_buckets_at_once(self, outbox):
        """While the broker has the messages of one bucket, another one is read."""
        broker = LedgerBroker()
        both = asyncio.Barrier(2)

        class Slow(LedgerBroker):
            async def publish(self, messages, /):
                await both.wait()
                return await broker.publish(messages)

        await add(outbox, ("a", 0), ("b", 0))

        async with asyncio.timeout(20), Relay(outbox, Slow()):
            await emptied(outbox)

        assert sorted(broker.published) == [("a", 0), ("b", 0)]

    async def test_many(self, outbox):
        """Relays at work together, with writers, publish everything once, in order."""
        broker = LedgerBroker()
        relays = [
            Relay(outbox, broker, batch_size=10, poll_seconds=0.01) for _ in range(3)
        ]
        tasks = [asyncio.create_task(relay.run()) for relay in relays]

        await write(outbox, rounds=20)
        await emptied(outbox)
        for relay in relays:
            relay.stop()
        await asyncio.gather(*tasks)

        assert sorted(broker.published) == sorted(await committed(outbox.engine))
        assert len(broker.published) == 20 * KEYS
        assert out_of_order(broker.published) == {}

    async def test_terminated_session(self, outbox, postgresql):
        """A relay whose session is ended goes on with another; nothing is lost."""
        broker = LedgerBroker()
        terminate = """
            SELECT pg_terminate_backend(pid) FROM pg_locks
            WHERE relation = 'diator_outbox_bucket'::regclass
            AND mode = 'RowShareLock'
        """

        class Terminating(LedgerBroker):
            async def publish(self, messages, /):
                results = await super().publish(messages)
                if len(self.published) < 4:
                    await asyncio.to_thread(postgresql.ask, terminate)
                return results

        broker = Terminating()
        await add(outbox, ("a", 0), ("a", 1), ("a", 2))

        async with Relay(outbox, broker, batch_size=2):
            await emptied(outbox)

        assert set(broker.published) == {("a", 0), ("a", 1), ("a", 2)}
        assert len(broker.published) > 3
        assert out_of_order(broker.published) == {}

    async def test_cancelled_at_every_await(self, outbox, engine):
        """Wherever a relay is cancelled, it ends, and nothing is lost or overtakes."""
        told = [("a", number) for number in range(3)]
        finished = False
        steps = 0
        while not finished:
            broker = LedgerBroker()
            await add(outbox, *told)
            relay = Relay(outbox, broker, batch_size=2)
            task = asyncio.create_task(relay.run())
            for _ in range(steps):
                # The server does its part in between.
                await asyncio.sleep(0.0005)
            task.cancel()
            with suppress(asyncio.CancelledError):
                async with asyncio.timeout(10):
                    await task
            finished = not (await outbox.status()).pending
            await relay_all(outbox, broker)

            assert list(dict.fromkeys(broker.published)) == told
            assert engine.pool.checkedout() == 0
            steps += 1


class TestCreateAll:
    async def test_at_the_same_time(self, engine):
        """Processes that start together may all create the tables."""
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)

        await asyncio.gather(*(tables.create_all(engine) for _ in range(4)))

        async with engine.connect() as connection:
            count = select(func.count()).select_from(tables.bucket)
            assert await connection.scalar(count) == 32

    async def test_missing(self, engine):
        """Where the tables are missing, it is said how they are created."""
        outbox = Outbox(engine, MessageRegistry(), tables=Tables(prefix="no_"))
        relay = Relay(outbox, LedgerBroker())

        for ask in (outbox.status, relay.__aenter__):
            with pytest.raises(ConfigurationError, match=r"tables\.create_all"):
                await ask()


class TestInbox:
    @pytest.fixture
    def effects(self):
        return []

    @pytest.fixture
    def steps(self):
        """What handlers wait for, one after the other."""
        return []

    @pytest.fixture
    def mediator(self, engine, effects, steps):
        mediator = Mediator()
        mediator.container.scoped(AsyncSession, async_sessionmaker(engine))

        @mediator.handles(Counted)
        async def count(event):
            number = len(effects)
            effects.append(event.number)
            if number < len(steps):
                await steps[number]()

        def begin(session: AsyncSession):
            return session.begin()

        mediator.event_emitter.use(TransactionMiddleware(begin))
        mediator.event_emitter.use(InboxMiddleware(tables))
        return mediator

    async def receive(self, mediator):
        event = Counted(key="a", number=1)
        with handling(Received(message=event, message_id="1", group="clerks")):
            await mediator.receive(event)

    async def test_again(self, mediator, effects):
        """What was handled is passed over."""
        await self.receive(mediator)
        await self.receive(mediator)

        assert effects == [1]

    async def test_forgotten(self, mediator, engine):
        """What was handled long ago is forgotten, but for what others look at."""
        long_ago = datetime.now(UTC) - timedelta(days=8)
        old = [
            {"consumer": "clerks", "message_id": name, "handled_at": long_ago}
            for name in ("a", "b")
        ]
        inbox = tables.inbox
        async with engine.begin() as connection:
            await connection.execute(insert(inbox), old)
        async with engine.begin() as other:
            await other.execute(
                select(inbox).where(inbox.c.message_id == "a").with_for_update()
            )
            await self.receive(mediator)

        async with engine.connect() as connection:
            left = await connection.scalars(select(inbox.c.message_id))
            assert sorted(left) == ["1", "a"]

    @pytest.mark.parametrize("first_fails", [False, True])
    async def test_at_the_same_time(
        self, mediator, effects, steps, engine, first_fails
    ):
        """A second delivery waits for the first, and is handled if that fails."""
        entered, may_end = asyncio.Event(), asyncio.Event()

        async def wait():
            entered.set()
            await may_end.wait()
            if first_fails:
                raise ValueError

        steps.append(wait)
        first = asyncio.create_task(self.receive(mediator))
        await entered.wait()
        second = asyncio.create_task(self.receive(mediator))
        await self.blocked(engine)
        assert effects == [1]
        may_end.set()
        await asyncio.gather(first, second, return_exceptions=True)

        assert effects == [1] * (1 + first_fails)
        assert (first.exception() is not None) is first_fails
        assert second.exception() is None

    async def blocked(self, engine):
        """Wait until a session waits for another one."""
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        async with asyncio.timeout(20), engine.connect() as connection:
            while not await connection.scalar(waiting):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.02)


def start(role, url, ledger):
    """Start a process that writes or publishes until it is killed."""
    command = [sys.executable, "-m", "tests.outbox_process", role, url, str(ledger)]
    return subprocess.Popen(command, cwd=ROOT)


def read(ledger):
    """Give what was published, as (key, number)."""
    lines = ledger.read_text().splitlines()
    return [(key, int(number)) for key, number in map(str.split, lines)]


async def grown(ledger):
    """Wait until something more is published."""
    size = ledger.stat().st_size
    async with asyncio.timeout(60):
        while ledger.stat().st_size == size:  # noqa: ASYNC110  # others write it
            await asyncio.sleep(0.01)


def kill(process):
    process.kill()
    process.wait()


class TestKilled:
    @pytest.fixture
    def ledger(self, tmp_path):
        ledger = tmp_path / "ledger"
        ledger.touch()
        return ledger

    def check(self, published, expected):
        """Nothing is lost, nothing invented, and nothing overtakes."""
        assert set(published) == set(expected)
        assert out_of_order(published) == {}

    async def test_postgresql(self, outbox, postgresql, ledger):
        """Relays that are killed lose nothing and keep the order."""
        relays = [start("relay", postgresql.url, ledger) for _ in range(2)]
        try:
            writer = asyncio.create_task(write(outbox))
            for number in range(KILLS):
                await grown(ledger)
                await asyncio.sleep(random.uniform(0, 0.1))
                kill(relays[number % 2])
                relays[number % 2] = start("relay", postgresql.url, ledger)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            await emptied(outbox)
        finally:
            for relay in relays:
                kill(relay)

        self.check(read(ledger), await committed(outbox.engine))

    async def test_sqlite(self, tmp_path, ledger):
        """A process that writes and publishes may be killed at any time."""
        url = f"sqlite+aiosqlite:///{tmp_path / 'facts.sqlite'}"
        engine = make_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        for _ in range(KILLS):
            process = start("both", url, ledger)
            try:
                await grown(ledger)
                await asyncio.sleep(random.uniform(0, 0.3))
            finally:
                kill(process)
        outbox = make_outbox(engine)
        last = LedgerBroker()
        async with Relay(outbox, last, poll_seconds=0.1):
            await emptied(outbox)

        self.check(read(ledger) + last.published, await committed(engine))
        await engine.dispose()

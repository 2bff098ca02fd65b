"""What waits in the outbox is published, in order for each key, and at least once."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from contextlib import closing, suppress

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import StaticPool

from diator.backoff import Backoff
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.tracing import TracedBroker
from diator.exceptions import (
    ConfigurationError,
    EncodingError,
    InUseError,
    TopicUnavailableError,
)
from diator.messages.cloud_events import CloudEventsBroker
from diator.messages.headers import sending_headers
from diator.outbox import batch as batch_module
from diator.outbox import relay as relay_module
from diator.outbox import sqlite as sqlite_module
from diator.outbox.dead_letters import OutboxDeadLetters
from diator.outbox.relay import RETRYING, Relay
from tests.unit.outbox.parts import (
    Moved,
    RecordingBroker,
    commit,
    make_outbox,
    names_waiting,
    waiting,
)


@pytest.fixture
def outbox(engine):
    return make_outbox(engine)


@pytest.fixture
def broker():
    return RecordingBroker()


AT_ONCE = Backoff(first=1e-9, longest=1e-9)
NEVER = Backoff(first=3600.0, longest=3600.0)


class Watched(asyncio.Event):
    """Tells when somebody waits for it."""

    def __init__(self):
        super().__init__()
        self.awaited = asyncio.Event()

    async def wait(self):
        self.awaited.set()
        return await super().wait()


def watched(relay):
    """Have it told when a relay waits for work."""
    relay._woken = Watched()
    return relay


async def waits(relay):
    """Wait until a relay waits for work, once more."""
    await relay._woken.awaited.wait()
    relay._woken.awaited.clear()


async def relay_once(relay):
    """Publish a batch, and tell whether there may be more."""
    return await relay._work.relay(relay._publish)


async def relay_all(outbox, broker, **options):
    """Publish until nothing is left that may be published now."""
    relay = Relay(outbox, broker, **options)
    try:
        while await relay_once(relay):
            pass
    finally:
        await relay._work.release()


def moved(*names, key=None):
    return [Moved(name=name, key=key) for name in names]


class TestPublishing:
    async def test_message(self, outbox, broker):
        """The message is the one that would have been published without an outbox."""
        event = Moved(name="it", key="a")
        with sending_headers({"correlation_id": "7"}):
            await commit(outbox, event, Moved(name="plain"))

        await relay_all(outbox, broker)

        message, plain = broker.messages
        body = json.loads(encode(message))
        assert body["message_name"] == "moved.v1"
        assert body["message_id"] == str(event.event_id)
        assert body["payload"]["name"] == "it"
        assert (message.topic, message.key) == ("moves", "a")
        assert message.headers == {"correlation_id": "7"}
        assert plain.message_type == "notification_event"
        assert plain.key is None

    async def test_batches(self, outbox, broker):
        """Messages are published in order and in batches, and deleted then."""
        names = [f"event {number}" for number in range(5)]
        await commit(outbox, *moved(*names))

        await relay_all(outbox, broker, batch_size=2)

        assert broker.batches == [names[:2], names[2:4], names[4:]]
        assert await names_waiting(outbox) == []

    async def test_what_is_committed_meanwhile(self, outbox, broker):
        """What is committed while others are published is published next."""
        await commit(outbox, *moved("first"))

        class Slow(RecordingBroker):
            async def publish(self, messages, /):
                if not self.calls:
                    # Nothing is locked meanwhile.
                    await commit(outbox, *moved("second"))
                return await super().publish(messages)

        broker = Slow()
        await relay_all(outbox, broker)

        assert broker.batches == [["first"], ["second"]]
        assert await names_waiting(outbox) == []


class TestLargeBatches:
    async def test_bytes(self, outbox, broker, monkeypatch):
        """What is published together is bounded by its size, not its number alone."""
        names = [f"{number}" * 100 for number in range(6)]
        await commit(outbox, *moved(*names))
        sizes = {len(row.payload) for row in await waiting(outbox)}
        monkeypatch.setattr(batch_module, "BATCH_BYTES", 2 * max(sizes))

        await relay_all(outbox, broker)

        assert broker.batches == [names[:2], names[2:4], names[4:]]

    async def test_one(self, outbox, broker, monkeypatch):
        """A message that is larger by itself goes alone."""
        monkeypatch.setattr(batch_module, "BATCH_BYTES", 1)
        await commit(outbox, *moved("first", "second"))

        await relay_all(outbox, broker)

        assert broker.batches == [["first"], ["second"]]

    async def test_read_once(self, outbox, broker, monkeypatch):
        """What does not fit is not read again with every batch."""
        monkeypatch.setattr(batch_module, "BATCH_BYTES", 1)
        read = []

        def followers_left_out(rows):
            read.append(len(rows))
            return list(rows)

        monkeypatch.setattr(batch_module, "_without_followers", followers_left_out)
        await commit(outbox, *moved(*"abcdef"))

        await relay_all(outbox, broker)

        assert read == [6, 4, 4, 3, 2, 1, 0]

    async def test_timeout(self, outbox):
        """A batch that takes too long is halved until it passes, and grows again."""
        tried = []

        class Slow(RecordingBroker):
            fits = 2

            async def publish(self, messages, /):
                tried.append(len(messages))
                if len(messages) > self.fits:
                    return [TimeoutError("it may have been sent")] * len(messages)
                self.fits = 100
                return await super().publish(messages)

        broker = Slow()
        await commit(outbox, *moved(*"abcdefghijklmnopqrst"))
        relay = Relay(outbox, broker, batch_size=16)

        for _ in range(3):
            with pytest.raises(ConnectionError, match="may have been sent"):
                await relay_once(relay)
        while await relay_once(relay):
            pass

        assert tried == [16, 8, 4, 2, 4, 8, 6]
        assert broker.names == list("abcdefghijklmnopqrst")


class TestRefusal:
    async def test_delay(self, outbox, broker):
        """A message that is refused is kept, with the reason, and tried again later."""
        broker.refused = {"second": ValueError("no\0pe \udc80")}
        await commit(outbox, *moved("first", "second", "third"))

        await relay_all(outbox, broker, backoff=NEVER)

        [row] = await waiting(outbox)
        assert broker.names == ["first", "third"]
        assert row.attempts == 1
        assert row.last_error == "ValueError: no\\0pe \\udc80"

    async def test_key(self, outbox, broker):
        """It holds back what follows with the same key, also what comes later."""
        broker.refused = {"a 2": ValueError()}
        await commit(
            outbox, *moved("a 1", "a 2", "a 3", key="a"), *moved("b 1", key="b")
        )
        await relay_all(outbox, broker, backoff=NEVER)
        await commit(outbox, *moved("a 4", key="a"), *moved("b 2", key="b"))

        await relay_all(outbox, broker, backoff=NEVER)

        assert broker.names == ["a 1", "b 1", "b 2"]
        assert [row.attempts for row in await waiting(outbox)] == [1, 0, 0]

    async def test_retry(self, outbox, broker):
        """In the end all are published in their order."""
        broker.refused = {"a 2": ValueError()}
        await commit(outbox, *moved("a 1", "a 2", "a 3", "a 4", key="a"))
        relay = Relay(outbox, broker, backoff=AT_ONCE)
        await relay_once(relay)
        await relay_once(relay)
        [failed, *_] = await waiting(outbox)

        broker.refused = {}
        while await relay_once(relay):
            pass

        assert failed.attempts == 2
        assert broker.names == ["a 1", "a 2", "a 3", "a 4"]
        assert await names_waiting(outbox) == []

    async def test_retry_alone(self, outbox, broker):
        """What was refused goes again without its followers, others with theirs."""
        broker.refused = {"a 1": ValueError()}
        await commit(outbox, *moved("a 1", "a 2", key="a"))
        relay = Relay(outbox, broker, backoff=AT_ONCE)
        await relay_once(relay)
        await commit(outbox, *moved("b 1", "b 2", key="b"))
        broker.refused = {}

        while await relay_once(relay):
            pass

        assert broker.batches == [[], ["a 1", "b 1", "b 2"], ["a 2"]]

    async def test_giving_up(self, outbox, broker):
        """After the last attempt it is put aside, and its key goes on."""
        broker.refused = {"a 1": ValueError("too odd")}
        await commit(outbox, *moved("a 1", "a 2", key="a"))

        await relay_all(outbox, broker, backoff=AT_ONCE, max_attempts=3)

        [letter] = await OutboxDeadLetters(outbox).list()
        assert broker.names == ["a 2"]
        assert json.loads(letter.body)["name"] == "a 1"
        assert (letter.attempts, letter.cause) == (3, "ValueError: too odd")
        assert await names_waiting(outbox) == []

    @pytest.mark.parametrize("error", [ConfigurationError("no"), EncodingError("no")])
    async def test_lasting(self, outbox, broker, error):
        """What no attempt will change is put aside at once, and its key goes on."""
        broker.refused = {"a 1": error}
        await commit(outbox, *moved("a 1", "a 2", key="a"))

        await relay_all(outbox, broker)

        [letter] = await OutboxDeadLetters(outbox).list()
        assert (letter.attempts, letter.cause) == (1, f"{type(error).__name__}: no")
        assert broker.names == ["a 2"]

    async def test_log_that_fails(self, outbox, broker, monkeypatch):
        """Nor does a log that fails keep it from being noted."""

        def fail():
            raise LookupError

        monkeypatch.setattr(relay_module, "get_logger", fail)
        broker.refused = {"first": ValueError()}
        await commit(outbox, *moved("first", "second"))

        await relay_all(outbox, broker, max_attempts=1)

        assert await names_waiting(outbox) == []
        assert len(await OutboxDeadLetters(outbox).list()) == 1

    async def test_without_a_key(self, outbox, broker):
        """What has no key holds nothing back, and counts by itself."""
        broker.refused = {"first": ValueError(), "second": ValueError()}
        await commit(outbox, *moved("first", "second", "third"))

        await relay_all(outbox, broker, backoff=NEVER)

        assert broker.names == ["third"]
        assert [row.attempts for row in await waiting(outbox)] == [1, 1]


class TestHealth:
    async def test_health(self, outbox, broker):
        """A probe is told whether it runs, and what waits."""
        relay = Relay(outbox, broker)
        await commit(outbox, *moved("first", "second"))

        before = await relay.health()
        async with relay:
            during = await relay.health()

        assert (before["running"], before["pending"], before["dead"]) == (False, 2, 0)
        assert before["oldest_seconds"] >= 0
        assert (during["running"], before["connected"]) == (True, False)
        after = await relay.health()
        assert (after["running"], after["connected"]) == (False, False)

    async def test_connected(self, outbox, broker):
        """A probe is told whether the last attempt to relay worked."""
        broker.outage = ConnectionError("down")
        await commit(outbox, *moved("it"))
        relay = watched(Relay(outbox, broker))
        relay._stopped = Watched()

        async with relay:
            await relay._stopped.awaited.wait()
            away = await relay.health()
            broker.outage = None
            await waits(relay)
            back = await relay.health()

        assert (away["running"], away["connected"]) == (True, False)
        assert (back["running"], back["connected"]) == (True, True)

    async def test_not_yet_connected(self, outbox, broker):
        """It is not connected before an attempt has worked."""
        relay = watched(Relay(outbox, broker))
        may_go_on = asyncio.Event()
        prepare = relay._prepare

        async def prepare_later():
            await may_go_on.wait()
            await prepare()

        relay._prepare = prepare_later
        task = asyncio.create_task(relay.run())
        await asyncio.sleep(0)
        before = await relay.health()
        may_go_on.set()
        await waits(relay)
        after = await relay.health()
        relay.stop()
        await task

        assert (before["running"], before["connected"]) == (True, False)
        assert after["connected"]


class BrokenBroker:
    """Does what no broker should."""

    def __init__(self, *, error=None):
        self.error = error

    async def publish(self, messages, /):
        if self.error is not None:
            raise self.error
        return []


class NarrowBroker(RecordingBroker):
    """Takes too long for large messages, and can be asked whether it is there."""

    is_away = False

    async def publish(self, messages, /):
        if any(json.loads(bytes(each.payload))["name"] == "large" for each in messages):
            return [TimeoutError("slow")] * len(messages)
        return await super().publish(messages)

    async def check(self):
        if self.is_away:
            raise ConnectionError


class TestOutage:
    @pytest.mark.parametrize(
        "error",
        [ConnectionError("down"), TimeoutError("slow")],
    )
    async def test_no_attempt(self, outbox, broker, error):
        """Where the broker cannot be reached, nothing counts as an attempt."""
        broker.outage = error
        await commit(outbox, *moved("first", "second"))

        with pytest.raises(ConnectionError, match=f"does not take messages: {error}"):
            await relay_all(outbox, broker)

        assert [row.attempts for row in await waiting(outbox)] == [0, 0]
        assert await names_waiting(outbox) == ["first", "second"]

    @pytest.mark.parametrize("error", [ConnectionError, ConfigurationError])
    async def test_raised(self, outbox, error):
        """It may also be raised by a broker that does not know better."""
        await commit(outbox, *moved("it"))

        with pytest.raises(ConnectionError, match="down"):
            await relay_all(outbox, BrokenBroker(error=error("down")))

        assert [row.attempts for row in await waiting(outbox)] == [0]

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda broker: broker,
            lambda broker: TracedBroker(broker, system="memory"),
            lambda broker: CloudEventsBroker(broker, source="/moves"),
        ],
        ids=["itself", "traced", "cloud events"],
    )
    async def test_too_slow_alone(self, outbox, wrap):
        """One that takes too long alone is refused, if the broker answers a check."""
        broker = NarrowBroker()
        await commit(outbox, *moved("large", "small"))

        relay = Relay(outbox, wrap(broker), backoff=AT_ONCE, max_attempts=2)
        for _ in range(6):
            with suppress(ConnectionError):
                await relay_once(relay)

        [letter] = await OutboxDeadLetters(outbox).list()
        assert (letter.attempts, letter.cause) == (2, "TimeoutError: slow")
        assert json.loads(letter.body)["name"] == "large"
        assert broker.names == ["small"]

    async def test_too_slow_while_away(self, outbox):
        """It is not, where the check fails, too."""
        broker = NarrowBroker()
        broker.is_away = True
        await commit(outbox, *moved("large"))

        with pytest.raises(ConnectionError, match="slow"):
            await relay_all(outbox, broker)

        assert [row.attempts for row in await waiting(outbox)] == [0]

    async def test_silence(self, outbox, monkeypatch):
        """A broker that never answers is out of order."""
        monkeypatch.setattr(relay_module, "PUBLISH_SECONDS", 0.0)

        class Silent:
            async def publish(self, messages, /):
                await asyncio.Event().wait()

        await commit(outbox, *moved("it"))

        with pytest.raises(ConnectionError, match="take messages: TimeoutError"):
            await relay_all(outbox, Silent())

    async def test_in_part(self, outbox, broker):
        """What was taken is gone, what was refused counts, and the rest waits."""
        broker.refused = {
            "third": ValueError("odd"),
            "fourth": ConnectionError("lost"),
        }
        await commit(outbox, *moved("first", "second", "third", "fourth"))

        with pytest.raises(ConnectionError, match="does not take messages: lost"):
            await relay_all(outbox, broker, backoff=NEVER)

        assert broker.names == ["first", "second"]
        assert await names_waiting(outbox) == ["third", "fourth"]
        assert [row.attempts for row in await waiting(outbox)] == [1, 0]

    async def test_not_buried(self, outbox, broker):
        """A message that can never leave does not take others with it."""
        broker.refused = {"first": ValueError("odd")}
        broker.refused |= dict.fromkeys(["second", "third"], ConnectionError("lost"))
        await commit(outbox, *moved("first", "second", "third"))

        for _ in range(3):
            with pytest.raises(ConnectionError, match="lost"):
                await relay_all(outbox, broker, backoff=AT_ONCE, max_attempts=2)

        [letter] = await OutboxDeadLetters(outbox).list()
        assert json.loads(letter.body)["name"] == "first"
        assert await names_waiting(outbox) == ["second", "third"]

    async def test_key(self, outbox):
        """What follows with a key that was lost does not count as refused either."""

        class Losing:
            async def publish(self, messages, /):
                return [ConnectionError("lost"), ValueError("held back")]

        await commit(outbox, *moved("first", "second", key="a"))

        with pytest.raises(ConnectionError, match="lost"):
            await relay_all(outbox, Losing())

        assert [row.attempts for row in await waiting(outbox)] == [0, 0]

    @pytest.mark.parametrize("error", [None, LookupError("anything")])
    async def test_broken_broker(self, outbox, error):
        """A broker that breaks its promises has taken nothing."""
        await commit(outbox, *moved("first", "second"))

        await relay_all(outbox, BrokenBroker(error=error), backoff=NEVER)

        told = "0 results for 2 messages" if error is None else "LookupError: anything"
        assert all(told in row.last_error for row in await waiting(outbox))


class WithoutTextError(Exception):
    def __str__(self):
        raise RuntimeError


class TestBackground:
    async def test_woken(self, outbox, broker):
        """What this process commits is published at once, without polling."""
        relay = watched(Relay(outbox, broker, poll_seconds=3600))
        async with asyncio.timeout(20), relay:
            for name in ("first", "second"):
                await waits(relay)
                broker.asked.clear()
                await commit(outbox, *moved(name))
                await broker.asked.wait()

        assert broker.names == ["first", "second"]
        assert outbox.committed == set()

    async def test_polling(self, outbox, broker):
        """What others commit is found by polling."""
        others = make_outbox(outbox.engine)

        async with watched(Relay(outbox, broker, poll_seconds=0.01)) as relay:
            await waits(relay)
            await commit(others, *moved("it"))
            await broker.asked.wait()

        assert broker.names == ["it"]

    async def test_end(self, outbox):
        """At the end the batch that was begun is finished, and no other is begun."""
        may_end = asyncio.Event()

        class Slow(RecordingBroker):
            async def publish(self, messages, /):
                self.asked.set()
                await may_end.wait()
                return await super().publish(messages)

        broker = Slow()
        await commit(outbox, *moved("first", "second"))
        relay = Relay(outbox, broker, batch_size=1)

        async with relay:
            await broker.asked.wait()
            relay.stop()
            may_end.set()

        assert broker.names == ["first"]
        assert await names_waiting(outbox) == ["second"]

    async def test_again(self, outbox, broker):
        """It can be entered again, and a process may run it instead."""
        relay = Relay(outbox, broker)
        async with relay:
            pass
        await commit(outbox, *moved("it"))

        task = asyncio.create_task(relay.run())
        await broker.asked.wait()
        relay.stop()
        await task

        assert broker.names == ["it"]

    async def test_twice(self, outbox, broker):
        """What runs cannot be run beside itself, but again when it has ended."""
        relay = Relay(outbox, broker)
        async with relay:
            with pytest.raises(InUseError, match="running already"):
                await relay.run()
            with pytest.raises(InUseError, match="running already"):
                await relay.__aenter__()
        task = asyncio.create_task(relay.run())
        await asyncio.sleep(0)
        with pytest.raises(InUseError, match="running already"):
            await relay.__aenter__()
        relay.stop()
        await task

        async with relay:
            pass

    async def test_away_at_the_beginning(self, tmp_path, broker, caplog):
        """A process need not wait for the database before it runs a relay."""
        outbox = make_outbox(
            create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'later'}")
        )
        relay = Relay(outbox, broker)
        relay._stopped = Watched()

        with caplog.at_level(logging.ERROR, "diator"):
            task = asyncio.create_task(relay.run())
            await relay._stopped.awaited.wait()
            await outbox.tables.create_all(outbox.engine)
            await commit(outbox, *moved("it"))
            await broker.taken.wait()
            relay.stop()
            await task

        assert broker.names == ["it"]
        assert "await outbox.tables.create_all(engine)" in caplog.text
        assert "Traceback" not in caplog.text
        await outbox.engine.dispose()

    async def test_stopped_before(self, outbox, broker):
        """What is stopped before it runs does not begin."""
        await commit(outbox, *moved("it"))
        relay = Relay(outbox, broker)
        relay.stop()

        await relay.run()

        assert broker.calls == 0

    async def test_left_without_entering(self, outbox, broker):
        """To leave what was never entered does nothing."""
        await Relay(outbox, broker).__aexit__(None, None, None)

    async def test_outage(self, outbox, broker, caplog):
        """An outage is logged and waited for, and then all goes on."""
        broker.outage = ConnectionError("down")
        await commit(outbox, *moved("it"))

        with caplog.at_level(logging.INFO, "diator"):
            async with Relay(outbox, broker):
                for _ in range(2):
                    await broker.asked.wait()
                    broker.asked.clear()
                broker.outage = None
                await broker.taken.wait()

        assert broker.names == ["it"]
        assert "relay failed" in caplog.text
        assert {record.levelname for record in caplog.records} == {"WARNING"}
        lines = caplog.text.splitlines()
        assert len(lines) == len(caplog.records)
        assert all("down" in line for line in lines)

    async def test_failure(self, outbox, broker, caplog, monkeypatch):
        """Of failures in a row that are alike, the first alone has a traceback."""
        monkeypatch.setattr(relay_module, "RECOVERING", AT_ONCE)
        errors = [
            LookupError("one\nand its parameters"),
            LookupError("two\nand its parameters"),
            WithoutTextError(),
            WithoutTextError(),
        ]
        relay = watched(Relay(outbox, broker))

        async def fail(publish):
            if errors:
                raise errors.pop(0)
            return False

        with caplog.at_level(logging.INFO, "diator"):
            async with relay:
                relay._work.relay = fail
                await waits(relay)

        assert [record.exc_info is not None for record in caplog.records] == [
            True,
            False,
            True,
            False,
        ]
        told = [record.diator.get("error") for record in caplog.records]
        assert told == [None, "LookupError: two", None, "WithoutTextError"]

    async def test_cancelled_by_a_library(self, outbox):
        """A library that cancels what is awaited does not end the relay."""

        class Closing(RecordingBroker):
            async def publish(self, messages, /):
                if not self.calls:
                    self.calls += 1
                    raise asyncio.CancelledError
                return await super().publish(messages)

        broker = Closing()
        await commit(outbox, *moved("it"))

        async with asyncio.timeout(20), Relay(outbox, broker):
            await broker.taken.wait()

        assert broker.names == ["it"]

    async def test_unreadable_headers(self, outbox, broker, caplog):
        """Headers that somebody else has written hold back nothing."""
        await commit(outbox, *moved("it"))
        async with outbox.engine.begin() as connection:
            table = outbox.tables.outbox
            await connection.execute(update(table).values(headers=b"no JSON"))

        with caplog.at_level(logging.ERROR, "diator"):
            assert await relay_once(Relay(outbox, broker))

        assert broker.names == ["it"]
        assert "headers left out" in caplog.text

    async def test_unavailable_topic(self, outbox):
        """A topic that takes nothing waits, and holds up no other."""

        class Choosy(RecordingBroker):
            async def publish(self, messages, /):
                refused = TopicUnavailableError("set it up")
                results = await super().publish(messages)
                return [
                    refused if "bad" in bytes(message.payload).decode() else result
                    for message, result in zip(messages, results, strict=True)
                ]

        await commit(outbox, *moved("bad one", "bad other"), *moved("good"))
        relay = Relay(outbox, Choosy(), batch_size=2, max_attempts=1)

        while await relay_once(relay):
            pass

        assert [row.attempts for row in await waiting(outbox)] == [0, 0]
        assert all("set it up" in row.last_error for row in await waiting(outbox))

    async def test_held_back(self, outbox):
        """What a refused message holds back is no outage."""

        class HoldingBack(RecordingBroker):
            async def publish(self, messages, /):
                return [ValueError("odd"), ConnectionError("held back by it")]

        await commit(outbox, *moved("first", "second", key="a"))

        assert await relay_once(Relay(outbox, HoldingBack()))

        assert [row.attempts for row in await waiting(outbox)] == [1, 0]

    async def test_end_in_an_outage(self, outbox, broker):
        """It ends at once although it is waiting for the broker."""
        broker.outage = ConnectionError("down")
        await commit(outbox, *moved("it"))

        async with asyncio.timeout(10), Relay(outbox, broker) as relay:
            relay._stopped = Watched()
            await relay._stopped.awaited.wait()

    async def test_missing_tables(self, tmp_path, broker):
        """Tables that are missing are noticed before anything else."""
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'empty'}")
        try:
            relay = Relay(make_outbox(engine), broker)
            for _ in range(2):
                with pytest.raises(ConfigurationError, match="create_all"):
                    await relay.__aenter__()
        finally:
            await engine.dispose()


class TestLease:
    async def test_one_at_a_time(self, outbox, broker):
        """While one relay is at work, others stand by."""
        other = RecordingBroker()
        first, second = Relay(outbox, broker), Relay(outbox, other)
        await relay_once(first)
        await commit(outbox, *moved("it"))

        assert not await relay_once(second)
        assert await relay_once(first)
        assert (broker.names, other.names) == (["it"], [])

    async def test_end(self, outbox, broker):
        """When it ends, another goes on at once."""
        async with watched(Relay(outbox, RecordingBroker())) as relay:
            await waits(relay)
        await commit(outbox, *moved("it"))

        await relay_all(outbox, broker)

        assert broker.names == ["it"]

    async def test_crash(self, outbox, broker, monkeypatch):
        """When it was killed, another goes on after a while."""
        monkeypatch.setattr(sqlite_module, "LEASE_SECONDS", -1.0)
        killed = Relay(outbox, RecordingBroker())
        await relay_once(killed)
        await commit(outbox, *moved("it"))

        await relay_all(outbox, broker)

        assert broker.names == ["it"]

    async def test_slow_broker(self, outbox, monkeypatch):
        """A relay whose broker is slow renews its lease while it waits."""
        monkeypatch.setattr(sqlite_module, "LEASE_SECONDS", 0.3)

        async def expiry():
            async with outbox.engine.connect() as connection:
                return await connection.scalar(select(outbox.tables.lease.c.expires_at))

        class Slow(RecordingBroker):
            async def publish(self, messages, /):
                before = await expiry()
                async with asyncio.timeout(20):
                    while await expiry() == before:  # noqa: ASYNC110  # no event tells
                        await asyncio.sleep(0.01)
                return await super().publish(messages)

        broker = Slow()
        await commit(outbox, *moved("it"))

        await relay_all(outbox, broker)

        assert broker.names == ["it"]

    async def test_memory(self):
        """A database in memory, with one transaction for all, is refused."""
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
        with pytest.raises(ConfigurationError, match="use a file"):
            Relay(make_outbox(engine), RecordingBroker())
        await engine.dispose()

    async def test_no_lock_while_publishing(self, outbox, tmp_path):
        """Who writes need not wait for the broker."""

        class Writing(RecordingBroker):
            async def publish(self, messages, /):
                path = tmp_path / "outbox.sqlite"
                with closing(sqlite3.connect(path, timeout=0)) as connection:
                    connection.execute("BEGIN IMMEDIATE")
                return await super().publish(messages)

        broker = Writing()
        await commit(outbox, *moved("it"))

        await relay_all(outbox, broker)

        assert broker.names == ["it"]


class TestSeq:
    async def test_not_used_again(self, outbox, broker):
        """A slow relay must not delete another message than it has published."""
        await commit(outbox, *moved("first"))
        [first] = await waiting(outbox)
        await relay_all(outbox, broker)
        await commit(outbox, *moved("second"))
        [second] = await waiting(outbox)

        assert second.seq > first.seq


class TestCancellation:
    async def test_at_every_await(self, outbox, engine):
        """Wherever a relay is cancelled, it ends, and nothing is lost or overtakes."""
        names = [f"event {number}" for number in range(3)]
        finished = False
        steps = 0
        while not finished:
            broker = RecordingBroker()
            events = moved(*names, key="a")
            await commit(outbox, *events)
            relay = Relay(outbox, broker, batch_size=2)
            task = asyncio.create_task(relay.run())
            for _ in range(steps):
                # Threads do the work of aiosqlite, so a step is what they take.
                await asyncio.sleep(0.0005)
            task.cancel()
            with suppress(asyncio.CancelledError):
                async with asyncio.timeout(10):
                    await task
            finished = len(broker.names) >= 3 and not await names_waiting(outbox)
            await relay_all(outbox, broker)

            assert list(dict.fromkeys(broker.names)) == names
            assert engine.pool.checkedout() == 0
            steps += 1


class TestBackoff:
    def test_growth(self):
        """It grows from a second to five minutes, and differs for each who waits."""
        assert 0.5 <= RETRYING.delay(1) <= 1
        assert 4 <= RETRYING.delay(4) <= 8
        assert 150 <= RETRYING.delay(10_000) <= 300
        assert len({RETRYING.delay(4) for _ in range(10)}) > 1


class TestSettings:
    @pytest.mark.parametrize("name", ["batch_size", "max_attempts", "poll_seconds"])
    def test_positive(self, outbox, broker, name):
        """A number that cannot work is refused, by its name."""
        with pytest.raises(ConfigurationError, match=f"{name} must be .* not 0"):
            Relay(outbox, broker, **{name: 0})

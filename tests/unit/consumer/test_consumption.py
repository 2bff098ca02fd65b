"""How messages are received, handled and settled."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diator.backoff import Backoff
from diator.consumer import consumption, outages, settling, telling
from diator.exceptions import ConfigurationError, ValidationError
from diator.messages.received import received_message
from tests.unit.consumer.service import NEVER, Service
from tests.unit.fakes import FailedError, cancelled_after, pause
from tests.unit.messages.fake_messages import UserJoined

FAST = Backoff(first=0.0001, longest=0.0001)

left: ContextVar[int] = ContextVar("left")


class StrangeError(BaseException):
    """No `Exception`, as some libraries have them."""


class Failing:
    """
    Fails some times, and then no more.

    Args:
        failures: What it raises.

    """

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.attempts: list[int] = []

    async def __call__(self, event: UserJoined) -> None:
        received = received_message()
        assert received is not None
        self.attempts.append(received.attempt)
        if self.failures:
            raise self.failures.pop(0)


class Blocking:
    """Waits until it is let go, and remembers who came."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.left: list[int] = []
        self.came, self.gate = asyncio.Event(), asyncio.Event()

    async def __call__(self, event: UserJoined) -> None:
        self.entered.append(event.user_id)
        self.came.set()
        await self.gate.wait()
        self.left.append(event.user_id)

    async def until(self, number: int) -> None:
        async with asyncio.timeout(10):
            while len(self.entered) < number:
                self.came.clear()
                await self.came.wait()


def dead(service: Service) -> list[tuple[str, str]]:
    return [(each.message_id, cause) for each, cause in service.broker.dead]


class TestRetry:
    async def test_passing_failure(self):
        """What failed is tried again until it has been handled."""
        service = Service()
        service.on_joined = failing = Failing(FailedError(), OSError())
        service.put(7)
        consumer = await service.consume()

        assert failing.attempts == [1, 2, 3]
        assert service.handled == [7]
        assert service.broker.ids == ["7"]
        health = await consumer.health()
        assert (health["handled"], health["retried"]) == (1, 2)

    async def test_taken_away(self):
        """What is another member's by now is not handled, and not spoken of."""
        service = Service()
        service.broker.taken_away = {"7"}
        service.put(7)
        service.put(8)
        await service.consume()

        assert service.handled == [8]
        assert service.broker.ids == ["8"]

    async def test_too_often(self):
        """What failed too often is put aside, with its cause; others go on."""
        service = Service(max_attempts=3)

        async def fail(event: UserJoined) -> None:
            if event.user_id == 7:
                raise FailedError(event.user_id)

        service.on_joined = fail
        service.put(7)
        service.put(8)
        consumer = await service.consume()

        [(message_id, cause)] = dead(service)
        assert message_id == "7"
        told = "failed at UserJoined; FailedError: 7 (consumer/test_consumption.py:"
        assert told in cause
        assert service.broker.ids == ["8"]
        health = await consumer.health()
        assert (health["dead_lettered"], health["retried"]) == (1, 2)

    async def test_outage(self):
        """While nothing can be handled, no attempt counts."""
        service = Service(max_attempts=3)
        service.on_joined = failing = Failing(*[ConnectionError()] * 10)
        service.put(7)
        await service.consume()

        assert failing.attempts == [1] * 11
        assert service.handled == [7]
        assert dead(service) == []

    async def test_out_of_reach_for_one(self):
        """What cannot reach something while others can is put aside like others."""
        service = Service(max_attempts=3)

        async def fail(event: UserJoined) -> None:
            if event.user_id == 7:
                # Another one, which will be handled.
                service.put(100)
                raise ConnectionError

        service.on_joined = fail
        service.put(7)
        await service.consume()

        assert [message_id for message_id, _ in dead(service)] == ["7"]

    async def test_attempts_in_the_letter(self, caplog: pytest.LogCaptureFixture):
        """The letter has as many attempts as the log."""
        service = Service(max_attempts=3)
        service.on_joined = Failing(*[FailedError()] * 3)
        service.put(7)
        with caplog.at_level(logging.ERROR, "diator"):
            await service.consume()

        [(delivery, _)] = service.broker.dead
        assert delivery.attempt == 3
        assert "attempt=3" in caplog.text

    async def test_place_in_the_log(self, caplog: pytest.LogCaptureFixture):
        """The log says where a handler failed, and nothing of what the error says."""
        service = Service()
        service.on_joined = Failing(FailedError("secret"))
        service.put(7)
        with caplog.at_level(logging.WARNING, "diator"):
            await service.consume()

        [record] = caplog.records
        assert "causes=['FailedError at consumer/test_consumption.py:" in caplog.text
        assert record.diator["causes"][0].endswith(" in Failing.__call__")
        assert "secret" not in caplog.text

    @pytest.mark.parametrize(
        "lasting",
        [lambda: ValidationError("it", []), lambda: ExceptionGroup("", [KeyError()])],
    )
    async def test_lasting_failure(self, lasting: Any):
        """What no attempt will change is put aside at once."""
        service = Service()
        error = lasting()
        if isinstance(error, ExceptionGroup):
            service.options["is_transient"] = lambda error: (
                not isinstance(error, KeyError)
            )
        service.on_joined = failing = Failing(error)
        service.put(7)
        await service.consume()

        assert failing.attempts == [1]
        assert len(service.broker.dead) == 1

    async def test_failing_predicate(self):
        """A predicate that fails says nothing; the message is tried again."""
        service = Service(is_transient=lambda error: error.nonsense)
        service.on_joined = failing = Failing(FailedError())
        service.put(7)
        await service.consume()

        assert failing.attempts == [1, 2]

    async def test_crashes_count(self):
        """Attempts that a process did not survive count with the others."""
        service = Service(max_attempts=3)
        service.on_joined = failing = Failing(*[FailedError()] * 5)
        service.put(7, attempt=2)
        await service.consume()

        assert failing.attempts == [2, 3]
        assert len(service.broker.dead) == 1

    async def test_poison(self):
        """What has killed the process too often is not handled any more."""
        service = Service(max_attempts=3)
        service.put(7, attempt=4)
        await service.consume()

        assert service.handled == []
        [(_, cause)] = dead(service)
        assert cause.startswith("tried 3 times without an end")

    async def test_pause(self):
        """What waits for its next attempt keeps none but those behind it waiting."""
        service = Service(concurrency=2, backoff=NEVER)

        async def fail(event: UserJoined) -> None:
            if event.user_id < 5:
                raise FailedError

        service.on_joined = fail
        for user_id in range(5):
            service.put(user_id, key=str(user_id))
        for user_id in range(5, 10):
            service.put(user_id)
        service.put(10, key="4")
        async with service.consumer():
            await service.broker.until(lambda: len(service.broker.ids) == 5)
            await pause(20)

        assert service.handled == [5, 6, 7, 8, 9]
        assert sorted(service.broker.given_back, key=int) == [*"01234", "10"]

    async def test_after_the_pause(self):
        """After its pause, a message waits for a place again."""
        service = Service(concurrency=1)
        blocking = Blocking()
        failed: set[int] = set()

        async def fail_once(event: UserJoined) -> None:
            if event.user_id == 7 and not failed:
                failed.add(7)
                raise FailedError
            await blocking(event)

        service.on_joined = fail_once
        service.put(7)
        service.put(8)
        async with service.consumer():
            await blocking.until(1)
            await asyncio.sleep(0.01)  # that nothing happens cannot be awaited
            assert blocking.entered == [8]
            blocking.gate.set()
            await service.broker.settled()

        assert blocking.left == [8, 7]

    async def test_fresh_message(self):
        """Each attempt gets a message of its own."""
        service = Service()
        seen: list[UserJoined] = []

        async def see(event: UserJoined) -> None:
            seen.append(event)
            if len(seen) < 2:
                raise FailedError

        service.on_joined = see
        service.put(7)
        await service.consume()

        first, second = seen
        assert first == second
        assert first is not second


class TestHandlers:
    @pytest.mark.parametrize(
        "error", [asyncio.CancelledError, StrangeError, GeneratorExit]
    )
    async def test_anything_raised(self, error: type[BaseException]):
        """Whatever a handler raises is a failure like others."""
        service = Service()
        service.on_joined = failing = Failing(error())
        service.put(7)
        await service.consume()

        assert failing.attempts == [1, 2]
        assert service.handled == [7]

    @pytest.mark.parametrize("waits", [True, False])
    @pytest.mark.parametrize("fails", [True, False])
    async def test_cancels_itself(self, waits: bool, fails: bool):
        """A handler that cancels its own task ends neither consumer nor message."""
        service = Service(max_attempts=3)
        attempts: list[int] = []

        async def cancel(event: UserJoined) -> None:
            if event.user_id == 8:
                return
            attempts.append(event.user_id)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if waits:
                await asyncio.sleep(0)
            if fails:
                raise FailedError

        service.on_joined = cancel
        service.put(7, key="k")
        service.put(8, key="k")
        await service.consume()

        if waits or fails:
            assert attempts == [7, 7, 7]
            assert [message_id for message_id, _ in dead(service)] == ["7"]
        else:
            assert attempts == [7]
        assert service.handled[-1] == 8

    async def test_exit(self):
        """To end the program is no failure: the message is delivered again later."""
        service = Service()
        service.on_joined = Failing(SystemExit(3))
        service.put(7)

        async def run() -> None:
            # That the task has ended by it is said when it is collected.
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            await service.consumer().run()

        with pytest.raises(SystemExit):
            await asyncio.to_thread(asyncio.run, run())

        assert service.broker.ids == []
        assert dead(service) == []


class TestUndecodable:
    async def test_put_aside(self, caplog: pytest.LogCaptureFixture):
        """What cannot be decoded is put aside at once, and not shown in logs."""
        service = Service()
        for body in (b"secret", b'{"secret":1,"secret":2}', b"[" * 100_000):
            service.broker.put(body)
        service.put(7)
        with caplog.at_level(logging.INFO, "diator"):
            await service.consume()

        assert service.handled == [7]
        assert [cause.partition(":")[0] for _, cause in dead(service)] == [
            "DecodingError"
        ] * 3
        assert len(caplog.records) == 3
        assert "secret" not in caplog.text

    async def test_predicate_is_not_asked(self):
        """No predicate makes them passing."""
        service = Service(is_transient=lambda error: True)
        service.broker.put(b"")
        service.put(8, message_name="x")
        consumer = await service.consume()

        assert (await consumer.health())["retried"] == 0

    async def test_unknown(self):
        """What is not in the registry is put aside, too."""
        service = Service()
        service.broker.put(unknown_body(), message_id="9")
        service.put(7)
        await service.consume()

        assert service.handled == [7]
        [(message_id, cause)] = dead(service)
        assert message_id == "9"
        assert cause.startswith(
            "UnknownMessageError: no type in the registry is called 'Unknown': add it"
        )

    async def test_unknown_skipped(self):
        """Or, if so configured, passed over."""
        service = Service(unknown="skip")
        service.broker.put(unknown_body(), message_id="9")
        service.put(7)
        consumer = await service.consume()

        assert sorted(service.broker.ids) == ["7", "9"]
        assert dead(service) == []
        health = await consumer.health()
        assert (health["skipped"], health["handled"]) == (1, 1)

    @given(st.lists(st.binary(max_size=50), max_size=5))
    @settings(max_examples=30)
    async def test_anything(self, bodies: list[bytes]):
        """Whatever comes in, the loop goes on and everything is settled."""
        service = Service()
        for body in bodies:
            service.broker.put(body)
        service.put(7)
        await service.consume()

        assert service.handled == [7]
        assert [delivery.body for delivery, _ in service.broker.dead] == bodies


class TestCrashes:
    @pytest.mark.parametrize("max_attempts", [2, 3, 5])
    async def test_killer(self, max_attempts: int, monkeypatch):
        """Of all that was held, what kills the process is put aside, and only that."""
        monkeypatch.setattr(consumption, "SETTLING_SECONDS", 0.001)
        service = Service(max_attempts=max_attempts, concurrency=4, heartbeat=0.0001)
        killed = asyncio.Event()
        killers = [3, 17]
        deaths: list[int] = []

        async def work(event: UserJoined) -> None:
            if event.user_id in killers:
                service.broker.is_away = True
                deaths.append(event.user_id)
                killed.set()
                await asyncio.Event().wait()
            # Some heartbeats long.
            await asyncio.sleep(0.001)

        service.on_joined = work
        for user_id in range(30):
            service.put(user_id, key=str(user_id) if user_id % 3 else None)
        settled = asyncio.create_task(service.broker.settled())
        while not settled.done():
            running = asyncio.create_task(service.consumer().run())
            died = asyncio.create_task(killed.wait())
            await asyncio.wait([settled, died], return_when=asyncio.FIRST_COMPLETED)
            for task in (running, died):
                task.cancel()
            await asyncio.wait([running, died])
            killed.clear()
            service.broker.is_away = False

        assert sorted(int(message_id) for message_id, _ in dead(service)) == killers
        innocent = [user_id for user_id in range(30) if user_id not in killers]
        assert sorted(map(int, service.broker.ids)) == innocent
        assert len(deaths) <= 2 * max_attempts

    async def test_alone(self):
        """What was there at two ends is handled while nothing else is."""
        service = Service(concurrency=4)
        service.on_joined = blocking = Blocking()
        for user_id, attempt in enumerate([2, 3, 1, 4]):
            service.put(user_id, attempt=attempt)

        async with service.consumer():
            for number in range(1, 5):
                await blocking.until(number)
                await pause(20)
                assert len(blocking.entered) == number
                # What was handled before is known to the broker.
                assert len(service.broker.ids) == number - 1
                blocking.gate.set()
                await service.broker.until(lambda: len(service.broker.ids) == number)  # noqa: B023  # it waits here
                blocking.gate.clear()

    async def test_alone_but_pausing(self):
        """While it waits for its next attempt, others are handled."""
        service = Service(backoff=NEVER)
        service.on_joined = Failing(FailedError())
        service.put(7, attempt=3)
        service.put(8)
        async with service.consumer():
            await service.broker.until(lambda: service.broker.ids == ["8"])

        assert service.broker.given_back == ["7"]

    async def test_counted(self):
        """What comes again is counted before it is handled, once, and not otherwise."""
        service = Service(concurrency=1)
        service.on_joined = Failing(FailedError())
        service.put(7, attempt=2)
        service.put(8)
        await service.consume()

        assert service.broker.extended == [["7"]]
        assert sorted(service.handled) == [7, 8]

    async def test_not_begun(self):
        """What had not begun when the process ended is not counted."""
        service = Service(concurrency=1, heartbeat=0.0001, drain_timeout=0)
        service.on_joined = blocking = Blocking()
        service.put(7, attempt=2)
        service.put(8, attempt=2)
        async with service.consumer():
            await blocking.until(1)
            await service.broker.until(lambda: len(service.broker.extended) >= 3)

        attempts = {each.message_id: each.attempt for each in service.broker.waiting}
        assert attempts == {"7": 3, "8": 2}

    async def test_cannot_be_counted(self, monkeypatch):
        """It is not handled before the broker knows."""
        monkeypatch.setattr(outages, "RECONNECTING", FAST)
        service = Service()
        service.broker.failures["extend"] = [ConnectionError(), TimeoutError()]
        service.put(7, attempt=2)
        await service.consume()

        assert service.broker.extended == [["7"]]
        assert service.handled == [7]


def unknown_body() -> bytes:
    return json.dumps(
        {
            "message_type": "notification_event",
            "message_name": "Unknown",
            "message_id": "9",
            "payload": {},
        }
    ).encode()


class TestOrder:
    async def test_same_key(self):
        """Messages with the same key wait for each other, whatever fails meanwhile."""
        service = Service()

        async def fail_at_first(event: UserJoined) -> None:
            received = received_message()
            assert received is not None
            await pause(5 - event.user_id)
            if received.attempt < 3:
                raise FailedError

        service.on_joined = fail_at_first
        for user_id in range(5):
            service.put(user_id, key="k")
        await service.consume()

        assert service.handled == [0, 1, 2, 3, 4]

    async def test_other_keys(self):
        """Those with other keys, topics, or none, wait for nobody."""
        service = Service()
        service.on_joined = blocking = Blocking()
        for user_id, fields in enumerate(
            [
                {"key": "a"},
                {"key": "a"},
                {"key": "b"},
                {"key": "a", "topic": "x"},
                {},
                {},
            ]
        ):
            service.put(user_id, **fields)

        async with service.consumer():
            await blocking.until(5)
            assert sorted(blocking.entered) == [0, 2, 3, 4, 5]
            blocking.gate.set()
            await service.broker.settled()

        assert blocking.entered[-1] == 1

    async def test_concurrency(self):
        """No more are handled at the same time than was said."""
        service = Service(concurrency=3)
        service.on_joined = blocking = Blocking()
        for user_id in range(10):
            service.put(user_id)

        async with service.consumer():
            await blocking.until(3)
            await pause(20)
            assert len(blocking.entered) == 3
            blocking.gate.set()
            await service.broker.settled()

        assert sorted(service.handled) == list(range(10))

    async def test_prefetch(self):
        """No more are held than was said, and the broker is asked for no more."""
        service = Service(prefetch=4, concurrency=2)
        for user_id in range(20):
            service.put(user_id)
        await service.consume()

        assert sorted(service.handled) == list(range(20))
        assert service.broker.most_unsettled <= 4
        assert max(service.broker.limits) == 4

    async def test_isolation(self):
        """What one message leaves in the context is not there for the next one."""
        service = Service(concurrency=1)
        seen: list[int | None] = []

        async def leave(event: UserJoined) -> None:
            seen.append(left.get(None))
            left.set(event.user_id)

        service.on_joined = leave
        for user_id in range(3):
            service.put(user_id)
        await service.consume()

        assert seen == [None, None, None]


class TestSettling:
    async def test_after_handling(self):
        """A message is acknowledged when it was handled, and not before."""
        service = Service()
        service.on_joined = blocking = Blocking()
        service.put(7)

        async with service.consumer():
            await blocking.until(1)
            await pause(10)
            assert service.broker.ids == []
            blocking.gate.set()
            await service.broker.settled()

        assert service.broker.ids == ["7"]

    async def test_batches(self):
        """What was handled meanwhile is acknowledged together."""
        service = Service(concurrency=100)
        for user_id in range(100):
            service.put(user_id)
        await service.consume()

        assert len(service.broker.ids) == 100
        assert len(service.broker.acknowledged) < 10

    async def test_gathering(self, monkeypatch):
        """While others are held, what was handled waits a little for company."""
        monkeypatch.setattr(settling, "GATHERING_SECONDS", 0.05)
        service = Service(concurrency=2)
        for user_id in range(100):
            service.put(user_id)
        await service.consume()

        assert len(service.broker.acknowledged) <= 5

    async def test_room(self):
        """It asks for more when there is room for several, and not for each one."""
        service = Service(prefetch=40, concurrency=40)
        gate = asyncio.Semaphore(0)

        async def wait(event: UserJoined) -> None:
            await gate.acquire()

        service.on_joined = wait
        for user_id in range(60):
            service.put(user_id)
        async with service.consumer():
            gate.release()
            await service.broker.until(lambda: len(service.broker.ids) == 1)
            await pause(20)
            assert service.broker.limits == [40]
            for _ in range(9):
                gate.release()
            await service.broker.until(lambda: len(service.broker.limits) == 2)
            for _ in range(50):
                gate.release()
            await service.broker.settled()

        assert service.broker.limits[1] == 10

    async def test_heartbeat(self):
        """While a message is handled, or waits for its next attempt, others wait."""
        service = Service(heartbeat=0.001, backoff=NEVER)
        service.on_joined = blocking = Blocking()
        service.put(7)
        service.broker.failures["extend"] = [ConnectionError(), ValueError()]

        async with service.consumer():
            await service.broker.until(lambda: len(service.broker.extended) >= 2)
            service.on_joined = Failing(FailedError())
            service.put(8)
            await service.broker.until(
                lambda: {"7", "8"} in map(set, service.broker.extended)
            )
            blocking.gate.set()
            await service.broker.until(lambda: "7" in service.broker.ids)

        assert service.broker.given_back == ["8"]

    async def test_heartbeat_of_nothing(self):
        """Where nothing is held, the broker need not be told of it."""
        service = Service(heartbeat=0.0001)

        async with service.consumer():
            await asyncio.sleep(0.01)  # that nothing happens cannot be awaited

        assert service.broker.extended == []

    @pytest.mark.parametrize(
        "error", [ConnectionError, TimeoutError, KeyError, asyncio.CancelledError]
    )
    @pytest.mark.parametrize("method", ["receive", "ack", "dead_letter"])
    async def test_broker_fails(self, method: str, error: Any, monkeypatch):
        """What the broker could not do is asked for again."""
        monkeypatch.setattr(outages, "RECONNECTING", FAST)
        service = Service(max_attempts=1)
        service.broker.failures[method] = [error() for _ in range(3)]
        service.put(7)
        service.broker.put(b"")
        await service.consume()

        assert service.broker.ids == ["7"]
        assert len(service.broker.dead) == 1

    async def test_connected(self, monkeypatch):
        """Health tells whether the broker answered last time."""
        monkeypatch.setattr(outages, "RECONNECTING", NEVER)
        service = Service()
        service.broker.failures["receive"] = [ConnectionError()]
        consumer = service.consumer()

        async with consumer:
            await service.broker.until(lambda: not service.broker.failures["receive"])
            await pause()
            health = await consumer.health()

        assert (health["running"], health["connected"]) == (True, False)
        assert (await consumer.health())["running"] is False

    async def test_failing_log(self, monkeypatch):
        """A log that cannot be written ends nothing."""

        def get_logger() -> Any:
            raise FailedError

        monkeypatch.setattr(telling, "get_logger", get_logger)
        service = Service()
        service.on_joined = Failing(FailedError())
        service.put(7)
        await service.consume()

        assert service.handled == [7]


class TestSubscribing:
    async def test_waits_for_the_broker(self, monkeypatch):
        """A broker that is not there yet is waited for."""
        monkeypatch.setattr(outages, "RECONNECTING", FAST)
        service = Service()
        service.broker.failures["subscribe"] = [ConnectionError(), TimeoutError()]
        service.put(7)
        await service.consume()

        assert service.handled == [7]

    async def test_stopped_meanwhile(self, monkeypatch):
        """Also while it is waited for, the consumer can be stopped."""
        monkeypatch.setattr(outages, "RECONNECTING", NEVER)
        service = Service()
        service.broker.failures["subscribe"] = [ConnectionError()]

        async with asyncio.timeout(10), service.consumer():
            await service.broker.until(lambda: not service.broker.failures["subscribe"])

        assert service.broker.topics == ()

    async def test_lasting(self):
        """What will not be better later ends the consumer."""
        service = Service()
        service.broker.failures["subscribe"] = [ConfigurationError("no such group")]

        with pytest.raises(ConfigurationError, match="no such group"):
            await service.consumer().run()


class TestBroken:
    @pytest.mark.parametrize("method", ["receive", "ack", "dead_letter", "extend"])
    async def test_lasting(self, method: str):
        """What the broker will never do ends the consumer; nothing is lost."""
        service = Service(max_attempts=2)
        service.broker.failures[method] = [ConfigurationError("no such stream")]
        service.put(7, message_id="7")
        service.put(8, attempt=2)
        service.broker.put(b"", message_id="dead")

        async with asyncio.timeout(10):
            with pytest.raises(ConfigurationError, match="no such stream"):
                await service.consumer().run()

        ids = {
            *service.broker.ids,
            *(each.message_id for each in service.broker.waiting),
        }
        assert ids | {message_id for message_id, _ in dead(service)} == {
            "7",
            "8",
            "dead",
        }

    async def test_told(self, caplog: pytest.LogCaptureFixture, monkeypatch):
        """What the broker says of its failure is in the log."""
        monkeypatch.setattr(outages, "RECONNECTING", FAST)
        service = Service()
        service.broker.failures["receive"] = [ConnectionError("no route to it")]
        service.put(7)
        with caplog.at_level(logging.WARNING, "diator"):
            await service.consume()

        assert "error='ConnectionError: no route to it'" in caplog.text


class TestEnd:
    async def test_finishes(self):
        """What is being handled is finished and acknowledged; nothing else begins."""
        service = Service(concurrency=2)
        service.on_joined = blocking = Blocking()
        for user_id in range(5):
            service.put(user_id, key=None if user_id else "k")
        service.put(5, key="k")
        consumer = service.consumer()
        running = asyncio.create_task(consumer.run())
        await blocking.until(2)
        consumer.stop()
        await pause(10)
        service.put(6)
        blocking.gate.set()
        await running

        assert blocking.left == [0, 1]
        assert sorted(service.broker.ids) == ["0", "1"]
        assert sorted(service.broker.given_back) == ["2", "3", "4", "5"]
        assert len(service.broker.waiting) == 5

    async def test_deadline(self):
        """What takes longer than the deadline is cancelled, and given back."""
        service = Service(drain_timeout=0.01)
        service.on_joined = blocking = Blocking()
        service.put(7)
        consumer = service.consumer()

        async with consumer:
            await blocking.until(1)

        assert blocking.left == []
        assert service.broker.given_back == ["7"]
        assert (await consumer.health())["retried"] == 0

    async def test_pausing(self):
        """What waits for its next attempt is given back at once."""
        service = Service(backoff=NEVER)
        service.on_joined = failing = Failing(*[FailedError()] * 2)
        service.put(7)
        consumer = service.consumer()
        async with asyncio.timeout(10), consumer:
            while not (await consumer.health())["retried"]:
                await pause()

        assert failing.attempts == [1]
        assert service.broker.given_back == ["7"]
        [delivery] = service.broker.waiting
        assert delivery.attempt == 2

    async def test_failing_meanwhile(self):
        """What fails while the consumer ends is not tried again here."""
        service = Service(backoff=NEVER)
        service.put(7)
        consumer = service.consumer()

        async def stop_and_fail(event: UserJoined) -> None:
            consumer.stop()
            await pause(10)
            raise FailedError

        service.on_joined = stop_and_fail
        async with asyncio.timeout(10):
            await consumer.run()

        assert service.broker.given_back == ["7"]

    async def test_deaf_handler(self, monkeypatch):
        """A handler that does not heed its cancellation does not keep the end."""
        monkeypatch.setattr(consumption, "SETTLING_SECONDS", 0.01)
        service = Service(drain_timeout=0.01)
        gate = asyncio.Event()

        async def ignore(event: UserJoined) -> None:
            while not gate.is_set():
                with suppress(asyncio.CancelledError):
                    await gate.wait()

        service.on_joined = ignore
        service.put(7)
        async with asyncio.timeout(10), service.consumer():
            await service.broker.until(lambda: service.broker.unsettled)
            await pause(5)
        gate.set()
        await pause(5)

        assert service.broker.given_back == ["7"]

    @pytest.mark.parametrize("method", ["ack", "nack", "dead_letter"])
    async def test_broker_is_away(self, method: str, monkeypatch):
        """A broker that cannot be told does not keep the end, and nothing is lost."""
        monkeypatch.setattr(consumption, "SETTLING_SECONDS", 0.01)
        monkeypatch.setattr(outages, "RECONNECTING", FAST)
        service = Service(drain_timeout=0.01, concurrency=1)
        service.broker.failures[method] = [ConnectionError() for _ in range(10_000)]
        blocking = Blocking()

        async def block_last(event: UserJoined) -> None:
            if event.user_id == 8:
                await blocking(event)

        service.on_joined = block_last
        if method == "dead_letter":
            service.broker.put(b"", message_id="dead")
        service.put(7)
        service.put(8)
        async with asyncio.timeout(10), service.consumer():
            await service.broker.until(lambda: service.broker.unsettled)
            await pause(20)

        left = {each.message_id for each in service.broker.waiting}
        assert "8" in left
        if method == "ack":
            assert "7" in left
        if method == "dead_letter":
            assert "dead" in left
        # Of what was decided the broker may know already.
        given_back = {"ack": ["8"], "nack": [], "dead_letter": ["7", "8"]}
        assert sorted(service.broker.given_back) == given_back[method]
        assert not service.broker.unsettled


class TestCancellation:
    @pytest.mark.parametrize("steps", range(40))
    async def test_at_every_await(self, steps: int):
        """Wherever it is cancelled, it ends, and nothing is lost or left running."""
        service = Service(concurrency=2, prefetch=4)
        failing = {2}

        async def work(event: UserJoined) -> None:
            await pause(2)
            if event.user_id in failing:
                failing.discard(event.user_id)
                raise FailedError

        service.on_joined = work
        for user_id in range(6):
            service.put(user_id, key=str(user_id % 3))
        service.broker.put(b"", message_id="dead")

        async with asyncio.timeout(10):
            task = await cancelled_after(steps, service.consumer().run())

        assert task.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        broker = service.broker
        assert not broker.unsettled
        ids = {*broker.ids, *(each.message_id for each in broker.waiting)}
        ids |= {message_id for message_id, _ in dead(service)}
        assert ids == {*"012345", "dead"}
        assert {int(message_id) for message_id in broker.ids} <= set(service.handled)

        await service.consume()
        assert set(service.handled) == set(range(6))

    async def test_with_everything_else(self):
        """Where a program ends, and cancels all tasks, no handler is called again."""
        service = Service()
        blocking = Blocking()
        handlers: list[Any] = []

        async def block(event: UserJoined) -> None:
            handlers.append(asyncio.current_task())
            await blocking(event)

        service.on_joined = block
        service.put(7)
        consumer = service.consumer()
        running = asyncio.create_task(consumer.run())
        await blocking.until(1)
        for task in (*handlers, running):
            task.cancel()
        await asyncio.wait([running])

        assert (blocking.entered, blocking.left) == ([7], [])
        assert (await consumer.health())["retried"] == 0
        assert [each.message_id for each in service.broker.waiting] == ["7"]

    async def test_together_with_the_handler(self):
        """Nor is anything lost where handlers cancel themselves at the same time."""
        for steps in range(40):
            service = Service()

            async def cancel(event: UserJoined) -> None:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                raise FailedError

            service.on_joined = cancel
            for user_id in range(3):
                service.put(user_id)
            async with asyncio.timeout(10):
                task = await cancelled_after(steps, service.consumer().run())

            assert task.cancelled()
            assert {each.message_id for each in service.broker.waiting} | {
                message_id for message_id, _ in dead(service)
            } == {*"012"}

    async def test_twice(self):
        """Cancelled again while it ends, it ends at once, and leaves nothing."""
        service = Service()
        gate = asyncio.Event()

        async def ignore(event: UserJoined) -> None:
            with suppress(asyncio.CancelledError):
                await gate.wait()
            await gate.wait()

        service.on_joined = ignore
        service.put(7)
        running = asyncio.create_task(service.consumer().run())
        await service.broker.until(lambda: service.broker.unsettled)
        await pause(5)
        running.cancel()
        await pause(5)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running])
        gate.set()
        await pause(5)

        assert running.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [each.message_id for each in service.broker.waiting] == ["7"]

    async def test_runs_after_a_cancellation(self):
        """A task that was cancelled before can still consume, to clean up, say."""
        service = Service(max_attempts=1)
        service.on_joined = Failing(asyncio.CancelledError())
        service.put(7)

        async def clean_up() -> None:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            consumer = service.consumer()
            running = asyncio.create_task(service.broker.settled())
            running.add_done_callback(lambda _: consumer.stop())
            await consumer.run()

        task = asyncio.create_task(clean_up())
        await pause()
        task.cancel()
        await task

        [(_, cause)] = dead(service)
        assert cause.startswith("CancelledError (consumer/test_consumption.py:")

"""What a request changes is committed together, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from diator import DomainEvent, Mediator, Request, StreamRequest, collect
from diator.exceptions import ConfigurationError, EventsError, UnresolvableError
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.transaction import TransactionMiddleware


class Session:
    """A unit of work, told apart by its number."""

    def __init__(self, number):
        self.number = number


class Database:
    """
    Notes down what becomes of transactions.

    Attributes:
        failures: What a step fails with, by its name in the ledger.

    """

    def __init__(self):
        self.ledger = []
        self.failures = {}
        self._sessions = 0

    @property
    def story(self):
        return ", ".join(self.ledger)

    def note(self, step):
        self.ledger.append(step)
        if step in self.failures:
            raise self.failures[step]

    async def open_session(self):
        self._sessions += 1
        yield Session(self._sessions)

    def begin(self, session: Session):
        return self._end(session, "begin", "commit", "roll back")

    def savepoint(self, session: Session):
        return self._end(session, "savepoint", "release", "roll back to savepoint")

    @asynccontextmanager
    async def _end(self, session, begin, commit, roll_back):
        self.note(f"{begin} {session.number}")
        try:
            yield
        except BaseException as error:
            self.note(f"{roll_back} {session.number} after {type(error).__name__}")
            raise
        self.note(f"{commit} {session.number}")


@dataclass(frozen=True)
class Outer(Request[object]):
    """Its handler does what it is told."""


@dataclass(frozen=True)
class Inner(Request[object]):
    """Sent within another request."""

    fails: bool = False


@dataclass(frozen=True)
class Innermost(Request[object]):
    """Sent within that."""


@dataclass(frozen=True)
class Many(StreamRequest[int]):
    pass


@dataclass(frozen=True)
class Happened(DomainEvent):
    name: str = "it"


class FailedError(Exception):
    """What tests fail with on purpose."""


async def swallow(request, handle):
    try:
        return await handle(request)
    except FailedError:
        return "swallowed"


async def retry(request, handle):
    try:
        return await handle(request)
    except FailedError:
        return await handle(request)


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def mediator(database):
    """A mediator whose events are noted down, with requests that do as they say."""
    mediator = Mediator()
    mediator.container.scoped(Session, database.open_session)

    @mediator.handles(Happened)
    async def hear(event):
        database.note(f"hear {event.name}")

    @mediator.handles(Inner)
    async def handle_inner(request, session: Session):
        database.note(f"inner {session.number}")
        collect(Happened("inner"))
        if request.fails:
            raise FailedError(request)
        return "inner"

    return mediator


@pytest.fixture
def transaction(database):
    return TransactionMiddleware(database.begin)


class TestOutcome:
    async def test_success(self, mediator, database, transaction):
        """What succeeds is committed, and answered."""
        mediator.use(transaction)

        assert await mediator.send(Inner()) == "inner"
        assert database.story == "begin 1, inner 1, commit 1, hear inner"

    async def test_exception(self, mediator, database, transaction):
        """What raises is rolled back, and its events are dropped."""
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Inner(fails=True))
        assert database.story == "begin 1, inner 1, roll back 1 after FailedError"

    async def test_cancellation(self, mediator, database, transaction):
        """What is cancelled is rolled back, and stays cancelled."""
        inside = asyncio.Event()

        @mediator.handles(Outer)
        async def handle(request):
            inside.set()
            await asyncio.Event().wait()

        mediator.use(transaction)

        task = asyncio.create_task(mediator.send(Outer()))
        await inside.wait()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert database.story == "begin 1, roll back 1 after CancelledError"

    async def test_cancellation_and_failure_to_roll_back(
        self, mediator, database, transaction
    ):
        """What is cancelled stays cancelled, although the rollback fails."""
        database.failures["roll back 1 after CancelledError"] = ConnectionError()
        inside = asyncio.Event()

        @mediator.handles(Outer)
        async def handle(request):
            inside.set()
            await asyncio.Event().wait()

        mediator.use(transaction)

        task = asyncio.create_task(mediator.send(Outer()))
        await inside.wait()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()

    async def test_timeout(self, mediator, database, transaction):
        """A timeout outside rolls back as well."""

        async def time_out(request, handle):
            async with asyncio.timeout(0):
                return await handle(request)

        @mediator.handles(Outer)
        async def handle(request):
            await asyncio.Event().wait()

        mediator.use(time_out)
        mediator.use(transaction)

        with pytest.raises(TimeoutError):
            await mediator.send(Outer())
        assert database.story == "begin 1, roll back 1 after CancelledError"

    async def test_failure_inside(self, mediator, database, transaction):
        """A middleware inside that fails after the handler rolls back."""

        async def fail(request, handle):
            await handle(request)
            raise FailedError

        mediator.use(transaction)
        mediator.use(fail)

        with pytest.raises(FailedError):
            await mediator.send(Inner())
        assert database.story == "begin 1, inner 1, roll back 1 after FailedError"

    async def test_failure_outside(self, mediator, database, transaction):
        """A middleware outside that fails comes too late, but no event leaves."""

        async def fail(request, handle):
            await handle(request)
            raise FailedError

        mediator.use(fail)
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Inner())
        assert database.story == "begin 1, inner 1, commit 1"

    async def test_failure_to_begin(self, mediator, database, transaction):
        """Where no transaction can begin, nothing is handled."""
        database.failures["begin 1"] = FailedError()
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Inner())
        assert database.story == "begin 1"

    async def test_failure_to_commit(self, mediator, database, transaction):
        """What cannot be committed fails, and its events are dropped."""
        database.failures["commit 1"] = FailedError()
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Inner())
        assert database.story == "begin 1, inner 1, commit 1"

    async def test_stream(self, mediator, database, transaction):
        """A stream is one transaction."""

        @mediator.handles(Many)
        async def handle(request):
            for number in range(2):
                database.note(f"item {number}")
                yield number

        mediator.use(transaction)

        assert [item async for item in mediator.stream(Many())] == [0, 1]
        assert database.story == "begin 1, item 0, item 1, commit 1"

    async def test_stream_that_is_left(self, mediator, database, transaction):
        """A stream that is not read to its end is rolled back."""

        @mediator.handles(Many)
        async def handle(request):
            for number in range(2):
                yield number

        mediator.use(transaction)

        async with aclosing(mediator.stream(Many())) as items:
            await anext(items)
        assert database.story == "begin 1, roll back 1 after CancelledError"


class TestEvents:
    async def test_swallowed_exception(self, mediator, database, transaction):
        """Events of what was rolled back are dropped, even if nobody sees it fail."""
        mediator.use(swallow)
        mediator.use(transaction)

        assert await mediator.send(Inner(fails=True)) == "swallowed"
        assert database.story == "begin 1, inner 1, roll back 1 after FailedError"

    async def test_swallowed_failure_to_commit(self, mediator, database, transaction):
        """So are those of what could not be committed."""
        database.failures["commit 1"] = FailedError()
        mediator.use(swallow)
        mediator.use(transaction)

        assert await mediator.send(Inner()) == "swallowed"
        assert database.story == "begin 1, inner 1, commit 1"

    async def test_swallowed_inside(self, mediator, database, transaction):
        """A failure that the transaction does not see commits, without its events."""
        mediator.use(transaction)
        mediator.use(swallow)

        assert await mediator.send(Inner(fails=True)) == "swallowed"
        assert database.story == "begin 1, inner 1, commit 1"

    async def test_raised_outside(self, mediator, database, transaction):
        """Events raised outside of the transaction do not depend on it."""

        async def raise_event(request, handle):
            collect(Happened("outside"))
            return await handle(request)

        mediator.use(raise_event)
        mediator.use(swallow)
        mediator.use(transaction)

        await mediator.send(Inner(fails=True))
        assert database.story == (
            "begin 1, inner 1, roll back 1 after FailedError, hear outside"
        )


class TestRetry:
    async def test_outside(self, mediator, database, transaction):
        """A retry outside begins anew, and only the events of its success leave."""
        tries = []

        @mediator.handles(Outer)
        async def handle(request):
            tries.append(request)
            collect(Happened(f"try {len(tries)}"))
            if len(tries) == 1:
                raise FailedError

        mediator.use(retry)
        mediator.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, roll back 1 after FailedError, begin 1, commit 1, hear try 2"
        )

    async def test_outside_of_a_failure_to_commit(
        self, mediator, database, transaction
    ):
        """A commit that fails is tried again with all that it was to commit."""
        database.failures["commit 1"] = FailedError()

        async def mend(request, handle):
            try:
                return await handle(request)
            finally:
                database.failures.clear()

        mediator.use(retry)
        mediator.use(mend)
        mediator.use(transaction)

        await mediator.send(Inner())
        assert database.story == (
            "begin 1, inner 1, commit 1, begin 1, inner 1, commit 1, hear inner"
        )

    async def test_inside(self, mediator, database, transaction):
        """A retry inside stays in the transaction."""
        mediator.use(transaction)
        mediator.use(retry)

        with pytest.raises(FailedError):
            await mediator.send(Inner(fails=True))
        assert database.story == (
            "begin 1, inner 1, inner 1, roll back 1 after FailedError"
        )


class Nesting:
    """Has one request sent within another."""

    @pytest.fixture
    def survive(self, mediator, database):
        """Have the outer request survive the failure of the inner one."""

        @mediator.handles(Outer)
        async def handle(request, session: Session):
            with pytest.raises(FailedError):
                await mediator.send(Inner(fails=True))
            collect(Happened("outer"))
            database.note(f"outer {session.number}")

    @pytest.fixture
    def succeed(self, mediator, database):
        """Have the outer request send the inner one, and go on."""

        @mediator.handles(Outer)
        async def handle(request, session: Session):
            await mediator.send(Inner())
            database.note(f"outer {session.number}")

    @pytest.fixture
    def fail(self, mediator, database):
        """Have the outer request fail after the inner one has succeeded."""

        @mediator.handles(Outer)
        async def handle(request, session: Session):
            await mediator.send(Inner())
            database.note(f"outer {session.number}")
            raise FailedError

    @pytest.fixture
    def deep(self, mediator, database):
        """Have three requests sent within each other."""

        @mediator.handles(Innermost)
        async def handle_innermost(request, session: Session):
            database.note(f"innermost {session.number}")

        async def send_innermost(request, handle):
            await mediator.send(Innermost())
            return await handle(request)

        @mediator.handles(Outer)
        async def handle(request, session: Session):
            await mediator.send(Inner())
            database.note(f"outer {session.number}")

        return send_innermost


class TestJoin(Nesting):
    async def test_success(self, mediator, database, transaction, succeed):
        """A nested send is part of the transaction around it."""
        mediator.use(transaction)

        await mediator.send(Outer())
        assert database.story == "begin 1, inner 1, outer 1, commit 1, hear inner"

    async def test_outer_failure(self, mediator, database, transaction, fail):
        """It is rolled back with it."""
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Outer())
        assert database.story == (
            "begin 1, inner 1, outer 1, roll back 1 after FailedError"
        )

    async def test_inner_failure(self, mediator, database, transaction, survive):
        """Its failure is left to the outer one; its events are dropped in any case."""
        mediator.use(transaction)

        await mediator.send(Outer())
        assert database.story == "begin 1, inner 1, outer 1, commit 1, hear outer"

    async def test_deep(self, mediator, database, transaction, deep):
        """However deep it is nested, there is one transaction."""
        mediator.use(transaction)
        mediator.use(deep, only=Inner)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, innermost 1, inner 1, outer 1, commit 1, hear inner"
        )

    async def test_one_after_the_other(self, mediator, database, transaction):
        """Where the outer send has no transaction, each nested one has its own."""

        @mediator.handles(Outer)
        async def handle(request):
            await mediator.send(Inner())
            with pytest.raises(FailedError):
                await mediator.send(Inner(fails=True))

        mediator.use(transaction, only=Inner)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, inner 1, commit 1, "
            "begin 1, inner 1, roll back 1 after FailedError, hear inner"
        )

    async def test_independent(self, mediator, database, transaction):
        """A send that is independent of the outer one has a transaction of its own."""

        @mediator.handles(Outer)
        async def handle(request, session: Session):
            await mediator.independent().send(Inner())
            raise FailedError

        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Outer())
        assert database.story == (
            "begin 1, begin 2, inner 2, commit 2, hear inner, "
            "roll back 1 after FailedError"
        )

    async def test_other_middleware(self, mediator, database, transaction, succeed):
        """Only a transaction of the same middleware is joined: there may be two."""
        other = Database()
        mediator.use(transaction)
        mediator.use(TransactionMiddleware(lambda: other.begin(Session("other"))))

        await mediator.send(Outer())
        assert database.story == "begin 1, inner 1, outer 1, commit 1, hear inner"
        assert other.story == "begin other, commit other"


class TestSavepoint(Nesting):
    @pytest.fixture
    def transaction(self, database):
        return TransactionMiddleware(
            database.begin, nested="savepoint", savepoint=database.savepoint
        )

    async def test_success(self, mediator, database, transaction, succeed):
        """A nested send is a savepoint in the transaction around it."""
        mediator.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, savepoint 1, inner 1, release 1, outer 1, commit 1, hear inner"
        )

    async def test_outer_failure(self, mediator, database, transaction, fail):
        """It is rolled back with it."""
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Outer())
        assert database.story == (
            "begin 1, savepoint 1, inner 1, release 1, outer 1, "
            "roll back 1 after FailedError"
        )

    async def test_inner_failure(self, mediator, database, transaction, survive):
        """It fails alone: what the outer one changed is committed."""
        mediator.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, savepoint 1, inner 1, "
            "roll back to savepoint 1 after FailedError, "
            "outer 1, commit 1, hear outer"
        )

    async def test_deep(self, mediator, database, transaction, deep):
        """Each level has a savepoint of its own."""
        mediator.use(transaction)
        mediator.use(deep, only=Inner)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, savepoint 1, savepoint 1, innermost 1, release 1, "
            "inner 1, release 1, outer 1, commit 1, hear inner"
        )

    async def test_failure_to_release(self, mediator, database, transaction, succeed):
        """A savepoint that cannot be released fails the nested send."""
        database.failures["release 1"] = FailedError()
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Outer())
        assert database.story == (
            "begin 1, savepoint 1, inner 1, release 1, roll back 1 after FailedError"
        )


class TestNew(Nesting):
    @pytest.fixture
    def transaction(self, database):
        return TransactionMiddleware(database.begin, nested="new")

    async def test_success(self, mediator, database, transaction, succeed):
        """A nested send has a transaction, and a session, of its own."""
        mediator.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, begin 2, inner 2, commit 2, outer 1, commit 1, hear inner"
        )

    async def test_outer_failure(self, mediator, database, transaction, fail):
        """What it has committed stays, but its events go with the outer send."""
        mediator.use(transaction)

        with pytest.raises(FailedError):
            await mediator.send(Outer())
        assert database.story == (
            "begin 1, begin 2, inner 2, commit 2, outer 1, "
            "roll back 1 after FailedError"
        )

    async def test_inner_failure(self, mediator, database, transaction, survive):
        """It fails alone."""
        mediator.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, begin 2, inner 2, roll back 2 after FailedError, "
            "outer 1, commit 1, hear outer"
        )

    async def test_deep(self, mediator, database, transaction, deep):
        """Each level has a transaction of its own."""
        mediator.use(transaction)
        mediator.use(deep, only=Inner)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, begin 2, begin 3, innermost 3, commit 3, "
            "inner 2, commit 2, outer 1, commit 1, hear inner"
        )

    async def test_at_the_same_time(self, mediator, database, transaction):
        """Nested sends at the same time have a session and a transaction each."""
        both_inside = asyncio.Barrier(2)

        async def meet(request, handle):
            await both_inside.wait()
            return await handle(request)

        @mediator.handles(Outer)
        async def handle(request):
            await asyncio.gather(
                mediator.send(Inner()),
                mediator.send(Inner(fails=True)),
                return_exceptions=True,
            )

        mediator.use(transaction)
        mediator.use(meet, only=Inner)

        await mediator.send(Outer())
        assert sorted(database.ledger) == [
            "begin 1",
            "begin 2",
            "begin 3",
            "commit 1",
            "commit 2",
            "hear inner",
            "inner 2",
            "inner 3",
            "roll back 3 after FailedError",
        ]


class TestSecondPipeline:
    @pytest.fixture
    def mediator(self, database):
        """A mediator that raises two events, of which the first raises another."""
        mediator = Mediator()
        mediator.container.scoped(Session, database.open_session)

        @mediator.handles(Happened)
        async def hear(event, session: Session):
            if event.name == "first":
                collect(Happened("follower"))
            database.note(f"hear {event.name} {session.number}")

        @mediator.handles(Outer)
        async def handle(request, session: Session):
            database.note(f"outer {session.number}")
            collect(Happened("first"))
            collect(Happened("second"))
            return "answer"

        return mediator

    async def test_success(self, mediator, database, transaction):
        """Each event has a transaction of its own, after that of the request."""
        mediator.use(transaction)
        mediator.event_emitter.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, outer 1, commit 1, "
            "begin 2, hear first 2, commit 2, "
            "begin 3, hear second 3, commit 3, "
            "begin 4, hear follower 4, commit 4"
        )

    async def test_exception(self, mediator, database, transaction):
        """An event handler that fails is rolled back alone, with what it raised."""
        database.failures["hear first 2"] = FailedError()
        mediator.event_emitter.use(transaction)

        with pytest.raises(EventsError) as caught:
            await mediator.send(Outer())
        assert caught.value.response == "answer"
        [failure] = caught.value.exceptions
        assert failure.event == Happened("first")
        assert database.story == (
            "outer 1, begin 2, hear first 2, roll back 2 after EventsError, "
            "begin 3, hear second 3, commit 3"
        )

    async def test_failure_to_commit(self, mediator, database, transaction):
        """Events of an event whose transaction was not committed are dropped."""
        database.failures["commit 2"] = FailedError()
        mediator.event_emitter.use(transaction)

        with pytest.raises(EventsError) as caught:
            await mediator.send(Outer())
        [failure] = caught.value.exceptions
        assert failure.event == Happened("first")
        assert failure.__cause__ is database.failures["commit 2"]
        assert database.story == (
            "outer 1, begin 2, hear first 2, commit 2, begin 3, hear second 3, commit 3"
        )

    async def test_swallowed_failure_to_commit(self, mediator, database, transaction):
        """They are dropped even if nobody sees it fail."""
        database.failures["commit 2"] = FailedError()
        mediator.event_emitter.use(swallow)
        mediator.event_emitter.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "outer 1, begin 2, hear first 2, commit 2, begin 3, hear second 3, commit 3"
        )

    async def test_sends(self, mediator, database, transaction):
        """What an event handler sends joins the transaction of the event."""

        @mediator.handles(Inner)
        async def handle_inner(request, session: Session):
            database.note(f"inner {session.number}")

        async def send_inner(event, handle):
            await mediator.send(Inner())
            return await handle(event)

        async def emit_second_only(event, handle):
            if event.name == "second":
                await handle(event)

        mediator.use(transaction)
        mediator.event_emitter.use(emit_second_only)
        mediator.event_emitter.use(transaction)
        mediator.event_emitter.use(send_inner)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, outer 1, commit 1, begin 2, inner 2, hear second 2, commit 2"
        )

    async def test_within_the_transaction_of_the_request(
        self, mediator, database, transaction
    ):
        """Events handled inside the transaction of a request join it."""
        mediator.use(transaction)
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))
        mediator.event_emitter.use(transaction)

        await mediator.send(Outer())
        assert database.story == (
            "begin 1, outer 1, hear first 1, hear second 1, hear follower 1, commit 1"
        )

    async def test_failure_within_the_transaction_of_the_request(
        self, mediator, database, transaction
    ):
        """An event handler that fails there rolls all of it back."""
        database.failures["hear first 1"] = FailedError()
        mediator.use(transaction)
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))

        with pytest.raises(EventsError):
            await mediator.send(Outer())
        assert database.story == (
            "begin 1, outer 1, hear first 1, hear second 1, "
            "roll back 1 after EventsError"
        )


class TestConcurrency:
    async def test_at_the_same_time(self, mediator, database, transaction):
        """Concurrent sends have a transaction each, and fail alone."""
        all_inside = asyncio.Barrier(3)

        async def meet(request, handle):
            await all_inside.wait()
            return await handle(request)

        mediator.use(transaction)
        mediator.use(meet)

        answers = await asyncio.gather(
            mediator.send(Inner()),
            mediator.send(Inner(fails=True)),
            mediator.send(Inner()),
            return_exceptions=True,
        )

        assert [type(answer) for answer in answers] == [str, FailedError, str]
        assert database.ledger[:3] == ["begin 1", "begin 2", "begin 3"]
        assert sorted(step for step in database.ledger if " 2" in step) == [
            "begin 2",
            "inner 2",
            "roll back 2 after FailedError",
        ]
        assert sorted(step for step in database.ledger if "commit" in step) == [
            "commit 1",
            "commit 3",
        ]

    @pytest.mark.parametrize("first_fails", [False, True])
    async def test_beside_each_other_in_a_send(self, database, first_fails):
        """Nested sends at once do not join each other where the outer one has none."""
        second_inside, first_over = asyncio.Event(), asyncio.Event()
        transactions = iter(["first", "second"])
        mediator = Mediator()

        @mediator.handles(Inner)
        async def handle_inner(request):
            if request == first:
                await second_inside.wait()
                if first_fails:
                    raise FailedError
            else:
                second_inside.set()
                await first_over.wait()
                database.note("second writes")

        async def send_first():
            with suppress(FailedError):
                await mediator.send(first)
            first_over.set()

        @mediator.handles(Outer)
        async def handle(request):
            await asyncio.gather(send_first(), mediator.send(Inner()))

        first = Inner(fails=True)
        mediator.use(
            TransactionMiddleware(lambda: database.begin(Session(next(transactions)))),
            only=Inner,
        )

        await mediator.send(Outer())
        assert database.ledger[:2] == ["begin first", "begin second"]
        assert database.ledger[-2:] == ["second writes", "commit second"]


class TestBegin:
    async def test_without_parameters(self, mediator, database):
        """What begins a transaction may do without the container."""
        mediator.use(TransactionMiddleware(lambda: database.begin(Session("own"))))

        await mediator.send(Inner())
        assert database.story == "begin own, inner 1, commit own, hear inner"

    async def test_generator(self, mediator, database):
        """It may be written as a generator function, and have several parameters."""

        @asynccontextmanager
        async def begin(session: Session, *, shared: Session, size: int = 3):
            database.note(f"begin {session.number} {shared is session} {size}")
            yield
            database.note("commit")

        mediator.use(TransactionMiddleware(begin))

        await mediator.send(Inner())
        assert database.story == "begin 1 True 3, inner 1, commit, hear inner"

    async def test_unresolvable(self, mediator):
        """A parameter that the container does not know is named."""

        def begin(name: str): ...

        mediator.use(TransactionMiddleware(begin))

        with pytest.raises(UnresolvableError, match=r"begin.*'name'"):
            await mediator.send(Inner())

    def test_unknown_mode(self, database):
        """A way of nesting that there is not is refused."""
        with pytest.raises(ConfigurationError, match="'joined'"):
            TransactionMiddleware(database.begin, nested="joined")

    def test_savepoint_missing(self, database):
        """Savepoints need to be told how to begin."""
        with pytest.raises(ConfigurationError, match="savepoint="):
            TransactionMiddleware(database.begin, nested="savepoint")

    @pytest.mark.parametrize("nested", ["join", "new"])
    def test_savepoint_superfluous(self, database, nested):
        """A savepoint that would never begin is a mistake."""
        with pytest.raises(ConfigurationError, match="nested='savepoint'"):
            TransactionMiddleware(
                database.begin, nested=nested, savepoint=database.savepoint
            )

    @pytest.mark.parametrize("kind", ["coroutine", "no function"])
    def test_unsuitable(self, database, kind):
        """What is awaited, or cannot be called, is refused early, with the remedy."""

        async def begin():
            return database.begin(Session("own"))

        with pytest.raises(ConfigurationError, match="cannot begin a transaction"):
            TransactionMiddleware(begin if kind == "coroutine" else "begin")

    async def test_plain_generator(self, mediator, database):
        """It may be a generator function, without the decorator of contextlib."""

        async def begin(session: Session):
            database.note(f"begin {session.number}")
            yield
            database.note("commit")

        mediator.use(TransactionMiddleware(begin))

        await mediator.send(Inner())
        assert database.story == "begin 1, inner 1, commit, hear inner"

    async def test_that_swallows(self, mediator, database):
        """A transaction that swallows the failure does not make a success of it."""

        @asynccontextmanager
        async def begin():
            try:
                yield
            except FailedError:
                database.note("roll back")

        mediator.use(TransactionMiddleware(begin))

        with pytest.raises(FailedError):
            await mediator.send(Inner(fails=True))
        assert database.story == "inner 1, roll back"


class TestConcurrentHandlers:
    async def test_refused(self):
        """A handler that would run outside of the transaction is refused."""
        database = Database()
        mediator = Mediator()
        mediator.container.scoped(Session, database.open_session)
        mediator.event_emitter.use(TransactionMiddleware(database.begin))
        handled = []

        @mediator.handles(Happened, concurrent=True)
        async def handle_apart(event: Happened) -> None:
            handled.append(event)

        with pytest.raises(EventsError) as caught:
            await mediator.event_emitter.emit(Happened())

        [failure] = caught.value.exceptions
        assert isinstance(failure.__cause__, ConfigurationError)
        assert "bind it without" in str(failure.__cause__)
        assert handled == []
        assert database.story == "begin 1, roll back 1 after EventsError"

    async def test_after_the_transaction(self):
        """Once the transaction has ended, it is handled."""
        database = Database()
        mediator = Mediator()
        mediator.container.scoped(Session, database.open_session)
        mediator.use(TransactionMiddleware(database.begin))
        handled = []

        @mediator.handles(Outer)
        async def raise_event(request: Outer) -> None:
            collect(Happened())

        @mediator.handles(Happened, concurrent=True)
        async def handle_apart(event: Happened) -> None:
            handled.append(event)

        await mediator.send(Outer())

        assert len(handled) == 1

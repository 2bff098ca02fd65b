"""One scope for each outermost send, whatever the container."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import pytest
from dishka import Provider, make_async_container
from dishka import Scope as DishkaScope

from diator import (
    DomainEvent,
    Mediator,
    NotificationEvent,
    Request,
    StreamRequest,
    collect,
)
from diator.container.dishka import DishkaContainer
from diator.container.lagom import LagomContainer
from diator.container.protocol import Scoped
from diator.container.scope import current_scope, own_scope
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.exceptions import EventsError, NoSendError, UnresolvableError


class Session:
    """What a send shares."""

    def __init__(self, number):
        self.number = number


class Sessions:
    """
    Opens sessions, and notes down what becomes of them.

    Opening and closing wait for `may_open` and `may_close`; closing raises `failure`.
    """

    def __init__(self):
        self.ledger = []
        self.opening = asyncio.Event()
        self.closing = asyncio.Event()
        self.may_open = asyncio.Event()
        self.may_close = asyncio.Event()
        self.may_open.set()
        self.may_close.set()
        self.failure = None
        self._count = 0

    @property
    def story(self):
        return ", ".join(self.ledger)

    async def open(self):
        self._count += 1
        session = Session(self._count)
        self.ledger.append(f"open {session.number}")
        self.opening.set()
        await self.may_open.wait()
        return session

    async def close(self, session, error):
        told = "" if error is None else f" after {type(error).__name__}"
        self.ledger.append(f"close {session.number}{told}")
        self.closing.set()
        await self.may_close.wait()
        if self.failure is not None:
            raise self.failure


def in_lagom(sessions):
    async def open_session():
        session = await sessions.open()
        try:
            yield session
        except BaseException as error:
            await sessions.close(session, error)
            raise
        await sessions.close(session, None)

    container = LagomContainer()
    container.scoped(Session, open_session)
    return container


def in_dishka(sessions):
    async def open_session():
        session = await sessions.open()
        # dishka sends the exception instead of raising it.
        await sessions.close(session, (yield session))

    provider = Provider(scope=DishkaScope.REQUEST)
    provider.provide(open_session, provides=Session)
    return DishkaContainer(make_async_container(provider))


@dataclass(frozen=True)
class Ask(Request[object]):
    pass


@dataclass(frozen=True)
class AskWithin(Request[object]):
    """Sent while another request is handled."""


@dataclass(frozen=True)
class AskForMany(StreamRequest[object]):
    pass


@dataclass(frozen=True)
class Happened(DomainEvent):
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class Told(NotificationEvent):
    pass


@pytest.fixture
async def sessions():
    return Sessions()


@pytest.fixture(params=[in_lagom, in_dishka])
def mediator(request, sessions):
    return Mediator(
        container=request.param(sessions), message_broker=InMemoryMessageBroker()
    )


@pytest.fixture
def answers_with_session(mediator):
    """Have both requests answered with the session that their handler was given."""

    @mediator.handles(AskWithin)
    async def answer_within(request, session: Session):
        return session

    @mediator.handles(Ask)
    async def answer(request, session: Session):
        return session


def flat(error):
    """Give the members of exception groups; dishka raises one when closing fails."""
    if isinstance(error, BaseExceptionGroup):
        return [member for group in error.exceptions for member in flat(group)]
    return [error]


class TestShared:
    async def test_middlewares_and_handler(
        self, mediator, sessions, answers_with_session
    ):
        """The middlewares and the handler have one resource between them."""
        seen = []

        async def look(request, handle):
            seen.append(await current_scope().get(Session))
            answer = await handle(request)
            seen.append(await current_scope().get(Session))
            return answer

        mediator.use(look)
        mediator.use(look)

        answer = await mediator.send(Ask())

        assert seen == [answer] * 4
        assert sessions.story == "open 1, close 1"

    async def test_nested_sends(self, mediator, sessions):
        """A nested send, and one nested in that, have the resource of the outermost."""

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            return session

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            first = await mediator.send(AskWithin())
            sessions.ledger.append("still open")
            return session, first, await mediator.send(AskWithin())

        session, *others = await mediator.send(Ask())

        assert others == [session, session]
        assert sessions.story == "open 1, still open, close 1"

    async def test_opened_by_nested_send(self, mediator, sessions):
        """What a nested send opened lives as long as the outermost send."""

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            return session

        @mediator.handles(Ask)
        async def answer(request):
            within = await mediator.send(AskWithin())
            sessions.ledger.append("still open")
            return within, await current_scope().get(Session)

        within, outside = await mediator.send(Ask())

        assert within is outside
        assert sessions.story == "open 1, still open, close 1"

    async def test_tasks_at_the_same_time(self, mediator, sessions):
        """Tasks that ask at the same time share what is opened once."""
        sessions.may_open.clear()

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            return session

        async def let_it_open():
            # Its turn comes after that of both tasks, which have asked by then.
            await sessions.opening.wait()
            sessions.may_open.set()

        @mediator.handles(Ask)
        async def answer(request):
            return await asyncio.gather(
                mediator.send(AskWithin()), mediator.send(AskWithin()), let_it_open()
            )

        first, second, _ = await mediator.send(Ask())

        assert first is second
        assert sessions.story == "open 1, close 1"

    async def test_retries(self, mediator, sessions):
        """A second try has the resource of the first one."""
        tried = []

        async def try_again(request, handle):
            try:
                return await handle(request)
            except ConnectionError:
                return await handle(request)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            tried.append(session)
            if len(tried) == 1:
                raise ConnectionError
            return session

        mediator.use(try_again)

        assert [await mediator.send(Ask())] * 2 == tried
        assert sessions.story == "open 1, close 1"

    async def test_stream(self, mediator, sessions):
        """A stream has one resource from its first item to its end."""

        @mediator.handles(AskForMany)
        async def answer(request, session: Session):
            yield session
            yield await current_scope().get(Session)
            sessions.ledger.append("end")

        first, second = [item async for item in mediator.stream(AskForMany())]

        assert first is second
        assert sessions.story == "open 1, end, close 1"

    async def test_stream_that_is_left(self, mediator, sessions):
        """The resource of a stream that nobody reads to its end is closed at once."""

        @mediator.handles(AskForMany)
        async def answer(request, session: Session):
            yield session
            yield session

        async with aclosing(mediator.stream(AskForMany())) as items:
            await anext(items)

        assert sessions.story == "open 1, close 1 after CancelledError"


class TestFirstUse:
    async def test_unused(self, mediator, sessions):
        """Nothing is opened for who asks for nothing."""

        @mediator.handles(Ask)
        async def answer(request):
            return "answer"

        await mediator.send(Ask())

        assert sessions.story == ""

    async def test_refused(self, mediator, sessions, answers_with_session):
        """Nothing is opened for a request that does not get to its handler."""

        async def refuse(request, handle):
            return "refused"

        mediator.use(refuse)

        assert await mediator.send(Ask()) == "refused"
        assert sessions.story == ""

    async def test_as_late_as_possible(self, mediator, sessions, answers_with_session):
        """A resource of the handler is opened behind the middlewares."""

        async def look(request, handle):
            sessions.ledger.append("before")
            answer = await handle(request)
            sessions.ledger.append("after")
            return answer

        mediator.use(look)

        await mediator.send(Ask())

        assert sessions.story == "before, open 1, after, close 1"


class TestClosed:
    async def test_exception(self, mediator, sessions):
        """A resource is told of the exception that the send fails with."""

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            raise ValueError(request)

        with pytest.raises(ValueError, match="Ask"):
            await mediator.send(Ask())
        assert sessions.story == "open 1, close 1 after ValueError"

    async def test_exception_of_a_middleware(
        self, mediator, sessions, answers_with_session
    ):
        """It is told of what fails after the handler, too."""

        async def fail(request, handle):
            raise ValueError(await handle(request))

        mediator.use(fail)

        with pytest.raises(ValueError, match="Session"):
            await mediator.send(Ask())
        assert sessions.story == "open 1, close 1 after ValueError"

    async def test_swallowed_exception(self, mediator, sessions):
        """What matters is the send: an exception that does not leave it is not told."""

        async def swallow(request, handle):
            try:
                return await handle(request)
            except ValueError:
                return "swallowed"

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            raise ValueError(request)

        mediator.use(swallow)

        assert await mediator.send(Ask()) == "swallowed"
        assert sessions.story == "open 1, close 1"

    async def test_failure_of_a_nested_send(self, mediator, sessions):
        """A nested send that fails closes nothing if the outer one survives that."""

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            raise ValueError(request)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            with pytest.raises(ValueError, match="AskWithin"):
                await mediator.send(AskWithin())
            sessions.ledger.append("still open")

        await mediator.send(Ask())

        assert sessions.story == "open 1, still open, close 1"

    async def test_cancellation(self, mediator, sessions):
        """It is told of a cancellation, which passes."""

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            await asyncio.Event().wait()

        task = asyncio.create_task(mediator.send(Ask()))
        await sessions.opening.wait()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert sessions.story == "open 1, close 1 after CancelledError"

    async def test_before_the_events(self, mediator, sessions):
        """A resource is closed before the events leave, and does not hear of them."""

        @mediator.handles(Happened)
        async def fail(event):
            sessions.ledger.append("event")
            raise ValueError(event)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            collect(Happened())

        with pytest.raises(EventsError):
            await mediator.send(Ask())
        assert sessions.story == "open 1, close 1, event"

    async def test_error_while_closing(self, mediator, sessions):
        """An error while closing fails the send, and drops its events."""
        sessions.failure = ConnectionError("lost")

        @mediator.handles(Happened)
        async def hear(event):
            sessions.ledger.append("event")

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            collect(Happened())

        with pytest.raises((ConnectionError, ExceptionGroup)) as caught:
            await mediator.send(Ask())

        assert flat(caught.value) == [sessions.failure]
        assert sessions.story == "open 1, close 1"

    async def test_error_while_closing_after_a_failure(self, mediator, sessions):
        """An error while closing does not hide what the send failed with."""
        sessions.failure = ConnectionError("lost")
        cause = ValueError("failed first")

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            raise cause

        with pytest.raises((ConnectionError, ExceptionGroup)) as caught:
            await mediator.send(Ask())

        assert flat(caught.value) == [sessions.failure]
        assert caught.value.__context__ is cause

    async def test_error_while_closing_after_a_cancellation(self, mediator, sessions):
        """An error while closing does not hide a cancellation."""
        sessions.failure = ConnectionError("lost")

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            await asyncio.Event().wait()

        task = asyncio.create_task(mediator.send(Ask()))
        await sessions.opening.wait()
        task.cancel()

        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert task.cancelled()
        assert flat(caught.value.__cause__) == [sessions.failure]

    async def test_cancellation_while_closing(self, mediator, sessions):
        """A send that is cancelled while it closes its resources emits nothing."""
        sessions.may_close.clear()

        @mediator.handles(Happened)
        async def hear(event):
            sessions.ledger.append("event")

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            collect(Happened())

        task = asyncio.create_task(mediator.send(Ask()))
        await sessions.closing.wait()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert sessions.story == "open 1, close 1"

    async def test_cancellation_while_opening(self, mediator, sessions):
        """A resource that was never open is not closed."""
        sessions.may_open.clear()

        @mediator.handles(Ask)
        async def answer(request, session: Session): ...

        task = asyncio.create_task(mediator.send(Ask()))
        await sessions.opening.wait()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert sessions.story == "open 1"


class TestApart:
    async def test_one_after_the_other(self, mediator, sessions, answers_with_session):
        """Every send has a resource of its own."""
        first, second = await mediator.send(Ask()), await mediator.send(Ask())

        assert first is not second
        assert sessions.story == "open 1, close 1, open 2, close 2"

    async def test_at_the_same_time(self, mediator, sessions):
        """Concurrent sends share nothing; one that fails leaves the others alone."""
        all_inside = asyncio.Barrier(3)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            await all_inside.wait()
            if session.number == 2:
                raise ValueError(session)
            return session

        results = await asyncio.gather(
            *(mediator.send(Ask()) for _ in range(3)), return_exceptions=True
        )

        assert [type(result) for result in results] == [Session, ValueError, Session]
        assert results[0] is not results[2]
        assert sorted(sessions.ledger) == [
            "close 1",
            "close 2 after ValueError",
            "close 3",
            "open 1",
            "open 2",
            "open 3",
        ]

    async def test_independent(self, mediator, sessions):
        """An independent send has a resource of its own within another send."""

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            return session

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            within = await mediator.independent().send(AskWithin())
            return session, within, await mediator.send(AskWithin())

        outside, independent, within = await mediator.send(Ask())

        assert within is outside
        assert independent is not outside
        assert sessions.story == "open 1, open 2, close 2, close 1"

    async def test_another_mediator(self, mediator, sessions, answers_with_session):
        """A mediator called in the handler of another one has a scope of its own."""
        other = Mediator()

        @other.handles(Ask)
        async def answer(request):
            first = await mediator.send(AskWithin())
            sessions.ledger.append("still inside")
            return first, await mediator.send(AskWithin())

        first, second = await other.send(Ask())

        assert first is not second
        assert sessions.story == "open 1, close 1, still inside, open 2, close 2"

    async def test_own_scope(self, mediator, sessions):
        """A part of a send can have a scope of its own, which ends with it."""

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            return session

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            async with own_scope():
                own = await mediator.send(AskWithin())
            return session, own, await mediator.send(AskWithin())

        outside, own, after = await mediator.send(Ask())

        assert own is not outside
        assert after is outside
        assert sessions.story == "open 1, open 2, close 2, close 1"

    async def test_own_scope_that_fails(self, mediator, sessions):
        """It is told of the exception that it is left with, and the send is not."""

        async def fail_on_its_own():
            async with own_scope():
                raise ValueError(await current_scope().get(Session))

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            with pytest.raises(ValueError, match="Session"):
                await fail_on_its_own()
            return await current_scope().get(Session) is session

        assert await mediator.send(Ask())
        assert sessions.story == "open 1, open 2, close 2 after ValueError, close 1"


class TestEvents:
    async def test_one_for_each_event(self, mediator, sessions):
        """Each event has a scope of its own, which all its handlers share."""
        heard = []

        @mediator.handles(Happened)
        async def hear(event, session: Session):
            heard.append((event.number, session.number))

        @mediator.handles(Happened)
        async def hear_too(event, session: Session):
            heard.append((event.number, session.number))

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            collect(Happened(1))
            collect(Happened(2))

        await mediator.send(Ask())

        assert heard == [(1, 2), (1, 2), (2, 3), (2, 3)]
        assert sessions.story == "open 1, close 1, open 2, close 2, open 3, close 3"

    async def test_sends_of_event_handlers(
        self, mediator, sessions, answers_with_session
    ):
        """A request that an event handler sends shares the scope of the event."""
        heard = []

        @mediator.handles(Happened)
        async def hear(event, session: Session):
            heard.append(await mediator.send(AskWithin()) is session)

        async def raise_event(request, handle):
            if isinstance(request, Ask):
                collect(Happened())
            return await handle(request)

        mediator.use(raise_event)
        await mediator.send(Ask())

        assert heard == [True]
        assert sessions.story == "open 1, close 1, open 2, close 2"

    async def test_failing_event_handler(self, mediator, sessions):
        """The scope of an event is told of what its handler failed with."""

        @mediator.handles(Happened)
        async def fail(event, session: Session):
            if event.number == 1:
                raise ValueError(event)

        @mediator.handles(Ask)
        async def answer(request):
            collect(Happened(1))
            collect(Happened(2))

        with pytest.raises(EventsError) as caught:
            await mediator.send(Ask())

        [failure] = caught.value.exceptions
        assert failure.event == Happened(1)
        assert sessions.story == "open 1, close 1 after ValueError, open 2, close 2"

    async def test_error_while_closing(self, mediator, sessions):
        """An error while closing fails the event, and keeps no other from its own."""
        sessions.failure = ConnectionError("lost")
        heard = []

        @mediator.handles(Happened)
        async def hear(event, session: Session):
            heard.append(event.number)

        @mediator.handles(Ask)
        async def answer(request):
            collect(Happened(1))
            collect(Happened(2))

        with pytest.raises(EventsError) as caught:
            await mediator.send(Ask())

        assert heard == [1, 2]
        assert [failure.event.number for failure in caught.value.exceptions] == [1, 2]
        for failure in caught.value.exceptions:
            assert flat(failure.__cause__) == [sessions.failure]

    async def test_concurrent_handlers(self, mediator, sessions):
        """Handlers that run at the same time have a scope each."""
        all_inside = asyncio.Barrier(2)
        heard = []

        async def hear(session):
            await all_inside.wait()
            heard.append(session.number)

        @mediator.handles(Happened, concurrent=True)
        async def hear_first(event, session: Session):
            await hear(session)

        @mediator.handles(Happened, concurrent=True)
        async def hear_second(event, session: Session):
            await hear(session)
            raise ValueError(event)

        @mediator.handles(Ask)
        async def answer(request):
            collect(Happened())

        with pytest.raises(EventsError):
            await mediator.send(Ask())

        assert sorted(heard) == [1, 2]
        assert sorted(sessions.ledger) == [
            "close 1",
            "close 2 after ValueError",
            "open 1",
            "open 2",
        ]

    async def test_cancelled_event(self, mediator, sessions):
        """The scope of an event is told of a cancellation, which passes."""

        @mediator.handles(Happened)
        async def hear(event, session: Session):
            await asyncio.Event().wait()

        @mediator.handles(Ask)
        async def answer(request):
            collect(Happened())

        task = asyncio.create_task(mediator.send(Ask()))
        await sessions.opening.wait()
        task.cancel()
        await asyncio.wait([task])

        assert task.cancelled()
        assert sessions.story == "open 1, close 1 after CancelledError"

    async def test_event_without_handlers(self, mediator, sessions):
        """An event that only goes to the broker opens nothing."""

        @mediator.handles(Ask)
        async def answer(request):
            collect(Told())

        await mediator.send(Ask())

        assert sessions.story == ""


class TestOutlived:
    async def test_current_scope(self, mediator, sessions):
        """A task that outlives its send has no scope any more."""
        over = asyncio.Event()
        tasks = []

        async def ask_later():
            await over.wait()
            return current_scope()

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            tasks.append(asyncio.create_task(ask_later()))

        await mediator.send(Ask())
        over.set()

        with pytest.raises(NoSendError):
            await tasks[0]

    async def test_current_scope_during_the_events(self, mediator, sessions):
        """It has none while the events of its send are emitted, either."""
        emitting = asyncio.Event()
        tasks = []

        async def ask_later():
            await emitting.wait()
            return current_scope()

        @mediator.handles(Happened)
        async def hear(event):
            emitting.set()
            await asyncio.wait(tasks)

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            tasks.append(asyncio.create_task(ask_later()))
            collect(Happened())

        await mediator.send(Ask())

        with pytest.raises(NoSendError, match="has ended"):
            await tasks[0]

    async def test_scope_of_an_event(self, mediator, sessions):
        """Nor does it find the scope of an event that is being handled."""
        emitting, asked = asyncio.Event(), asyncio.Event()
        tasks = []

        async def ask_later():
            await emitting.wait()
            try:
                return await current_scope().get(Session)
            finally:
                asked.set()

        @mediator.handles(Happened)
        async def hear(event, session: Session):
            emitting.set()
            await asked.wait()

        @mediator.handles(Ask)
        async def answer(request):
            tasks.append(asyncio.create_task(ask_later()))
            collect(Happened())

        await mediator.send(Ask())

        with pytest.raises(NoSendError):
            await tasks[0]

    async def test_scope_of_the_next_event(self, mediator, sessions):
        """What an event's handler leaves behind does not find that of the next one."""
        next_event = asyncio.Event()
        tasks = []

        async def ask_later():
            await next_event.wait()
            return await current_scope().get(Session)

        @mediator.handles(Happened)
        async def hear(event, session: Session):
            if event.number == 1:
                tasks.append(asyncio.create_task(ask_later()))
            else:
                next_event.set()
                await asyncio.wait(tasks)

        @mediator.handles(Ask)
        async def answer(request):
            collect(Happened(1))
            collect(Happened(2))

        await mediator.send(Ask())

        with pytest.raises(NoSendError):
            await tasks[0]

    async def test_part_of_a_send(self, mediator, sessions):
        """A part of a send that outlives it has no scope, either."""
        inside, over = asyncio.Event(), asyncio.Event()
        tasks = []

        async def accept(request, handle):
            tasks.append(asyncio.create_task(handle(request)))
            await inside.wait()

        @mediator.handles(Ask)
        async def answer(request):
            inside.set()
            await over.wait()
            return current_scope()

        mediator.use(accept)
        await mediator.send(Ask())
        over.set()

        with pytest.raises(NoSendError, match="its scope is closed"):
            await tasks[0]

    async def test_closed_scope(self, mediator, sessions):
        """A scope that somebody has kept opens nothing more."""
        scopes = []

        @mediator.handles(Ask)
        async def answer(request):
            scopes.append(current_scope())

        await mediator.send(Ask())

        with pytest.raises(NoSendError, match="the scope is closed"):
            await scopes[0].get(Session)
        assert sessions.story == ""

    async def test_send(self, mediator, sessions):
        """A request that such a task sends has a scope of its own."""
        over = asyncio.Event()
        tasks = []

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            return session

        async def send_later():
            await over.wait()
            return await mediator.send(AskWithin())

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            tasks.append(asyncio.create_task(send_later()))

        await mediator.send(Ask())
        over.set()
        session = await tasks[0]

        assert session.number == 2
        assert sessions.story == "open 1, close 1, open 2, close 2"

    async def test_send_on_its_way(self, mediator, sessions):
        """So has one that was on its way when the outermost send ended."""
        inside = asyncio.Event()
        over = asyncio.Event()
        tasks = []

        async def hold(request, handle):
            inside.set()
            await over.wait()
            return await handle(request)

        @mediator.handles(AskWithin)
        async def answer_within(request, session: Session):
            return session

        @mediator.handles(Ask)
        async def answer(request, session: Session):
            tasks.append(asyncio.create_task(mediator.send(AskWithin())))
            await inside.wait()

        mediator.use(hold, only=AskWithin)

        await mediator.send(Ask())
        over.set()
        session = await tasks[0]

        assert session.number == 2
        assert sessions.story == "open 1, close 1, open 2, close 2"


class SlowContainer:
    """Takes a while to enter a scope, and counts how often it did."""

    def __init__(self):
        self.entering = asyncio.Event()
        self.may_enter = asyncio.Event()
        self.count = 0

    def check(self, dependency, /): ...

    def knows(self, dependency, /): ...

    def factory(self, dependency, /):
        async def build(scope):
            return scope

        return Scoped(build)

    @asynccontextmanager
    async def scope(self):
        self.count += 1
        self.entering.set()
        await self.may_enter.wait()
        yield self.count


class TestScope:
    async def test_entered_once(self):
        """Two tasks that are the first to need the scope enter it once."""
        container = SlowContainer()
        mediator = Mediator(container=container)

        async def let_it_enter():
            # Its turn comes after that of both tasks, which have asked by then.
            await container.entering.wait()
            container.may_enter.set()

        @mediator.handles(AskWithin)
        async def answer_within(request, scope: int):
            return scope

        @mediator.handles(Ask)
        async def answer(request):
            return await asyncio.gather(
                mediator.send(AskWithin()), mediator.send(AskWithin()), let_it_enter()
            )

        assert await mediator.send(Ask()) == [1, 1, None]

    def test_no_send(self):
        """Where nothing is sent there is no scope."""
        with pytest.raises(NoSendError):
            current_scope()

    async def test_call(self, mediator, sessions):
        """What a function is not given, it is given by the scope."""

        def describe(given, session: Session, *, size: int = 3):
            return given, session.number, size

        @mediator.handles(Ask)
        async def answer(request):
            return await current_scope().call(describe, "given")

        assert await mediator.send(Ask()) == ("given", 1, 3)

    async def test_call_of_what_needs_nothing(self, mediator, sessions):
        """A function that needs nothing opens nothing."""

        @mediator.handles(Ask)
        async def answer(request):
            return await current_scope().call(lambda: "called")

        assert await mediator.send(Ask()) == "called"
        assert sessions.story == ""

    async def test_unresolvable(self, mediator, sessions):
        """What the container does not know cannot be had from the scope."""

        @mediator.handles(Ask)
        async def answer(request):
            await current_scope().get(str)

        with pytest.raises(UnresolvableError, match="str"):
            await mediator.send(Ask())

"""Law 10: a request whose events fail has been answered all the same."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest

from diator import EventEmitter, EventHandler, Mediator, RequestHandler, collect
from diator.exceptions import (
    DiatorError,
    EventError,
    EventHandlingError,
    EventPublishingError,
    EventsError,
)
from diator.middlewares.base import Handle
from diator.middlewares.event_collection import EventCollectionMiddleware
from tests.unit.fakes import Announced, Do, FailedError, FakeBroker, Happened


class Outer(Do):
    pass


class Answering(RequestHandler[Do, str]):
    async def handle(self, request: Do) -> str:
        self.events.append(Happened(request.name))
        self.events.append(Announced(name=request.name))
        return f"answer to {request.name}"


class FailingHandler(EventHandler[Happened]):
    async def handle(self, event: Happened) -> None:
        raise FailedError(event.name)


async def fail_too(event: Happened) -> None:
    raise ValueError(event.name)


class FailingBroker:
    """Raises instead of saying what became of each message."""

    async def publish(self, messages: Any, /) -> Any:
        raise FailedError


def failing(**options: Any) -> Mediator:
    mediator = Mediator(event_emitter=EventEmitter(**options))
    mediator.bind(Do, Answering)
    mediator.bind(Happened, FailingHandler)
    mediator.event_emitter.event_map.handles(Happened)(fail_too)
    return mediator


async def failure_of(mediator: Mediator) -> EventsError:
    with pytest.raises(EventsError) as caught:
        await mediator.send(Do("it"))
    return caught.value


class TestLaw10NoAnswerIsLost:
    async def test_one_group(self):
        """All failures come in one exception group, which has the answer."""
        error = await failure_of(failing(message_broker=FakeBroker("it")))

        assert isinstance(error, ExceptionGroup)
        assert isinstance(error, DiatorError)
        assert error.response == "answer to it"
        assert len(error.exceptions) == 3

    async def test_members(self):
        """Its members name the event and the handler, and keep the cause."""
        error = await failure_of(failing(message_broker=FakeBroker()))

        first, second = error.exceptions
        assert isinstance(first, EventHandlingError)
        assert first.event == Happened("it")
        assert first.handler is FailingHandler
        assert str(first) == "FailingHandler failed at Happened"
        assert isinstance(first.__cause__, FailedError)
        assert isinstance(second, EventHandlingError)
        assert second.handler is fail_too
        assert str(second) == "fail_too failed at Happened"
        assert isinstance(second.__cause__, ValueError)

    async def test_refused_by_broker(self):
        """An event that the broker did not take is a member, with the reason."""
        broker = FakeBroker("it")
        error = await failure_of(failing(message_broker=broker))

        member = error.exceptions[-1]
        assert isinstance(member, EventPublishingError)
        assert member.broker is broker
        assert isinstance(member.event, Announced)
        assert str(member) == "Announced was not published by FakeBroker: it"
        assert isinstance(member.__cause__, FailedError)

    async def test_failing_broker(self):
        """A broker that raises has taken none of the events; each is a member."""
        mediator = Mediator(message_broker=FailingBroker())

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Announced(name="a"))
            collect(Announced(name="b"))
            return "answer"

        error = await failure_of(mediator)

        assert error.response == "answer"
        assert [type(member) for member in error.exceptions] == [
            EventPublishingError,
            EventPublishingError,
        ]
        assert [member.event.name for member in error.exceptions] == ["a", "b"]

    @pytest.mark.parametrize("results", [None, [], [None, None]])
    async def test_broker_that_breaks_its_contract(self, results: Any):
        """A broker without one result for each event has told of none of them."""

        class Careless:
            async def publish(self, messages: Any, /) -> Any:
                return results

        mediator = Mediator(message_broker=Careless())

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Announced(name="it"))
            return "answer"

        error = await failure_of(mediator)

        assert error.response == "answer"
        [member] = error.exceptions
        assert isinstance(member, EventPublishingError)

    async def test_handler_without_a_name(self):
        """A handler that has no name of its own is told of as well."""

        async def fail(prefix: str, event: Happened) -> None:
            raise FailedError

        handler = partial(fail, "x")
        mediator = Mediator(message_broker=FakeBroker())
        mediator.bind(Do, Answering)
        mediator.event_emitter.event_map.bind(Happened, handler)

        error = await failure_of(mediator)

        assert error.response == "answer to it"
        [member] = error.exceptions
        assert isinstance(member, EventHandlingError)
        assert member.handler is handler

    async def test_no_broker(self):
        """Without a broker an event for it is a failure that says what to do."""
        error = await failure_of(failing(message_broker=None))

        member = error.exceptions[-1]
        assert isinstance(member, EventPublishingError)
        assert "give the EventEmitter a message_broker" in str(member)

    async def test_some_are_taken(self):
        """Of a batch, only the events that the broker refused are failures."""
        broker = FakeBroker("b")
        emitter = EventEmitter(message_broker=broker)

        with pytest.raises(EventsError) as caught:
            await emitter.emit(*(Announced(name=name) for name in "abc"))

        assert broker.names == ["a", "c"]
        assert [member.event.name for member in caught.value.exceptions] == ["b"]

    async def test_request(self):
        """The error says which request was handled all the same."""
        request = Do("it")
        mediator = failing(message_broker=FakeBroker())

        with pytest.raises(EventsError) as caught:
            await mediator.send(request)

        assert caught.value.request is request
        assert caught.value.derive(caught.value.exceptions).request is request

    async def test_request_of_another_send(self):
        """What fails by the events of another request is not called handled."""
        mediator = failing(message_broker=FakeBroker())
        inner = Do("inner")

        @mediator.handles(Outer)
        async def outer(request: Outer) -> None:
            await mediator.independent().send(inner)

        with pytest.raises(EventsError) as caught:
            await mediator.send(Outer())

        assert caught.value.request is inner

    async def test_request_that_fails_with_its_events(self):
        """Nor what fails because its events were to be handled within it."""
        mediator = failing(message_broker=FakeBroker())
        mediator.use(EventCollectionMiddleware(mediator.event_emitter))

        assert (await failure_of(mediator)).request is None

    async def test_falsy_answer(self):
        """Any answer is kept, also one that is false."""
        mediator = Mediator()
        mediator.bind(Happened, FailingHandler)

        @mediator.handles(Do)
        async def handle(request: Do) -> int:
            collect(Happened("it"))
            return 0

        assert (await failure_of(mediator)).response == 0

    async def test_answer_of_middleware(self):
        """The answer is what the outermost middleware gave."""

        async def shout(request: Any, handle: Handle) -> str:
            return str(await handle(request)).upper()

        mediator = failing(message_broker=FakeBroker())
        mediator.use(shout)

        assert (await failure_of(mediator)).response == "ANSWER TO IT"

    async def test_except_star(self):
        """`except*` takes out some failures, and both parts keep the answer."""
        answers: list[Any] = []

        async def send() -> None:
            try:
                await failing(message_broker=FakeBroker("it")).send(Do("it"))
            except* EventPublishingError as published:
                answers.append(published.response)  # type: ignore[attr-defined]  # of ours

        with pytest.raises(EventsError) as rest:
            await send()

        answers.append(rest.value.response)
        assert answers == ["answer to it"] * 2
        members = rest.value.exceptions
        assert [type(member) for member in members] == [EventHandlingError] * 2

    async def test_split(self):
        """Parts of the group are of its type and keep the answer."""
        error = await failure_of(failing(message_broker=FakeBroker("it")))

        parts = error.split(EventPublishingError)
        chosen = error.subgroup(lambda member: isinstance(member, EventHandlingError))

        for part in (*parts, chosen):
            assert isinstance(part, EventsError)
            assert part.response == "answer to it"

    async def test_nested_send_tells_at_the_end(self):
        """A nested send answers as usual; its events fail with the outermost send."""
        mediator = failing(message_broker=FakeBroker())
        answers: list[str] = []

        @mediator.handles(Outer)
        async def outer(request: Outer) -> str:
            answers.append(await mediator.send(Do("inner")))
            return "outer answer"

        with pytest.raises(EventsError) as caught:
            await mediator.send(Outer())

        assert answers == ["answer to inner"]
        assert caught.value.response == "outer answer"

    async def test_failing_send_in_event_handler(self):
        """What fails below a handler of an event is its failure, not one beside it."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            if request.name == "inner":
                raise FailedError
            collect(Happened("it"))
            return "answer"

        @mediator.handles(Happened)
        async def react(event: Happened) -> None:
            await mediator.send(Do("inner"))

        error = await failure_of(mediator)

        [member] = error.exceptions
        assert isinstance(member, EventHandlingError)
        assert member.handler is react
        assert isinstance(member.__cause__, FailedError)

    async def test_failing_event_middleware(self):
        """A middleware around an event that fails is a failure that names the event."""

        async def refuse(event: Any, handle: Handle) -> Any:
            raise FailedError(event.name)

        mediator = Mediator()
        mediator.bind(Do, Answering)
        mediator.event_emitter.use(refuse, only=Happened)

        error = await failure_of(mediator)

        [member] = error.exceptions
        assert type(member) is EventError
        assert member.event == Happened("it")
        assert str(member) == "Happened could not be emitted: it"
        assert isinstance(member.__cause__, FailedError)

    async def test_no_event(self):
        """Something that is no event, but was raised, fails as one of the events."""

        class Careless(RequestHandler[Do, str]):
            async def handle(self, request: Do) -> str:
                self.events.append("text")  # type: ignore[arg-type]  # on purpose
                return "answer"

        mediator = Mediator()
        mediator.bind(Do, Careless)

        error = await failure_of(mediator)

        assert error.response == "answer"
        assert "is not an event" in str(error.exceptions[0])

    async def test_log(self, caplog: pytest.LogCaptureFixture):
        """With `failures="log"` the answer is returned, and the failures are logged."""
        mediator = failing(message_broker=FakeBroker(), failures="log")

        with caplog.at_level(logging.ERROR, "diator"):
            answer = await mediator.send(Do("it"))

        assert answer == "answer to it"
        [record] = caplog.records
        assert record.exc_info is not None
        logged = record.exc_info[1]
        assert isinstance(logged, EventsError)
        assert logged.response == "answer to it"
        assert len(logged.exceptions) == 2

    async def test_no_failure_no_log(self, caplog: pytest.LogCaptureFixture):
        """Where nothing fails, nothing is logged."""
        mediator = Mediator(
            event_emitter=EventEmitter(message_broker=FakeBroker(), failures="log")
        )
        mediator.bind(Do, Answering)

        with caplog.at_level(logging.DEBUG, "diator"):
            await mediator.send(Do("it"))

        assert caplog.records == []

"""The second pipeline."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Any

import lagom
import pytest

from diator import (
    EventEmitter,
    EventHandler,
    EventMap,
    Mediator,
    MiddlewareChain,
    collect,
)
from diator.exceptions import (
    ConfigurationError,
    EventError,
    EventsError,
    NotAMessageError,
    UnresolvableError,
)
from diator.middlewares.base import Handle
from diator.middlewares.event_collection import EventCollectionMiddleware
from tests.unit.fakes import (
    Announced,
    Do,
    FailedError,
    FakeBroker,
    Happened,
    Retrying,
    cancelled_after,
    pause,
)


class Letters(list[str]):
    """A dependency of handlers."""


class Writing(EventHandler[Happened]):
    def __init__(self, letters: Letters) -> None:
        self.letters = letters

    async def handle(self, event: Happened) -> None:
        self.letters.append(event.name)


class Marking:
    """A middleware that the container builds."""

    def __init__(self, letters: Letters) -> None:
        self.letters = letters

    async def __call__(self, event: Any, handle: Handle) -> Any:
        self.letters.append("in")
        await handle(event)
        self.letters.append("out")


class Unbuildable:
    def __init__(self, limit: float) -> None: ...

    async def __call__(self, event: Any, handle: Handle) -> Any: ...


class Session:
    """A resource of an event."""


def writing(**options: Any) -> tuple[EventEmitter, Letters]:
    container = lagom.Container()
    container[Letters] = letters = Letters()
    emitter = EventEmitter(container=container, **options)
    emitter.event_map.bind(Happened, Writing)
    return emitter, letters


class TestEventEmitter:
    async def test_parts(self):
        """It is made of a map, a chain, a broker and a container, as one likes."""
        event_map = EventMap()
        event_map.bind(Happened, Writing)
        chain = MiddlewareChain()
        chain.add(Marking)
        container = lagom.Container()
        container[Letters] = letters = Letters()
        broker = FakeBroker()
        emitter = EventEmitter(
            event_map=event_map,
            message_broker=broker,
            container=container,
            middleware_chain=chain,
        )

        await emitter.emit(Happened("a"), Announced(name="b"))

        assert letters == ["in", "a", "out", "in", "out"]
        assert broker.names == ["b"]

    async def test_nothing(self):
        """Emitting nothing does nothing."""
        await EventEmitter().emit()

    async def test_chain_is_around_all_handlers(self):
        """The chain is around the handlers of an event, all of them, once."""
        emitter, letters = writing()
        emitter.use(Marking)

        @emitter.event_map.handles(Happened)
        async def second(event: Happened) -> None:
            letters.append("second")

        await emitter.emit(Happened("first"))

        assert letters == ["in", "first", "second", "out"]

    async def test_chain_without_handlers(self):
        """The chain sees events that nobody handles, too."""
        emitter, letters = writing(message_broker=FakeBroker())
        emitter.use(Marking)

        await emitter.emit(Announced(name="it"))

        assert letters == ["in", "out"]

    @pytest.mark.parametrize("bound", [False, True])
    async def test_middleware_keeps_event_back(self, bound: bool):
        """What a middleware does not pass on reaches no handler and no broker."""

        async def keep_back(event: Any, handle: Handle) -> None:
            """Go no further."""

        broker = FakeBroker()
        emitter, letters = writing(message_broker=broker)
        emitter.use(keep_back)
        if bound:

            @emitter.event_map.handles(Announced)
            async def write(event: Announced) -> None:
                letters.append(event.name)

        await emitter.emit(Announced(name="it"), Happened("it"))

        assert broker.names == []
        assert letters == []

    async def test_only(self):
        """A middleware may be for some events."""
        emitter, letters = writing()
        emitter.use(Marking, only=Announced)

        await emitter.emit(Happened("a"))

        assert letters == ["a"]

    async def test_failing_handler_passes_middleware(self):
        """A middleware sees that a handler failed; the event is published still."""
        seen: list[Exception] = []

        async def look(event: Any, handle: Handle) -> Any:
            try:
                return await handle(event)
            except Exception as error:
                seen.append(error)
                raise

        broker = FakeBroker()
        emitter = EventEmitter(message_broker=broker)
        emitter.use(look)

        @emitter.event_map.handles(Announced)
        async def fail(event: Announced) -> None:
            raise FailedError

        with pytest.raises(EventsError) as caught:
            await emitter.emit(Announced(name="it"))

        assert broker.names == ["it"]
        [failure] = caught.value.exceptions
        [error] = seen
        assert isinstance(error, EventsError)
        assert error.exceptions == (failure,)

    async def test_unbuildable_middleware(self):
        """A middleware that cannot be built fails each event, and names the event."""
        emitter, letters = writing()
        emitter.use(Unbuildable, only=Happened)

        for _ in range(2):
            with pytest.raises(EventsError) as caught:
                await emitter.emit(Happened("a"))
            [failure] = caught.value.exceptions
            assert isinstance(failure, EventError)
            assert failure.event == Happened("a")
            assert isinstance(failure.__cause__, UnresolvableError)

        assert letters == []

    async def test_retried_event_is_published_once(self):
        """An event that a middleware tries again goes to the broker once."""
        broker = FakeBroker()
        emitter, letters = writing(message_broker=broker)

        async def fail_once(event: Any, handle: Handle) -> None:
            await handle(event)
            letters.append("try")
            if len(letters) == 1:
                raise FailedError

        emitter.use(Retrying())
        emitter.use(fail_once)
        await emitter.emit(Announced(name="it"))

        assert letters == ["try", "try"]
        assert broker.names == ["it"]

    async def test_retried_event_drops_what_failed(self):
        """What a middleware around an event raised in a failed try is dropped."""
        tries: list[str] = []
        emitter, letters = writing(message_broker=FakeBroker())

        async def collect_and_fail_once(event: Any, handle: Handle) -> None:
            tries.append("again")
            collect(Happened(f"try {len(tries)}"))
            if len(tries) == 1:
                raise FailedError
            await handle(event)

        emitter.use(Retrying(), only=Announced)
        emitter.use(collect_and_fail_once, only=Announced)
        await emitter.emit(Announced(name="it"))

        assert letters == ["try 2"]

    async def test_middleware_says_what_became_of_the_event(self):
        """An error that tells of the event already is told as it was raised."""
        emitter = EventEmitter()
        refused = EventError(Happened("it"), "not on Sundays")

        async def refuse(event: Any, handle: Handle) -> Any:
            raise refused

        emitter.use(refuse)
        with pytest.raises(EventsError) as caught:
            await emitter.emit(Happened("it"))

        assert caught.value.exceptions == (refused,)

    async def test_middleware_fails_with_another_event(self):
        """An error that tells of another event is the cause of this one's."""
        emitter = EventEmitter()
        refused = EventError(Happened("another"), "not on Sundays")

        async def refuse(event: Any, handle: Handle) -> Any:
            raise refused

        emitter.use(refuse)
        with pytest.raises(EventsError) as caught:
            await emitter.emit(Happened("it"))

        [failure] = caught.value.exceptions
        assert failure.event == Happened("it")
        assert failure.__cause__ is refused

    async def test_event_collection_around_events(self):
        """The same middlewares serve both pipelines."""
        broker = FakeBroker()
        emitter, letters = writing(message_broker=broker)
        emitter.use(EventCollectionMiddleware())

        @emitter.event_map.handles(Announced)
        async def hear(event: Announced) -> None:
            collect(Happened(f"{event.name} was heard"))

        await emitter.emit(Announced(name="it"))

        assert broker.names == ["it"]
        assert letters == ["it was heard"]

    async def test_response_without_a_request(self):
        """An error of events that no request raised has no answer."""
        emitter = EventEmitter()

        with pytest.raises(EventsError) as caught:
            await emitter.emit(Announced(name="it"))

        assert caught.value.response is None

    async def test_failures_logged(self, caplog: pytest.LogCaptureFixture):
        """With `failures="log"` emitting raises nothing."""
        with caplog.at_level(logging.ERROR, "diator"):
            await EventEmitter(failures="log").emit(Announced(name="it"))

        assert len(caplog.records) == 1

    async def test_scope_of_each_event(self):
        """Each event has a scope of its own, which is told how handling it went."""
        log: list[str] = []
        mediator = Mediator()

        async def session() -> AsyncGenerator[Session]:
            log.append("open")
            try:
                yield Session()
            except FailedError:
                log.append("close on failure")
                raise
            log.append("close")

        mediator.container.scoped(Session, session)

        @mediator.handles(Happened)
        async def hear(event: Happened, session: Session) -> None:
            if event.name == "bad":
                raise FailedError

        with pytest.raises(EventsError):
            await mediator.event_emitter.emit(
                Happened("good"), Happened("bad"), Happened("good")
            )

        assert log == ["open", "close", "open", "close on failure", "open", "close"]

    async def test_scope_of_cancelled_event(self):
        """A scope is told of a cancellation, too."""
        log: list[str] = []
        mediator = Mediator()

        async def session() -> AsyncGenerator[Session]:
            try:
                yield Session()
            except BaseException as error:
                log.append(type(error).__name__)
                raise

        mediator.container.scoped(Session, session)

        @mediator.handles(Happened)
        async def hear(event: Happened, session: Session) -> None:
            await pause(10)

        await cancelled_after(3, mediator.event_emitter.emit(Happened("it")))

        assert log == ["CancelledError"]

    @pytest.mark.parametrize("handler_fails", [False, True])
    async def test_scope_that_cannot_be_closed(self, handler_fails: bool):
        """A scope that cannot be closed fails its event, and drops what that raised."""
        heard: list[str] = []
        mediator = Mediator()

        async def session() -> AsyncGenerator[Session]:
            try:
                yield Session()
            finally:
                raise FailedError

        mediator.container.scoped(Session, session)

        @mediator.handles(Happened)
        async def hear(event: Happened, session: Session) -> None:
            heard.append(event.name)
            if event.name == "cause":
                collect(Happened("effect"))
            if handler_fails:
                raise ValueError

        with pytest.raises(EventsError) as caught:
            await mediator.event_emitter.emit(Happened("cause"), Happened("other"))

        assert heard == ["cause", "other"]
        causes = [type(failure.__cause__) for failure in caught.value.exceptions]
        assert causes.count(FailedError) == 2

    async def test_failure_beside_a_scope_that_cannot_be_closed(self):
        """A handler that failed is told of although the scope failed, too."""
        mediator = Mediator()

        async def session() -> AsyncGenerator[Session]:
            try:
                yield Session()
            finally:
                raise ConnectionError

        mediator.container.scoped(Session, session)

        @mediator.handles(Happened)
        async def fail(event: Happened, session: Session) -> None:
            raise FailedError

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None: ...

        with pytest.raises(EventsError) as caught:
            await mediator.event_emitter.emit(Happened("it"))

        causes = [type(failure.__cause__) for failure in caught.value.exceptions]
        assert causes == [FailedError, ConnectionError]

    @pytest.mark.parametrize(
        "options, told",
        [
            ({"failures": "ignore"}, "'raise' or 'log', not 'ignore'"),
            ({"cascade_limit": 0}, "at least 1, not 0"),
        ],
    )
    def test_bad_options(self, options: dict[str, Any], told: str):
        """What cannot work is refused early."""
        with pytest.raises(ConfigurationError, match=told):
            EventEmitter(**options)

    async def test_class_instead_of_an_event(self):
        """A class that is emitted instead of an event is told of."""
        with pytest.raises(EventsError) as caught:
            await EventEmitter().emit(Happened)  # type: ignore[arg-type]  # on purpose

        [failure] = caught.value.exceptions
        assert isinstance(failure.__cause__, NotAMessageError)

    async def test_many_mediators(self):
        """One emitter serves several mediators."""
        emitter, letters = writing()
        for _ in range(2):
            mediator = Mediator(event_emitter=emitter)

            @mediator.handles(Do)
            async def handle(request: Do) -> None:
                collect(Happened(request.name))

            await mediator.send(Do("a"))

        assert letters == ["a", "a"]

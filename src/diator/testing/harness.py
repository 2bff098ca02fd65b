"""A harness over a mediator, for the tests of an application."""

from __future__ import annotations

import inspect
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar, overload

from diator.events.collector import collecting
from diator.events.event_emitter import EventEmitter
from diator.events.map import EventMap
from diator.events.sinks import message_type
from diator.exceptions import InUseError
from diator.handler import qualified_name
from diator.invocation import invocation
from diator.mediator import Mediator
from diator.middlewares.base import MiddlewareChain
from diator.middlewares.roles import role
from diator.requests.map import RequestMap
from diator.requests.request import StreamRequest
from diator.testing.broker import RecordingBroker
from diator.testing.container import override_later, overriding, refuse_unseen
from diator.testing.timeline import Messages, Timeline, answered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
    from uuid import UUID

    from diator.container.protocol import Container
    from diator.handler import Handler
    from diator.middlewares.base import Handle
    from diator.requests.request import Asking, Command, Request, Streaming

T = TypeVar("T")
Req = TypeVar("Req")
Res = TypeVar("Res")
Item = TypeVar("Item")


class Harness:
    """
    Sends as a mediator does, but replaces what a test names, and notes what happens.

    The mediator stays as it is. Its handlers and middlewares serve the harness, too;
    instances of middlewares are the same ones. What is published goes to a broker of
    the harness, unless the mediator has none. A handler that asks its container for
    the `Mediator` is given that of the harness.

    Args:
        mediator: The application's; what is bound later is not seen.

    Attributes:
        sent: The requests that were sent, nested ones too.
        raised: The events that were emitted, received, or given to an outbox.
        published: The events and posted commands that the broker took.
        broker: The message broker, which consumers can subscribe to.
        timeline: All that happened; `str` shows it.

    """

    def __init__(self, mediator: Mediator) -> None:
        self.timeline = Timeline()
        self.sent = Messages("sent", self.timeline)
        self.raised = Messages("raised", self.timeline)
        self.published = Messages("published", self.timeline)
        self.broker = RecordingBroker(self.timeline, mediator.event_emitter.registry)
        self._original = mediator
        self._values: dict[Any, Any] = {}
        self._answers: dict[type, Any] = {}
        self._mediator: Mediator | None = None

    def override(self, dependency: type[T], value: T) -> None:
        """
        Give a value for a type, wherever handlers and what they need ask for it.

        Args:
            dependency: The type that is asked for.
            value: What is given, as it is.

        Raises:
            InUseError: The harness was used already.
            UnresolvableError: The container builds something that needs it without.

        """
        if self._mediator is not None:
            msg = (
                f"{dependency.__name__} is overridden too late: the harness is in use "
                "already; override before the first send"
            )
            raise InUseError(msg)
        values = {**self._values, dependency: value}
        emitter = self._original.event_emitter
        refuse_unseen(self._original.container, values, self._used_by_requests())
        refuse_unseen(emitter.container, values, self._used_by_events())
        self._values = values

    @overload
    def stub(
        self,
        request_type: type[Asking[Req, Res]],
        answer: Res
        | BaseException
        | type[BaseException]
        | Callable[[Req], Res | Awaitable[Res]],
    ) -> None: ...

    @overload
    def stub(
        self,
        request_type: type[Streaming[Req, Item]],
        answer: Iterable[Item]
        | BaseException
        | type[BaseException]
        | Callable[[Req], Iterable[Item]],
    ) -> None: ...

    def stub(self, request_type: type[Any], answer: Any) -> None:
        """
        Answer requests of a type in the place of a handler, inside the middlewares.

        Args:
            request_type: It need not have a handler.
            answer: The answer, for streams the items; or an exception to raise; or a
                function that gives the answer to a request. Another one may follow.

        Raises:
            InUseError: The harness was used already, and the type not stubbed before.
            BindingError: It is no type of request.

        """
        if request_type not in self._answers:
            if self._mediator is not None:
                msg = (
                    f"{request_type.__name__} is stubbed too late: the harness is in "
                    "use already; stub it before the first send"
                )
                raise InUseError(msg)
            # It refuses what is no request.
            RequestMap().handles(request_type)
        self._answers[request_type] = answer

    @property
    def mediator(self) -> Mediator:
        """The mediator that is tested, for consumers and adapters; made at its use."""
        if self._mediator is None:
            self._mediator = self._made_mediator()
        return self._mediator

    async def send(self, request: Request[Res]) -> Res:
        """Have a request handled, as `Mediator.send` does."""
        return await self.mediator.send(request)

    def stream(self, request: StreamRequest[Item]) -> AsyncGenerator[Item]:
        """Have a request answered with items, as `Mediator.stream` does."""
        return self.mediator.stream(request)

    async def post(self, command: Command[Any]) -> UUID:
        """Have a command handled later, as `Mediator.post` does."""
        return await self.mediator.post(command)

    def _made_mediator(self) -> Mediator:
        emitter: Any = self._original.event_emitter
        values = dict(self._values)
        later = {Mediator, EventEmitter} - values.keys()
        container = overriding(self._original.container, values, later=later)
        of_events = (
            container
            if emitter.container is self._original.container
            else overriding(emitter.container, values, later=later)
        )
        recording = MiddlewareChain()
        recording.add(self._record_sent)
        self._add_all(recording, self._original.middleware_chain)
        recording_events = MiddlewareChain()
        recording_events.add(self._record_raised)
        self._add_all(recording_events, emitter.middleware_chain)
        mediator = Mediator(
            request_map=self._request_map(),
            middleware_chain=recording,
            container=container,
            event_emitter=EventEmitter(
                event_map=self._event_map(emitter.event_map, of_events),
                message_broker=None if emitter.message_broker is None else self.broker,
                container=of_events,
                middleware_chain=recording_events,
                # One that has published refuses further types.
                registry=deepcopy(emitter.registry),
                failures=emitter.failures,
                cascade_limit=emitter.cascade_limit,
            ),
        )
        for each in {id(container): container, id(of_events): of_events}.values():
            # Nested sends go through the harness, too.
            for part in later:
                own = mediator if part is Mediator else mediator.event_emitter
                override_later(each, part, own)
        return mediator

    def _used_by_requests(self) -> Iterator[tuple[Any, int]]:
        for request_type in self._original.request_map:
            if request_type not in self._answers:
                yield _used(self._original.request_map.get(request_type))
        for middleware in self._original.middleware_chain.classes():
            yield middleware, 0

    def _used_by_events(self) -> Iterator[tuple[Any, int]]:
        emitter = self._original.event_emitter
        for binding in emitter.event_map:
            yield _used(binding.handler)
        for middleware in emitter.middleware_chain.classes():
            yield middleware, 0

    def _request_map(self) -> RequestMap:
        requests: Any = RequestMap()
        for request_type in self._original.request_map:
            if request_type not in self._answers:
                requests.bind(
                    request_type, self._original.request_map.get(request_type)
                )
        for request_type in self._answers:
            streams = issubclass(request_type, StreamRequest)
            requests.bind(request_type, self._items if streams else self._answer)
        return requests  # type: ignore[no-any-return]  # bound by types known to nobody

    def _event_map(self, original: EventMap, container: Container) -> EventMap:
        events: Any = EventMap()
        # One handler of a type and of its base is called once.
        recorded: dict[Any, Any] = {}
        for event_type, handler, concurrent in original:
            if handler not in recorded:
                recorded[handler] = self._recorded(handler, container)
            events.bind(event_type, recorded[handler], concurrent=concurrent)
        return events  # type: ignore[no-any-return]  # as above

    def _recorded(self, handler: Handler, container: Container) -> Handle:
        name = qualified_name(handler)
        call: Handle | None = None

        async def handle(event: Any) -> None:
            nonlocal call
            with self.timeline.during("handler", name):
                if call is None:
                    call = invocation(handler, container)
                await call(event)

        # Errors tell which handler failed.
        handle.__qualname__ = name
        return handle

    async def _record_sent(self, request: Any, handle: Handle) -> Any:
        with self.timeline.during("sent", request) as line:
            answer = await handle(request)
            line.outcome = answered(answer)
            return answer

    async def _record_raised(self, event: Any, handle: Handle) -> Any:
        with self.timeline.during("raised", event):
            return await handle(event)

    async def _record_outbound(self, message: Any, handle: Handle) -> Any:
        """Note the events that an outbox around this is going to take."""
        collector = collecting()
        before = len(collector.events or ())
        answer = await handle(message)
        for event in (collector.events or ())[before:]:
            # Those of nested sends come by once more, as those of the outermost.
            if message_type(type(event)) is not None and not self.raised.has(event):
                self.timeline.add("raised", event, "-> outbox")
        return answer

    def _add_all(self, chain: MiddlewareChain, original: MiddlewareChain) -> None:
        for middleware, only in original:
            chain.add(middleware, only=only)
            if role(middleware, "takes_outbound") is True:
                chain.add(self._record_outbound, only=only)

    async def _answer(self, request: Any) -> Any:
        answer = self._given(request)
        return await answer if inspect.isawaitable(answer) else answer

    async def _items(self, request: Any) -> AsyncGenerator[Any]:
        for item in self._given(request):
            yield item

    def _given(self, request: Any) -> Any:
        answer: Any = self._answers[type(request)]
        if _is_error(answer):
            raise answer
        return answer(request) if callable(answer) else answer


def _used(handler: Handler) -> tuple[Any, int]:
    # A function is given the message.
    return handler, 0 if inspect.isclass(handler) else 1


def _is_error(answer: Any) -> bool:
    return isinstance(answer, BaseException) or (
        inspect.isclass(answer) and issubclass(answer, BaseException)
    )

"""The front door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from diator.container.default import adapted
from diator.events.collector import (
    Collector,
    current,
    enclosing,
    get_current,
    set_current,
)
from diator.events.event import Event
from diator.events.event_emitter import EventEmitter
from diator.exceptions import (
    ConfigurationError,
    EventsError,
    NotAMessageError,
    WiringError,
)
from diator.middlewares.base import MiddlewareChain
from diator.requests.map import RequestMap
from diator.requests.pipeline import RequestPipeline
from diator.requests.post import PostCommand
from diator.requests.request import Command
from diator.requests.stream import Stream, stream_items

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
    from types import TracebackType
    from typing import Concatenate, ParamSpec, Self
    from uuid import UUID

    from diator.events.event_handler import EventHandler
    from diator.events.message_brokers.protocol import MessageBroker
    from diator.handler import Handler
    from diator.middlewares.base import Handle, Middleware, Selector
    from diator.requests.request import Asking, Request, Streaming, StreamRequest
    from diator.requests.request_handler import RequestHandler, StreamHandler

    P = ParamSpec("P")

Req = TypeVar("Req")
Res = TypeVar("Res")
Item = TypeVar("Item")
E = TypeVar("E", bound=Event)


class Mediator:
    """
    Takes requests through the middlewares to their handlers, and emits their events.

    `Mediator()` alone has a new lagom container and an in-memory broker. It can be
    used by any number of tasks at once.

    Args:
        request_map: The handlers of requests.
        event_emitter: The second pipeline, which events go through.
        container: Builds the handlers: an adapter, or a plain `lagom.Container`. It
            serves the emitter, too, unless that has one; and that of the emitter
            serves here if it is left out.
        middleware_chain: The middlewares around requests.
        message_broker: Gets the notification and ECST events; instead of an emitter.

    Raises:
        ConfigurationError: Both an emitter and a broker were given, or something that
            is not a container.

    """

    def __init__(
        self,
        *,
        request_map: RequestMap | None = None,
        event_emitter: EventEmitter | None = None,
        container: Any = None,
        middleware_chain: MiddlewareChain | None = None,
        message_broker: MessageBroker | None = None,
    ) -> None:
        if event_emitter is not None and message_broker is not None:
            msg = (
                "both an event_emitter and a message_broker were given: "
                "give the broker to the EventEmitter"
            )
            raise ConfigurationError(msg)
        if event_emitter is None:
            event_emitter = EventEmitter(
                message_broker=_in_memory()
                if message_broker is None
                else message_broker
            )
        if container is None:
            self._container = event_emitter.container
        else:
            self._container = adapted(container)
            event_emitter.adopt(self._container)
        self.event_emitter = event_emitter
        self.request_map = RequestMap() if request_map is None else request_map
        self.middleware_chain = (
            MiddlewareChain() if middleware_chain is None else middleware_chain
        )
        self._pipeline = RequestPipeline(
            self.request_map, self.middleware_chain, self._container
        )
        self.factories: dict[Any, Any] = {}
        self._handles: dict[type, Handle] = {Stream: self._pipeline.stream}

    @property
    def container(self) -> Any:
        """The container's adapter, which registers as the container itself does."""
        return self._container

    async def send(self, request: Request[Res]) -> Res:
        """
        Have a request handled.

        Sent while another request is being handled, its events leave with those of
        the outermost one, and it shares the scope of that one.

        Args:
            request: An instance of a type that a handler is bound to.

        Returns:
            What the handler, or a middleware in its place, answers.

        Raises:
            NotAMessageError: It is no instance of a request.
            HandlerNotFoundError: Its type has no handler.
            UnresolvableError: The container cannot build the handler.
            EventsError: The request was handled, but not all events that it raised;
                the answer is the error's `response`.

        """
        around = get_current()
        if around is not None and around.owner is None:
            around = None
        collector = Collector()
        collector.owner = self
        collector.outer = around
        collector.scope = collector.events = None
        token = set_current(collector)
        try:
            try:
                try:
                    handle = self._handles[type(request)]
                except KeyError:
                    handle = self._compose_and_handle
                response: Res = await handle(request)
            except BaseException as error:
                collector.events = None
                if collector.scope is not None:
                    await collector.scope.close(error)  # pyright: ignore[reportGeneralTypeIssues]  # whoever asks for the scope sets it
                raise
            if collector.scope is not None:
                await collector.scope.close(None)  # pyright: ignore[reportGeneralTypeIssues]  # as above
            events = collector.events
            if events:
                collector.events = None
                # Found only now: a task may outlive the send that it was started in.
                outer = None if around is None else enclosing(around, self)
                if outer is not None:
                    outer.raised().extend(events)
                else:
                    # From here on, it is over for the tasks that the handler left.
                    collector.owner = None
                    try:
                        await self.event_emitter.emit_for(
                            self, events, around, response
                        )
                    except EventsError as error:
                        error.request = request
                        raise
        finally:
            collector.owner = None
            # A collector whose send is over says no more than none, so that there is
            # nothing to restore around an outermost send: a sixth of what it costs.
            if around is not None:
                # A task that was left behind must not keep all sends before it.
                collector.outer = None
                current.reset(token)
        return response

    def stream(self, request: StreamRequest[Item]) -> AsyncGenerator[Item]:
        """
        Have a request answered with items, one after the other.

        The middlewares are around the whole stream: their `handle` returns None when
        it has ended. Only then do its events leave. Leaving the loop early and closing
        the stream (`contextlib.aclosing` does) cancels the handler and all
        middlewares around it, so that a transaction is rolled back.

        Args:
            request: An instance of a type that a stream handler is bound to.

        Raises:
            NotAMessageError: It is no instance of a stream request.
            HandlerNotFoundError: Its type has no handler.
            UnresolvableError: The container cannot build the handler.
            EventsError: The stream has ended, but not all events that it raised could
                be dealt with.

        """
        return stream_items(self.send, request)

    async def post(self, command: Command[Any]) -> UUID:
        """
        Have a command handled later, by whoever consumes the topic of commands.

        It goes through the chain as a `PostCommand` and leaves for the message broker
        as events do, when the outermost send has succeeded. With an outbox in the
        chain it is as durable as what the send has committed.

        Args:
            command: The command.

        Returns:
            Its id, by which a consumer knows it again.

        Raises:
            NotAMessageError: It is no command.
            EventsError: The message broker did not take it.

        """
        if not isinstance(command, Command):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
            msg = (
                f"{command!r} cannot be posted: pass an instance of a class that "
                "derives from diator.Command"
            )
            raise NotAMessageError(msg)
        return await self.send(PostCommand(command=command))

    async def receive(self, event: Event) -> None:
        """
        Have an event handled that comes from another process.

        It goes through the second pipeline like one that was raised here, but is not
        published again; what its handlers raise is.

        Args:
            event: The event.

        Raises:
            EventsError: It could not be dealt with, or an event that its handlers
                raised; also where the emitter only logs its own failures.

        """
        around = current.get()
        token = current.set(around)
        try:
            await self.event_emitter.emit_for(self, [event], around, received=event)
        finally:
            current.reset(token)

    def independent(self) -> IndependentMediator:
        """
        Give a view of this mediator whose sends are outermost wherever they are made.

        For concurrent work inside a handler: each send has a scope of its own, and its
        events leave as soon as it has succeeded, whatever becomes of the handler.
        """
        return IndependentMediator(self)

    @overload
    def bind(
        self,
        message_type: type[Asking[Req, Res]],
        handler_type: type[RequestHandler[Req, Res]]
        | Callable[Concatenate[Req, P], Coroutine[Any, Any, Res]],
    ) -> None: ...

    @overload
    def bind(
        self,
        message_type: type[Streaming[Req, Res]],
        handler_type: type[StreamHandler[Req, Res]]
        | Callable[Concatenate[Req, P], AsyncIterator[Res]],
    ) -> None: ...

    @overload
    def bind(
        self,
        message_type: type[E],
        handler_type: type[EventHandler[E]]
        | Callable[Concatenate[E, P], Coroutine[Any, Any, None]],
        *,
        concurrent: bool = False,
    ) -> None: ...

    def bind(
        self, message_type: type[Any], handler_type: Handler, **options: bool
    ) -> None:
        """
        Say which class, or function, handles a type of request, or of event.

        Args:
            message_type: A type of request, for `RequestMap.bind`, or of event, for
                `EventMap.bind`.
            handler_type: The handler's class, or an async function that takes the
                message first, as for `handles`.
            options: `concurrent`, for events alone.

        Raises:
            BindingError: They do not fit, or the request has a handler already.
            InUseError: A message went through the mediator already.

        """
        self._map(message_type).bind(message_type, handler_type, **options)

    @overload
    def handles(
        self, message_type: type[Asking[Req, Res]]
    ) -> Callable[
        [Callable[Concatenate[Req, P], Coroutine[Any, Any, Res]]],
        Callable[Concatenate[Req, P], Coroutine[Any, Any, Res]],
    ]: ...

    @overload
    def handles(
        self, message_type: type[Streaming[Req, Res]]
    ) -> Callable[
        [Callable[Concatenate[Req, P], AsyncIterator[Res]]],
        Callable[Concatenate[Req, P], AsyncIterator[Res]],
    ]: ...

    @overload
    def handles(
        self, message_type: type[E], *, concurrent: bool = False
    ) -> Callable[
        [Callable[Concatenate[E, P], Coroutine[Any, Any, None]]],
        Callable[Concatenate[E, P], Coroutine[Any, Any, None]],
    ]: ...

    def handles(self, message_type: type[Any], **options: bool) -> Callable[[Any], Any]:
        """
        Make the decorated async function a handler of a type of request or event.

        Args:
            message_type: As for `bind`.
            options: As for `bind`.

        Raises:
            BindingError: As `bind` does.
            InUseError: As `bind` does.

        """
        decorator: Callable[[Any], Any] = self._map(message_type).handles(
            message_type, **options
        )
        return decorator

    def use(
        self,
        middleware: Middleware | type[Middleware],
        *,
        only: Selector | None = None,
    ) -> None:
        """
        Put a middleware around requests, inside those that are there already.

        Args:
            middleware: As for `MiddlewareChain.add`.
            only: As for `MiddlewareChain.add`.

        Raises:
            BindingError: It is no middleware.
            InUseError: A request was sent already.

        """
        self.middleware_chain.add(middleware, only=only)

    def check(self) -> None:
        """
        Look for everything in the wiring that would fail later.

        These are requests without a handler: those that a handler sends, and those
        declared at the top level of a module that declares a bound one, unless the
        module has messages in the registry, by which it is shared with other programs;
        `diator check` names those. Then what the container cannot build or inject, each
        parameter on its own; middlewares that cannot work where they are; and outbound
        events without a message broker, or past an outbox. Sources of handlers are read
        for it. Nothing is built.

        Raises:
            WiringError: Something was found; it has all of it.

        """
        from diator.wiring.checking import (  # noqa: PLC0415  # only who checks reads sources
            findings,
        )
        from diator.wiring.parts import Parts  # noqa: PLC0415  # as above

        found = findings(Parts(self))
        if found:
            msg = "the mediator is not wired completely"
            raise WiringError(msg, [finding.error for finding in found])

    async def __aenter__(self) -> Self:
        """
        Check the wiring before the first send.

        Raises:
            WiringError: As `check` does.

        """
        self.check()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave everything as it is: what was passed in is closed by its owner."""

    def _map(self, message_type: Any) -> Any:
        if isinstance(message_type, type) and issubclass(message_type, Event):
            return self.event_emitter.event_map
        return self.request_map

    async def _compose_and_handle(self, request: Any) -> Any:
        handle = await self._pipeline.compose(request)
        self._handles[type(request)] = handle
        return await handle(request)


class IndependentMediator:
    """
    A view of a mediator whose sends are outermost wherever they are made.

    Args:
        mediator: Where the requests go.

    """

    def __init__(self, mediator: Mediator) -> None:
        self._mediator = mediator

    async def send(self, request: Request[Res]) -> Res:
        """Have a request handled, as `Mediator.send` does, on its own."""
        token = current.set(None)
        try:
            return await self._mediator.send(request)
        finally:
            current.reset(token)

    def stream(self, request: StreamRequest[Item]) -> AsyncGenerator[Item]:
        """Have a request answered with items, as `Mediator.stream` does, on its own."""
        return stream_items(self.send, request)


def _in_memory() -> MessageBroker:
    from diator.events.message_brokers.memory import (  # noqa: PLC0415  # who brings another broker needs none
        InMemoryMessageBroker,
    )

    return InMemoryMessageBroker()

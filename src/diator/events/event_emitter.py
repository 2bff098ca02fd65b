"""The second pipeline: an event, through its own chain, to handlers and broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from diator.container.default import adapted
from diator.events.cascade import Cascade
from diator.events.collector import EmissionCollector, current, set_current
from diator.events.event import Event
from diator.events.map import EventMap
from diator.events.sinks import (
    broker_sink,
    calls,
    failing,
    handler_sink,
    handling_failure,
    message_type,
    publish,
)
from diator.exceptions import (
    ConfigurationError,
    EventError,
    EventsError,
    NotAMessageError,
)
from diator.messages.registry import MessageRegistry
from diator.middlewares.base import MiddlewareChain, Selector, compose
from diator.middlewares.building import MiddlewareBuilder
from diator.middlewares.transparency import guarded

if TYPE_CHECKING:
    from diator.container.protocol import Container, Owner
    from diator.events.collector import Collector
    from diator.events.message_brokers.protocol import MessageBroker
    from diator.handler import Handler
    from diator.middlewares.base import Handle, Middleware


class Route:
    """
    What becomes of the events of one type.

    Attributes:
        handle: Takes an event through its chain to its handlers; None where there is
            neither.
        handler: The only handler, where `handle` calls it and nothing else.
        publishes: Whether the event goes to the broker afterwards.
        chained: Whether its chain is asked about that.

    """

    __slots__ = ("chained", "handle", "handler", "publishes")

    def __init__(
        self,
        handle: Handle | None,
        handler: Handler | None = None,
        *,
        publishes: bool = False,
        chained: bool = False,
    ) -> None:
        self.handle = handle
        self.handler = handler
        self.publishes = publishes
        self.chained = chained


class EventEmitter:
    """
    Takes events to their handlers and to the message broker.

    Args:
        event_map: The handlers of each type of event.
        message_broker: Gets the notification and ECST events, after the handlers.
        container: Builds the handlers: an adapter, or a plain `lagom.Container`. That
            of the mediator if left out.
        middleware_chain: Middlewares around each event.
        registry: What events are called on the wire; by the names of their classes if
            left out.
        failures: Whether events that could not be dealt with are raised, as one
            `EventsError`, or logged. Inside a transaction they are always raised.
        cascade_limit: How often a type of event may occur in the line of events of
            which each was raised by a handler of the one before. More is taken for a
            cycle without end.

    Raises:
        ConfigurationError: One of the arguments cannot work.

    """

    def __init__(  # noqa: PLR0913  # one for each part, all by keyword
        self,
        *,
        event_map: EventMap | None = None,
        message_broker: MessageBroker | None = None,
        container: Any = None,
        middleware_chain: MiddlewareChain | None = None,
        registry: MessageRegistry | None = None,
        failures: Literal["raise", "log"] = "raise",
        cascade_limit: int = 16,
    ) -> None:
        self.event_map = EventMap() if event_map is None else event_map
        self.message_broker = message_broker
        self._container = None if container is None else adapted(container)
        self.middleware_chain = (
            MiddlewareChain() if middleware_chain is None else middleware_chain
        )
        self.registry = MessageRegistry() if registry is None else registry
        if failures not in ("raise", "log"):
            msg = f"failures must be 'raise' or 'log', not {failures!r}"
            raise ConfigurationError(msg)
        if cascade_limit < 1:
            msg = f"cascade_limit must be at least 1, not {cascade_limit}"
            raise ConfigurationError(msg)
        self.failures = failures
        self.cascade_limit = cascade_limit
        self._builder: MiddlewareBuilder | None = None
        self.factories: dict[Any, Any] = {}
        self._routes: dict[type, Route] = {}
        self._apart = False

    @property
    def container(self) -> Container:
        """The container that handlers are built by."""
        if self._container is None:
            self._container = adapted(None)
        return self._container

    def adopt(self, container: Container) -> None:
        """Build handlers by the container of a mediator, unless there is one."""
        if self._container is None:
            self._container = container
        # Scopes are those of the mediator's container.
        self._apart |= self._container is not container

    def use(
        self,
        middleware: Middleware | type[Middleware],
        *,
        only: Selector | None = None,
    ) -> None:
        """
        Put a middleware around events, inside those that are there already.

        Args:
            middleware: As for `MiddlewareChain.add`.
            only: As for `MiddlewareChain.add`.

        Raises:
            BindingError: It is no middleware.
            InUseError: An event was emitted already.

        """
        self.middleware_chain.add(middleware, only=only)

    async def emit(self, *events: Event) -> None:
        """
        Emit events, and those that their handlers raise, now.

        Raises:
            EventsError: Some could not be dealt with.

        """
        around = current.get()
        token = current.set(around)
        try:
            await self.emit_for(self, list(events), around)
        finally:
            current.reset(token)

    async def emit_within(self, collector: Collector, response: Any = None) -> None:
        """
        Emit the domain events of a running attempt right here, in its scope.

        Those for the broker stay in its collector, to leave with the send.

        Args:
            collector: The attempt's, which is the current one.
            response: What the attempt answers.

        Raises:
            EventsError: Some could not be dealt with; it has the answer.

        """
        events, collector.events = collector.events, None
        owner: Any = collector.owner
        await self.emit_for(owner, events or [], collector, response, within=collector)

    async def emit_for(  # noqa: C901, PLR0912, PLR0913, PLR0915  # in one frame: another would cost a tenth of an event
        self,
        owner: Owner,
        events: list[Event],
        around: Collector | None,
        response: Any = None,
        *,
        within: Collector | None = None,
        received: Event | None = None,
    ) -> None:
        """
        Emit what a request raised, on behalf of a mediator.

        The caller restores the context variable of the collectors.

        Args:
            owner: Whose sends join those of the event handlers, when called by them.
            events: The events, in the order of their raising; used up.
            around: The collector around those of the events.
            response: The answer to the request.
            within: The collector of the attempt that is to have the events handled, in
                its scope, and to keep those for the broker; if it is still running.
            received: The event that comes from elsewhere, and is not to be published.

        Raises:
            EventsError: Some could not be dealt with; it has the answer.

        """
        # None and a tuple instead of empty lists: most emissions need neither.
        failures: tuple[EventError, ...] = ()
        outbound: list[Event] | None = None
        cascade: Cascade | None = None
        routes = self._routes
        held: Any = None
        collector: Any = within
        if within is not None:
            events, held = _hold_outbound(events)
        try:
            # The loop comes to what it puts at the end of the list, too.
            for event in events:
                try:
                    route = routes[type(event)]
                except KeyError:
                    route = await self._compose(event)
                handle = route.handle
                if handle is not None:
                    if collector is None:
                        collector = EmissionCollector()
                        collector.owner = owner
                        collector.outer = around
                        collector.scope = collector.events = collector.passed = None
                        set_current(collector)
                    try:
                        await handle(event)
                    except Exception as error:  # noqa: BLE001  # the other events go on
                        failures += await _failed(event, route, collector, error)
                    except BaseException as interruption:
                        if collector.scope is not None:
                            await collector.scope.close(interruption)
                        raise
                    else:
                        if collector.scope is not None:
                            failures += await _close(event, collector)
                    raised = collector.events
                    if raised is not None:
                        collector.events = None
                        if within is not None:
                            raised, others = _hold_outbound(raised)
                            held += others
                        if cascade is None:
                            cascade = Cascade(self.cascade_limit)
                        failures += cascade.follow(event, raised, events)
                if route.publishes:
                    passes = True
                    if route.chained:
                        emission: Any = collector
                        passes = emission.passed is event
                        emission.passed = None
                    if passes and event is not received:
                        if outbound is None:
                            outbound = []
                        outbound.append(event)
                if self._apart and within is None and collector is not None:
                    # A task that is left behind must not find the next one's scope.
                    collector.owner = collector.outer = None
                    collector = None
        finally:
            if within is not None:
                within.events = held
            elif collector is not None:
                collector.owner = collector.outer = None
        if outbound is not None:
            failures += await publish(outbound, self.message_broker, self.registry)
        if failures:
            group = _events_error(failures, response, within)
            # They refer to this frame, which must not refer to them.
            failures = ()
            try:
                if within is None and received is None and self.failures == "log":
                    _log(group)
                else:
                    raise group
            finally:
                del group

    async def _compose(self, event: Event) -> Route:
        """Compose the route of a type of event, at its first event."""
        self.event_map.freeze()
        self.middleware_chain.freeze()
        event_type = event.__class__
        if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
            msg = (
                f"{event!r} is not an event: raise instances of classes that derive "
                "from diator.Event"
            )
            return Route(failing(NotAMessageError(msg)))
        try:
            if self._builder is None:
                self._builder = MiddlewareBuilder(self.middleware_chain, self.container)
                # Whose adapter does not say has scopes, to be on the safe side.
                self._apart |= getattr(self.container, "has_scopes", True)
            middlewares = await self._builder.middlewares(event_type)
        except Exception as error:  # noqa: BLE001  # the answer is not to be lost by it
            return Route(failing(error))
        bindings = self.event_map.get(event_type)
        publishes = message_type(event_type) is not None
        if middlewares:
            handle = handler_sink(bindings, self.container)
            if publishes:
                handle = broker_sink(handle)
            # The sink at the end of the chain tells whether the event got there.
            handle = compose(middlewares, handle, guard=guarded)
            route = Route(handle, publishes=publishes, chained=publishes)
        elif len(bindings) == 1:
            [(handler, handle)] = calls(bindings, self.container)
            route = Route(handle, handler, publishes=publishes)
        elif bindings:
            handle = handler_sink(bindings, self.container)
            route = Route(handle, publishes=publishes)
        else:
            route = Route(None, None, publishes=publishes)
        self._routes[event_type] = route
        return route


def _hold_outbound(events: list[Event]) -> tuple[list[Event], list[Event]]:
    """Tell the events that are handled here from those for the broker."""
    handled: list[Event] = []
    held: list[Event] = []
    for event in events:
        (handled if message_type(type(event)) is None else held).append(event)
    return handled, held


async def _failed(
    event: Event, route: Route, collector: Collector, error: Exception
) -> tuple[EventError, ...]:
    """Say what failed at an event, and close its scope."""
    failures: tuple[EventError, ...]
    if isinstance(error, EventsError) and error.event is event:
        failures = error.exceptions  # type: ignore[assignment]  # ours have no groups
    else:
        # The attempt failed as a whole, unlike a fan-out in which one handler did.
        collector.events = None
        failures = (_failure(event, route.handler, error),)
    if collector.scope is None:
        return failures
    return (*failures, *await _close(event, collector, error))


async def _close(
    event: Event, collector: Collector, error: Exception | None = None
) -> tuple[EventError, ...]:
    """Close the scope of an event, and say what failed at that."""
    scope: Any = collector.scope
    try:
        await scope.close(error)
    except Exception as closing_error:  # noqa: BLE001  # other events go on
        collector.events = None
        return (_failure(event, None, closing_error),)
    finally:
        collector.scope = None
    return ()


def _failure(event: Event, handler: Handler | None, error: Exception) -> EventError:
    if handler is not None:
        return handling_failure(event, handler, error)
    # A middleware may let through what failed at another event.
    if isinstance(error, EventError) and error.event == event:
        return error
    failure = EventError(event, f"{type(event).__name__} could not be emitted: {error}")
    failure.__cause__ = error
    return failure


def _events_error(
    failures: tuple[EventError, ...], response: Any, within: Collector | None
) -> EventsError:
    msg = "the request was handled, but not all of its events"
    if within is not None:
        msg = "not all events of the request could be handled, so that it fails"
    error = EventsError(msg, failures)
    error.response = response
    return error


def _log(error: EventsError) -> None:
    from diator.logger import get_logger  # noqa: PLC0415  # structlog only where it logs

    get_logger().error("events failed", exc_info=error)

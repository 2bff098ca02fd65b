"""The second pipeline: an event, through its own chain, to handlers and broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from diator.container.default import adapted
from diator.events.collector import Collector, current
from diator.events.event import Event
from diator.events.map import EventMap
from diator.events.sinks import (
    EventCollector,
    broker_sink,
    calls,
    handler_sink,
    handling_failure,
    message_type,
    publish,
)
from diator.exceptions import (
    CascadeError,
    EventError,
    EventsError,
    NotAMessageError,
)
from diator.middlewares.base import MiddlewareChain, Selector, compose
from diator.middlewares.building import MiddlewareBuilder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from diator.container.protocol import Container, Owner
    from diator.events.message_brokers.protocol import MessageBroker
    from diator.handler import Handler
    from diator.middlewares.base import Handle, Middleware

Line = tuple[type, "Line | None"]
"""The type of an event, and the line of the event whose handler raised it."""


class Route:
    """
    What becomes of the events of one type.

    Attributes:
        handle: Takes an event through its chain to its handlers; None where there is
            neither.
        handler: The only handler, where `handle` calls it and nothing else.
        publishes: Whether the event goes to the broker afterwards, with no chain to
            be asked about it.

    """

    __slots__ = ("handle", "handler", "publishes")

    def __init__(
        self, handle: Handle | None, handler: Handler | None, *, publishes: bool
    ) -> None:
        self.handle = handle
        self.handler = handler
        self.publishes = publishes


class EventEmitter:
    """
    Takes events to their handlers and to the message broker.

    Args:
        event_map: The handlers of each type of event.
        message_broker: Gets the notification and ECST events, after the handlers.
        container: Builds the handlers: an adapter, or a plain `lagom.Container`.
        middleware_chain: Middlewares around each event.
        failures: Whether events that could not be dealt with are raised, as one
            `EventsError`, or logged.
        cascade_limit: How often a type of event may occur in the line of events of
            which each was raised by a handler of the one before. More is taken for a
            cycle without end.

    """

    def __init__(
        self,
        *,
        event_map: EventMap | None = None,
        message_broker: MessageBroker | None = None,
        container: Any = None,
        middleware_chain: MiddlewareChain | None = None,
        failures: Literal["raise", "log"] = "raise",
        cascade_limit: int = 16,
    ) -> None:
        self.event_map = EventMap() if event_map is None else event_map
        self.message_broker = message_broker
        self.container: Container = adapted(container)
        self.middleware_chain = (
            MiddlewareChain() if middleware_chain is None else middleware_chain
        )
        self._failures = failures
        self._cascade_limit = cascade_limit
        self._builder = MiddlewareBuilder(self.middleware_chain, self.container)
        self._routes: dict[type, Route] = {}

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
            NotAMessageError: Something is no instance of `Event`.

        """
        await self.emit_for(self, events)

    async def emit_for(
        self, owner: Owner, events: Sequence[Event], response: Any = None
    ) -> None:
        """
        Emit what a request raised, on behalf of a mediator.

        Args:
            owner: Whose sends join those of the event handlers, when called by them.
            events: The events, in the order of their raising.
            response: The answer to the request.

        Raises:
            EventsError: Some could not be dealt with; it has the answer.

        """
        outbound: list[Event] = []
        failures = await self._drain(owner, events, outbound)
        if outbound:
            failures += await publish(outbound, self.message_broker)
        if not failures:
            return
        error = _events_error(failures, response)
        if self._failures == "raise":
            raise error
        _log(error)

    async def emit_within(self, collector: Collector, response: Any = None) -> None:
        """
        Emit the domain events of a collector right here, in the scope of its send.

        Those for the broker stay in the collector, to leave with the send.

        Raises:
            EventsError: Some could not be dealt with; it has the answer.

        """
        events = list(collector)
        collector.clear()
        failures = await self._drain(
            collector.owner,  # type: ignore[arg-type]  # an attempt that runs has one
            events,
            collector,
            within=collector,
        )
        if failures:
            raise _events_error(failures, response)

    async def _drain(
        self,
        owner: Owner,
        events: Iterable[Event],
        outbound: list[Event],
        *,
        within: Collector | None = None,
    ) -> list[EventError]:
        """Take events to their handlers, then those that these raised, and so on."""
        failures: list[EventError] = []
        waiting = list(events)
        lines: dict[int, Line] = {}
        beyond = current.get() if within is None else None
        # What handlers raise is put at the end, and its turn comes in this same loop.
        for index, event in enumerate(waiting):
            event_type = event.__class__
            if within is not None and message_type(event_type) is not None:
                outbound.append(event)
                continue
            route = self._routes.get(event_type)
            if route is not None and route.handle is None:
                if route.publishes:
                    outbound.append(event)
                continue
            raised = EventCollector()
            raised.owner = owner
            raised.outer = within
            raised.beyond = beyond
            raised.scope = None
            raised.outbound = outbound
            failures += await self._emit(event, route, raised)
            if raised:
                line = (event_type, lines.get(index))
                for follower in raised:
                    cycle = self._cycle(follower, line)
                    if cycle:
                        failures.append(CascadeError(follower, cycle))
                    else:
                        lines[len(waiting)] = line
                        waiting.append(follower)
        return failures

    async def _emit(
        self, event: Event, route: Route | None, raised: EventCollector
    ) -> Sequence[EventError]:
        """Take one event through its chain, and tell what went wrong."""
        error: Exception | None = None
        token = current.set(raised)
        try:
            if route is None:
                route = await self._compose(type(event))
            if route.handle is not None:
                await route.handle(event)
        except Exception as caught:  # noqa: BLE001  # whatever it is, other events go on
            error = caught
        except BaseException as interruption:
            if raised.scope is not None:
                await raised.scope.close(interruption)
            raise
        finally:
            raised.owner = None
            current.reset(token)
        if raised.scope is not None:
            try:
                await raised.scope.close(error)
            except Exception as closing_error:  # noqa: BLE001  # as above
                error = closing_error
        if route is not None and route.publishes:
            raised.outbound.append(event)
        if error is None:
            return ()
        handler = None if route is None else route.handler
        if isinstance(error, EventsError) and handler is None:
            return error.exceptions  # type: ignore[return-value]  # no nested groups
        # The attempt failed as a whole, unlike a fan-out in which one handler did.
        raised.clear()
        return [_failure(event, handler, error)]

    async def _compose(self, event_type: type[Event]) -> Route:
        self.event_map.freeze()
        self.middleware_chain.freeze()
        if not issubclass(event_type, Event):
            msg = (
                f"{event_type.__qualname__} is not an event: raise instances of "
                "classes that derive from diator.Event"
            )
            raise NotAMessageError(msg)
        bindings = self.event_map.get(event_type)
        middlewares = await self._builder.middlewares(event_type)
        publishes = message_type(event_type) is not None
        handle: Handle | None = None
        handler: Handler | None = None
        if len(bindings) == 1:
            [(handler, handle)] = calls(bindings, self.container)
        elif bindings:
            handle = handler_sink(bindings, self.container)
        if middlewares:
            handle = handler_sink(bindings, self.container)
            handler = None
            if publishes:
                handle = broker_sink(handle)
                publishes = False
            handle = compose(middlewares, handle)
        route = Route(handle, handler, publishes=publishes)
        self._routes[event_type] = route
        return route

    def _cycle(self, event: Event, line: Line) -> list[type]:
        """Give the types between an event and the last of its type, if it is a cycle."""
        event_type = type(event)
        path = [event_type]
        cycle: list[type] = []
        ancestor: Line | None = line
        occurrences = 0
        while ancestor is not None:
            ancestor_type, ancestor = ancestor
            path.append(ancestor_type)
            if ancestor_type is event_type:
                occurrences += 1
                cycle = cycle or path[::-1]
        return cycle if occurrences >= self._cascade_limit else []


def _failure(event: Event, handler: Handler | None, error: Exception) -> EventError:
    if handler is not None:
        return handling_failure(event, handler, error)
    if isinstance(error, EventError):
        return error
    failure = EventError(event, f"{type(event).__name__} could not be emitted: {error}")
    failure.__cause__ = error
    return failure


def _events_error(failures: Sequence[EventError], response: Any) -> EventsError:
    error = EventsError("the request was handled, but not all of its events", failures)
    error.response = response
    return error


def _log(error: EventsError) -> None:
    from diator.logger import get_logger  # noqa: PLC0415  # structlog only where it logs

    get_logger().error("events failed", exc_info=error)

"""Describe a mediator without using it."""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from diator.description.layers import layers_around
from diator.description.model import (
    Description,
    Event,
    Field,
    Finding,
    Handler,
    Reception,
    Request,
    Subscription,
    Wire,
)
from diator.description.naming import identity, summary_of, type_text
from diator.description.needs import annotation_of, hints_of, needs_of
from diator.events.event import DomainEvent, ECSTEvent, NotificationEvent
from diator.events.event import Event as AnyEvent
from diator.events.sinks import message_type as type_on_wire
from diator.exceptions import ConfigurationError
from diator.handler import module_of, qualified_name
from diator.middlewares.applying import takes_outbound
from diator.requests.request import Command, Query, StreamRequest
from diator.requests.request import Request as AnyRequest
from diator.wiring.checking import findings
from diator.wiring.handlers import not_judged
from diator.wiring.parts import Parts, is_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from diator.consumer.consumer import Consumer
    from diator.container.protocol import Container
    from diator.description.model import Delivery, EventKind, Layer, RequestKind
    from diator.events.event_emitter import EventEmitter
    from diator.mediator import Mediator
    from diator.middlewares.base import MiddlewareChain
    from diator.wiring.finding import Finding as Found

REQUEST_KINDS: dict[type, RequestKind] = {
    Command: "command",
    Query: "query",
    StreamRequest: "stream",
    AnyRequest: "request",
}
EVENT_KINDS: dict[type, EventKind] = {
    DomainEvent: "domain",
    NotificationEvent: "notification",
    ECSTEvent: "ecst",
    AnyEvent: "event",
}


def describe(mediator: Mediator, consumer: Consumer | None = None) -> Description:
    """
    Give everything that a mediator is made of.

    Nothing is built, opened or frozen, so that handlers can be bound afterwards. What
    handlers raise and send is read in their source, which is not run. Predicates of
    middlewares are asked about the types, as the first send does.

    Args:
        mediator: The mediator, with all its handlers.
        consumer: Has it handle what comes from other processes; it is not run.

    """
    return _Describing(mediator, consumer).description()


class _Describing:
    """The work of `describe`, and what is known meanwhile."""

    def __init__(self, mediator: Mediator, consumer: Consumer | None) -> None:
        self._mediator = mediator
        self._emitter = mediator.event_emitter
        topics = () if consumer is None else _topics(consumer)
        self._received = [
            message_type
            for message_type, entry in self._emitter.registry
            if entry.topic in topics
        ]
        self._reception = (
            None
            if consumer is None
            else Reception(
                broker=qualified_name(consumer.broker),
                group=consumer.group,
                topics=topics,
                messages=tuple(map(identity, _sorted(self._received))),
            )
        )
        parts = Parts(mediator, consumer)
        self._sources = parts.sources
        self._reader = parts.reader
        self._found = findings(parts)
        self._not_judged = not_judged(parts)
        self._handlers: dict[Any, Handler] = {}

    def description(self) -> Description:
        broker = self._emitter.message_broker
        request_types, event_types, posted = self._types()
        deliveries = self._deliveries(event_types)
        return Description(
            container=qualified_name(self._mediator.container),
            broker=None if broker is None else qualified_name(broker),
            in_memory=is_in_memory(broker),
            reception=self._reception,
            requests=tuple(self._request(each, posted) for each in request_types),
            events=tuple(self._event(each, deliveries) for each in event_types),
            findings=tuple(_finding(each, event_types) for each in self._found),
            not_judged=tuple(map(identity, self._not_judged)),
        )

    def _types(self) -> tuple[list[type], list[type], set[type]]:
        """Find all types of requests and events, and the requests that are posted."""
        request_map, event_map = self._mediator.request_map, self._emitter.event_map
        request_types = set(request_map)
        event_types: set[type] = {binding.event_type for binding in event_map}
        posted: set[type] = set()
        # What something is wrong with may be nowhere else.
        wrong = [each for finding in self._found for each in finding.messages]
        for known in [*(added for added, _ in self._emitter.registry), *wrong]:
            is_event = issubclass(known, AnyEvent)
            (event_types if is_event else request_types).add(known)
        for handler in [
            *map(request_map.get, request_map),
            *(binding.handler for binding in event_map),
        ]:
            reading = self._reader.read(handler)
            event_types |= {reading.types[each.event] for each in reading.raises}
            request_types |= {reading.types[each.request] for each in reading.sends}
            posted |= {
                reading.types[each.request]
                for each in reading.sends
                if each.how == "post"
            }
        return _sorted(request_types), _sorted(event_types), posted

    def _request(self, request_type: type, posted: set[type]) -> Request:
        request_map = self._mediator.request_map
        registry = dict(self._emitter.registry)
        handler = None
        if request_type in request_map:
            container = self._mediator.container
            handler = self._handler(request_map.get(request_type), container)
        on_wire = request_type in registry or request_type in posted
        return Request(
            id=identity(request_type),
            name=request_type.__name__,
            module=module_of(request_type),
            qualified_name=request_type.__qualname__,
            summary=summary_of(request_type),
            place=self._sources.place(request_type),
            kind=_kind(request_type, REQUEST_KINDS),
            answer=type_text(answer_type(request_type)),
            fields=_fields(request_type),
            wire=self._wire(request_type) if on_wire else None,
            middlewares=self._layers(request_type, self._mediator),
            handler=handler,
        )

    def _event(
        self, event_type: type[Any], deliveries: Mapping[type, set[Delivery]]
    ) -> Event:
        outbound = type_on_wire(event_type) is not None
        return Event(
            id=identity(event_type),
            name=event_type.__name__,
            module=module_of(event_type),
            qualified_name=event_type.__qualname__,
            summary=summary_of(event_type),
            place=self._sources.place(event_type),
            kind=_kind(event_type, EVENT_KINDS),
            fields=_fields(event_type),
            wire=self._wire(event_type) if outbound else None,
            middlewares=self._layers(event_type, self._emitter),
            handlers=tuple(
                Subscription(
                    bound_to=identity(binding.event_type),
                    concurrent=binding.concurrent,
                    handler=self._handler(binding.handler, self._emitter.container),
                )
                for binding in self._emitter.event_map.get(event_type)
            ),
            delivery=tuple(sorted(deliveries[event_type])) if outbound else (),
        )

    def _deliveries(self, event_types: list[type]) -> Mapping[type, set[Delivery]]:
        """Tell which way events leave, by all that raise them."""
        request_map, event_map = self._mediator.request_map, self._emitter.event_map
        request_chain = self._mediator.middleware_chain
        event_chain = self._emitter.middleware_chain
        uses: list[tuple[MiddlewareChain, type, Any]] = [
            *((request_chain, each, request_map.get(each)) for each in request_map),
            *(
                (event_chain, each, binding.handler)
                for each in event_types
                for binding in event_map.get(each)
            ),
        ]
        ways: defaultdict[type, set[Delivery]] = defaultdict(set)
        for chain, message, handler in uses:
            for event_type, _ in self._reader.raised(handler):
                ways[event_type] |= self._ways(takes_outbound(chain, message))
        # Of what nobody is seen to raise, it is told how others leave, unless it only
        # comes in.
        usual = self._ways(any(takes_outbound(*use[:2]) for use in uses))
        return {
            each: ways[each] or (set() if each in self._received else usual)
            for each in event_types
        }

    def _ways(self, by_outbox: bool) -> set[Delivery]:  # noqa: FBT001  # is named so
        if by_outbox:
            return {"outbox"}
        return set() if self._emitter.message_broker is None else {"broker"}

    def _layers(
        self, message_type: type, pipeline: Mediator | EventEmitter
    ) -> tuple[Layer, ...]:
        return layers_around(message_type, pipeline.middleware_chain, self._sources)

    def _handler(self, handler: Any, container: Container) -> Handler:
        if handler not in self._handlers:
            reading = self._reader.read(handler)
            is_class = inspect.isclass(handler)
            self._handlers[handler] = Handler(
                id=identity(handler),
                name=qualified_name(handler),
                kind="class" if is_class else "function",
                summary=summary_of(handler),
                place=self._sources.place(handler),
                needs=needs_of(handler, container, given=0 if is_class else 1),
                raises=reading.raises,
                sends=reading.sends,
                unknown=reading.unknown,
            )
        return self._handlers[handler]

    def _wire(self, message_type: type) -> Wire:
        registry = self._emitter.registry
        entry = registry.entry_of(message_type)
        return Wire(
            name=entry.name,
            topic=entry.topic,
            keyed=entry.key is not None,
            registered=message_type in dict(registry),
        )


def _topics(consumer: Consumer) -> tuple[str, ...]:
    try:
        return tuple(consumer.topics)
    except ConfigurationError:
        # Handlers may be bound afterwards.
        return ()


def _finding(found: Found, event_types: list[type]) -> Finding:
    # Handlers and middlewares of an event serve those that are derived from it.
    derived = [each for each in event_types if issubclass(each, tuple(found.messages))]
    return Finding(
        text=str(found.error),
        messages=tuple(map(identity, dict.fromkeys([*found.messages, *derived]))),
    )


def answer_type(request_type: type, arguments: tuple[Any, ...] = ()) -> Any:
    """Give what a type of request is answered with, or the items of a stream."""
    if request_type is Command:
        return arguments[0] if arguments else None
    if request_type in REQUEST_KINDS:
        return arguments[0] if arguments else Any
    known: dict[Any, Any] = dict(
        zip(getattr(request_type, "__parameters__", ()), arguments, strict=False)
    )
    bases = vars(request_type).get("__orig_bases__", request_type.__bases__)
    # One of its bases is a request, too.
    kinds = tuple(REQUEST_KINDS)
    base = next(each for each in bases if issubclass(get_origin(each) or each, kinds))
    given: list[Any] = [
        known.get(argument, argument) if isinstance(argument, TypeVar) else argument
        for argument in get_args(base)
    ]
    return answer_type(get_origin(base) or base, tuple(given))


def _fields(message_type: type) -> tuple[Field, ...]:
    try:
        parameters = inspect.signature(message_type).parameters.values()
    except (TypeError, ValueError):
        return ()
    hints = hints_of(message_type, extras=True)
    return tuple(
        Field(
            name=parameter.name,
            type=type_text(hints.get(parameter.name, annotation_of(parameter))),
            required=parameter.default is parameter.empty,
        )
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )


def _kind(message_type: type, kinds: Mapping[type, Any]) -> Any:
    return next(kind for base, kind in kinds.items() if issubclass(message_type, base))


def _sorted(types: Iterable[type]) -> list[type]:
    return sorted(types, key=identity)

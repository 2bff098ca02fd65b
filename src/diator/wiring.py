"""What `Mediator.check` looks for: all that would fail later."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from diator.container.injection import injected_parameters
from diator.description.needs import implementation
from diator.description.reading import Reader
from diator.description.source import Sources
from diator.events.event import DomainEvent, Event
from diator.events.sinks import message_type
from diator.exceptions import (
    ConfigurationError,
    DiatorError,
    HandlerNotFoundError,
    UnresolvableError,
)
from diator.handler import module_of, qualified_name
from diator.invocation import check_dependencies
from diator.middlewares.order import (
    ChainUse,
    applying,
    order_errors,
    refusal_errors,
    selector_errors,
    takes_outbound,
)
from diator.middlewares.roles import Injected, role
from diator.requests.request import Request, StreamRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from diator.container.protocol import Container
    from diator.description.model import Raise, Send
    from diator.events.event_emitter import EventEmitter
    from diator.handler import Handler
    from diator.middlewares.base import MiddlewareChain
    from diator.requests.map import RequestMap


def wiring_errors(
    *,
    request_map: RequestMap,
    request_chain: MiddlewareChain,
    container: Container,
    event_emitter: EventEmitter,
) -> list[DiatorError]:
    """Give everything that is wrong, in the order of a send."""
    wiring = _Wiring(request_map, request_chain, container, event_emitter)
    return [
        *wiring.missing_handlers(),
        *wiring.chain_errors(),
        *wiring.unbuildable(),
        *wiring.missing_broker(),
        *wiring.past_the_outbox(),
        *wiring.lost_versions(),
    ]


class _Wiring:
    """The parts of a mediator, and what is known of them meanwhile."""

    def __init__(
        self,
        request_map: RequestMap,
        request_chain: MiddlewareChain,
        container: Container,
        event_emitter: EventEmitter,
    ) -> None:
        self._request_map = request_map
        self._request_chain = request_chain
        self._container = container
        self._emitter = event_emitter
        self._reader = Reader(
            Sources(), lambda wanted: implementation(container, wanted)[0]
        )

    # --- Handlers ---------------------------------------------------------------------

    def missing_handlers(self) -> Iterator[DiatorError]:
        """
        Find the requests that this program is to handle, and has no handler for.

        They are those that its handlers send; and those beside one that it handles,
        unless their module is shared with other programs, which handle theirs.
        """
        missing: dict[type, str] = {}
        for handler in self._handlers():
            for request_type, found in self._reader.sent(handler):
                if found.certainty == "seen" and found.how != "post":
                    place = f"{found.place.file}:{found.place.line}"
                    missing.setdefault(request_type, f"{found.via} sends it ({place})")
        for declared in self._beside_bound():
            why = (
                f"others of {declared.__module__} are bound here; if another program "
                "handles it, declare it in a module of its own, or add what goes "
                "between the programs to the registry"
            )
            missing.setdefault(declared, why)
        for request_type, why in missing.items():
            try:
                self._request_map.get(request_type)
            except HandlerNotFoundError as error:
                msg = f"{error}; {why}"
                yield HandlerNotFoundError(msg)

    def _beside_bound(self) -> list[type]:
        """Give the requests in modules of bound ones, but for those that are posted."""
        found = [
            declared
            for declared in _declared(self._own_modules(), (Request, StreamRequest))
            # A class that others derive from is a base that is not sent itself.
            if declared not in self._request_map and not declared.__subclasses__()
        ]
        if found:
            # The source of all that handlers call is read for this alone.
            posted = {
                request_type
                for handler in self._handlers()
                for request_type, sent in self._reader.sent(handler, deep=True)
                if sent.how == "post"
            }
            found = [declared for declared in found if declared not in posted]
        return found

    def _own_modules(self) -> set[str]:
        """Give the modules of the requests that are bound, but for shared ones."""
        shared = {added.__module__ for added, _ in self._emitter.registry}
        return {request_type.__module__ for request_type in self._request_map} - shared

    def _handlers(self) -> Iterator[Handler]:
        yield from map(self._request_map.get, self._request_map)
        for binding in self._emitter.event_map:
            yield binding.handler

    # --- Chains -----------------------------------------------------------------------

    def chain_errors(self) -> Iterator[DiatorError]:
        """Find the middlewares that cannot work where they are."""
        for use in (self._requests(), self._events()):
            yield from selector_errors(use)
            yield from order_errors(use)
            yield from refusal_errors(use)
        yield from self._concurrent_in_transaction()

    def _requests(self) -> ChainUse:
        return ChainUse("requests", self._request_chain, list(self._request_map))

    def _events(self) -> ChainUse:
        events = {binding.event_type: None for binding in self._emitter.event_map}
        if any(role(each, "emits_within") is True for each, _ in self._request_chain):
            # They are handled inside the transactions of requests.
            events = {
                each: None for each in events if not issubclass(each, DomainEvent)
            }
        return ChainUse("events", self._emitter.middleware_chain, list(events))

    def _concurrent_in_transaction(self) -> Iterator[DiatorError]:
        for binding in self._emitter.event_map:
            if binding.concurrent and any(
                role(each, "begins_transaction") is True
                for each in applying(self._emitter.middleware_chain, binding.event_type)
            ):
                msg = (
                    f"{qualified_name(binding.handler)} is bound to "
                    f"{binding.event_type.__name__} with concurrent=True and so has a "
                    "scope of its own, outside of the transaction that runs around its "
                    "event: bind it without, or leave the event out of the transaction "
                    "with only="
                )
                yield ConfigurationError(msg)

    # --- What the container builds ----------------------------------------------------

    def unbuildable(self) -> Iterator[DiatorError]:
        """Find what the container cannot build."""
        request_map, emitter = self._request_map, self._emitter
        yield from _unbuildable(
            [*self._request_chain.classes(), *map(request_map.get, request_map)],
            self._container,
        )
        yield from _uninjectable(
            self._request_chain, list(request_map), self._container
        )
        bindings = list(emitter.event_map)
        yield from _unbuildable(
            [
                *emitter.middleware_chain.classes(),
                *(binding.handler for binding in bindings),
            ],
            emitter.container,
        )
        yield from _uninjectable(
            emitter.middleware_chain,
            [binding.event_type for binding in bindings],
            emitter.container,
        )

    # --- Where events go --------------------------------------------------------------

    def missing_broker(self) -> Iterator[DiatorError]:
        """Find the events that are to leave, and cannot, without a message broker."""
        if self._emitter.message_broker is not None:
            return
        raised: dict[type, str] = {}
        for message, handler, chain in self._uses():
            if takes_outbound(chain, message):
                continue
            for leaving, verb, found in self._leaving(handler):
                place = f"{found.place.file}:{found.place.line}"
                raised.setdefault(leaving, f", and {found.via} {verb} it ({place})")
        if not any(
            role(each, "takes_outbound") is True
            for chain in (self._request_chain, self._emitter.middleware_chain)
            for each, _ in chain
        ):
            for declared in _declared(self._own_modules(), (Event,)):
                if message_type(declared) is not None:
                    raised.setdefault(declared, "")
        for leaving, why in raised.items():
            msg = (
                f"{leaving.__qualname__} is for other processes{why}, but there is no "
                "message broker: give the EventEmitter a message_broker"
            )
            yield ConfigurationError(msg)

    def past_the_outbox(self) -> Iterator[DiatorError]:
        """
        Find the events that handlers of domain events raise when it is too late.

        A request inside an outbox raises a domain event, whose handlers run after the
        commit, outside of the outbox. What they raise for other processes leaves
        without it, and is lost if the program ends in between.
        """
        told: set[tuple[Handler, type]] = set()
        for request_type in self._request_map:
            if not self._emits_outside(request_type):
                continue
            handler = self._request_map.get(request_type)
            reached = [
                event_type
                for event_type, _ in self._reader.raised(handler)
                if message_type(event_type) is None
            ]
            # What handlers raise in turn is put at the end.
            for event_type in reached:
                for binding in self._emitter.event_map.get(event_type):
                    for raised, found in self._reader.raised(binding.handler):
                        if message_type(raised) is None:
                            if raised not in reached:
                                reached.append(raised)
                        elif (
                            found.certainty == "seen"
                            and (binding.handler, raised) not in told
                            and not takes_outbound(
                                self._emitter.middleware_chain, event_type
                            )
                        ):
                            told.add((binding.handler, raised))
                            yield _past_outbox(
                                event_type, binding.handler, raised, found
                            )

    def _emits_outside(self, request_type: type) -> bool:
        """Tell whether the events of a request are handled outside of its outbox."""
        layers = applying(self._request_chain, request_type)
        outbox = [role(each, "takes_outbound") is True for each in layers]
        within = [role(each, "emits_within") is True for each in layers]
        return any(outbox) and not any(within[outbox.index(True) :])

    def _uses(self) -> Iterator[tuple[type, Handler, MiddlewareChain]]:
        for request_type in self._request_map:
            yield request_type, self._request_map.get(request_type), self._request_chain
        for binding in self._emitter.event_map:
            chain = self._emitter.middleware_chain
            yield binding.event_type, binding.handler, chain

    def _leaving(self, handler: Handler) -> Iterator[tuple[type, str, Raise | Send]]:
        """Give what a handler is seen to have leave for other processes."""
        for event_type, raised in self._reader.raised(handler):
            if raised.certainty == "seen" and message_type(event_type) is not None:
                yield event_type, "raises", raised
        for request_type, sent in self._reader.sent(handler):
            if sent.certainty == "seen" and sent.how == "post":
                yield request_type, "posts", sent

    # --- The registry -----------------------------------------------------------------

    def lost_versions(self) -> Iterator[DiatorError]:
        """Find the older versions of messages that lead to none."""
        try:
            self._emitter.registry.check()
        except ConfigurationError as error:
            yield error


def _unbuildable(
    handlers: Iterable[Any], container: Container
) -> Iterator[DiatorError]:
    for handler in dict.fromkeys(handlers):
        try:
            check_dependencies(handler, container)
        except UnresolvableError as error:
            yield error


def _uninjectable(
    chain: MiddlewareChain, message_types: list[type], container: Container
) -> Iterator[DiatorError]:
    """Find what middlewares ask for while messages pass, and will not get."""
    asked: dict[Injected, str] = {}
    for passing in message_types:
        for middleware in applying(chain, passing):
            injected = role(middleware, "injected")
            if injected is not None:
                for each in injected(passing):
                    asked.setdefault(each, qualified_name(middleware))
    for (thing, given), middleware in asked.items():
        try:
            if inspect.isclass(thing):
                container.check(thing)
            else:
                injected_parameters(
                    thing, container.check, container.knows, given=given
                )
        except UnresolvableError as error:
            msg = f"{middleware} cannot ask for what it needs: {error}"
            yield UnresolvableError(msg)


def _past_outbox(
    event_type: type, handler: Handler, raised: type, found: Raise
) -> ConfigurationError:
    place = f"{found.place.file}:{found.place.line}"
    msg = (
        f"{raised.__name__} leaves without the outbox: {qualified_name(handler)} "
        f"raises it ({place}), which handles {event_type.__name__} after the commit; "
        "put a TransactionMiddleware and the OutboxMiddleware around events, too "
        "(event_emitter.use), or have domain events handled in the transaction, by an "
        "EventCollectionMiddleware(emitter) inside the outbox"
    )
    return ConfigurationError(msg)


def _declared(modules: Iterable[str], bases: tuple[type, ...]) -> list[type]:
    """Give the classes that modules declare at their top level, in their order."""
    return [
        declared
        for name in sorted(modules)
        for declared in vars(sys.modules.get(name, object)).values()
        if inspect.isclass(declared)
        and issubclass(declared, bases)
        and declared.__module__ == name
        and module_of(declared).partition(".")[0] != "diator"
    ]

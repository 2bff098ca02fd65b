"""Which events and commands are for other processes, and would not get there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diator.events.event import Event
from diator.events.sinks import message_type
from diator.exceptions import ConfigurationError
from diator.handler import qualified_name
from diator.middlewares.applying import applying, takes_outbound
from diator.middlewares.roles import role
from diator.wiring.finding import Finding
from diator.wiring.parts import declared, is_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.description.model import Raise, Send
    from diator.handler import Handler
    from diator.wiring.parts import Parts


def missing_broker(parts: Parts) -> Iterator[Finding]:
    """Find the events that are to leave, and cannot, without a message broker."""
    if parts.emitter.message_broker is not None:
        return
    raised = {
        leaving: f", and {who}" for leaving, who in _without_outbox(parts).items()
    }
    if not any(
        role(each, "takes_outbound") is True
        for chain in (parts.request_chain, parts.emitter.middleware_chain)
        for each, _ in chain
    ):
        for each in declared(parts.bound_modules() - parts.shared_modules(), (Event,)):
            if message_type(each) is not None:
                raised.setdefault(each, "")
    for leaving, why in raised.items():
        msg = (
            f"{leaving.__qualname__} is for other processes{why}, but there is no "
            "message broker: give the EventEmitter a message_broker"
        )
        yield Finding(ConfigurationError(msg), [leaving])


def kept_in_memory(parts: Parts) -> Iterator[Finding]:
    """Find what is to leave a consumer's process, and has a broker in memory alone."""
    consumer, broker = parts.consumer, parts.emitter.message_broker
    if consumer is None or consumer.broker is broker or not is_in_memory(broker):
        return
    for leaving, who in _without_outbox(parts).items():
        msg = (
            f"{leaving.__qualname__} stays in this process: {who}, and the mediator's "
            "message broker is the one in memory, while the consumer receives from "
            f"{qualified_name(consumer.broker)}; give the mediator a message_broker "
            "from which others receive, or put an OutboxMiddleware around what raises "
            "it"
        )
        yield Finding(ConfigurationError(msg), [leaving])


def past_the_outbox(parts: Parts) -> Iterator[Finding]:
    """
    Find the events that handlers of domain events raise when it is too late.

    A request inside an outbox raises a domain event, whose handlers run after the
    commit, outside of the outbox. What they raise for other processes leaves
    without it, and is lost if the program ends in between.
    """
    told: set[tuple[Handler, type]] = set()
    for request_type in parts.request_map:
        if not _emits_outside(parts, request_type):
            continue
        handler = parts.request_map.get(request_type)
        reached = [
            event_type
            for event_type, _ in parts.reader.raised(handler)
            if message_type(event_type) is None
        ]
        # What handlers raise in turn is put at the end.
        for event_type in reached:
            for binding in parts.emitter.event_map.get(event_type):
                for raised, found in parts.reader.raised(binding.handler):
                    if message_type(raised) is None:
                        if raised not in reached:
                            reached.append(raised)
                    elif (
                        found.certainty == "seen"
                        and (binding.handler, raised) not in told
                        and not takes_outbound(
                            parts.emitter.middleware_chain, event_type
                        )
                    ):
                        told.add((binding.handler, raised))
                        error = _past_outbox(event_type, binding.handler, raised, found)
                        yield Finding(error, [raised])


def _emits_outside(parts: Parts, request_type: type) -> bool:
    """Tell whether the events of a request are handled outside of its outbox."""
    layers = applying(parts.request_chain, request_type)
    outbox = [role(each, "takes_outbound") is True for each in layers]
    within = [role(each, "emits_within") is True for each in layers]
    return any(outbox) and not any(within[outbox.index(True) :])


def _without_outbox(parts: Parts) -> dict[type, str]:
    """Give what is seen to leave for other processes by no outbox, and by whom."""
    found: dict[type, str] = {}
    for message, handler, chain in parts.uses():
        if not takes_outbound(chain, message):
            for leaving, verb, seen in _leaving(parts, handler):
                place = f"{seen.place.file}:{seen.place.line}"
                found.setdefault(leaving, f"{seen.via} {verb} it ({place})")
    return found


def _leaving(
    parts: Parts, handler: Handler
) -> Iterator[tuple[type, str, Raise | Send]]:
    """Give what a handler is seen to have leave for other processes."""
    for event_type, raised in parts.reader.raised(handler):
        if raised.certainty == "seen" and message_type(event_type) is not None:
            yield event_type, "raises", raised
    for request_type, sent in parts.reader.sent(handler):
        if sent.certainty == "seen" and sent.how == "post":
            yield request_type, "posts", sent


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

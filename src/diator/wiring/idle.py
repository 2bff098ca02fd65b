"""Which middlewares do nothing, because they are around the wrong messages."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from diator.events.event import Event
from diator.exceptions import ConfigurationError
from diator.handler import qualified_name
from diator.middlewares.applying import selects
from diator.middlewares.roles import layers_of, role
from diator.requests.post import PostCommand
from diator.wiring.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.wiring.parts import Parts


LOST_WITHOUT = ("begins_transaction", "takes_inbound", "takes_outbound")
"""The roles without which something is lost, and nobody notices."""


def idle(parts: Parts) -> Iterator[Finding]:
    """Find the middlewares that are around requests, and are meant for events."""
    if any(True for _ in parts.request_map):
        yield from _inbox_of_events(parts)
    elif not _posts(parts):
        yield from _without_requests(parts)


def _without_requests(parts: Parts) -> Iterator[Finding]:
    """
    Find transactions, inboxes and outboxes that only events would need, and lack.

    Who adds the same to both chains has several programs do so in one place. Without
    others, such as logging, nothing is lost.
    """
    events = list(dict.fromkeys(each.event_type for each in parts.emitter.event_map))
    around_events = {_kind(each) for each, _ in parts.emitter.middleware_chain}
    found = {
        _kind(middleware): middleware
        for middleware, only in parts.request_chain
        if not (only is not None and selects(only, PostCommand) is True)
        and any(role(middleware, name) is True for name in LOST_WITHOUT)
    }
    for kind, middleware in found.items():
        if events and kind not in around_events:
            msg = (
                f"{qualified_name(middleware)} does nothing here: it is around "
                "requests, and no request is bound, but handlers of events are; put "
                "it around events with mediator.event_emitter.use, or leave it out; "
                "if it is for commands that are posted, add it with only=PostCommand"
            )
            yield Finding(ConfigurationError(msg), events)


def _inbox_of_events(parts: Parts) -> Iterator[Finding]:
    """Find an inbox around requests where what comes from elsewhere are events."""
    handled = [
        each
        for each, _ in parts.emitter.registry
        if each in parts.request_map or parts.emitter.event_map.get(each)
    ]
    if (
        not handled
        or not all(issubclass(each, Event) for each in handled)
        or any(_is_inbox(each) for each, _ in parts.emitter.middleware_chain)
    ):
        return
    for middleware, _ in parts.request_chain:
        if _is_inbox(middleware):
            msg = (
                f"{qualified_name(middleware)} does nothing here: it is around "
                "requests, and of the messages in the registry only events are "
                "handled here; put it around events with mediator.event_emitter.use"
            )
            yield Finding(ConfigurationError(msg), handled)


def _posts(parts: Parts) -> bool:
    """Tell whether a handler may post a command, which is sent as a request."""
    return any(
        sent.how == "post"
        for _, handler, _ in parts.uses()
        for _, sent in parts.reader.sent(handler, deep=True)
    )


def _is_inbox(middleware: Any) -> bool:
    return role(middleware, "takes_inbound") is True


def _kind(middleware: Any) -> Any:
    """Give the class of a middleware, or of what it wraps."""
    *_, innermost = layers_of(middleware)
    kind: Any = innermost if inspect.isclass(innermost) else innermost.__class__
    return kind

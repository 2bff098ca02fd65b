"""Which middlewares cannot work where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from diator.events.event import DomainEvent
from diator.exceptions import ConfigurationError
from diator.handler import qualified_name
from diator.middlewares.applying import applying, selects
from diator.middlewares.roles import is_known, role
from diator.wiring.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.middlewares.base import MiddlewareChain
    from diator.wiring.parts import Parts

TOLD = 3
"""How many messages an error names: more would hide what is to be done."""


class ChainUse(NamedTuple):
    """
    A chain, and the messages that go through it.

    Attributes:
        around: What they are called: `requests`, or `events`.
        chain: The middlewares.
        message_types: The types.

    """

    around: str
    chain: MiddlewareChain
    message_types: list[type]


def chain_errors(parts: Parts) -> Iterator[Finding]:
    """Find the middlewares that cannot work where they are."""
    for use in (_requests(parts), _events(parts)):
        yield from _selector_errors(use)
        yield from _order_errors(use)
        yield from _refusal_errors(use)
    yield from _concurrent_in_transaction(parts)


def _requests(parts: Parts) -> ChainUse:
    return ChainUse("requests", parts.request_chain, list(parts.request_map))


def _events(parts: Parts) -> ChainUse:
    events = {binding.event_type: None for binding in parts.emitter.event_map}
    if any(role(each, "emits_within") is True for each, _ in parts.request_chain):
        # They are handled inside the transactions of requests.
        events = {each: None for each in events if not issubclass(each, DomainEvent)}
    return ChainUse("events", parts.emitter.middleware_chain, list(events))


def _selector_errors(use: ChainUse) -> Iterator[Finding]:
    """Find predicates that fail, which the first send would fail of."""
    for middleware, only in use.chain:
        failures = {
            message_type: found
            for message_type in use.message_types
            if isinstance(found := selects(only, message_type), Exception)
        }
        if failures:
            message_type, error = next(iter(failures.items()))
            msg = (
                f"only={qualified_name(only)} of {qualified_name(middleware)} "
                f"fails at {message_type.__name__} with {type(error).__name__}: "
                f"{error}; it is called with the type, not with a message"
            )
            yield Finding(ConfigurationError(msg), list(failures))


def _order_errors(use: ChainUse) -> Iterator[Finding]:
    """
    Find the middlewares that need a transaction, and have none around them.

    Not where something stands around them that may begin one, for all that is known.
    """
    # By name, for the same one may have been added twice, for some messages each.
    without: dict[str, list[type]] = {}
    late: set[str] = set()
    for message_type in use.message_types:
        layers = applying(use.chain, message_type)
        for number, layer in enumerate(layers):
            needs = role(layer, "needs_transaction") or ()
            if not issubclass(message_type, needs) or any(
                role(each, "begins_transaction") is True or not is_known(each)
                for each in layers[:number]
            ):
                continue
            name = qualified_name(layer)
            without.setdefault(name, []).append(message_type)
            if any(
                role(each, "begins_transaction") is True for each in layers[number:]
            ):
                late.add(name)
    for name, message_types in without.items():
        why = "it begins inside" if name in late else "none begins around it"
        msg = (
            f"{name} needs a transaction around {_told(message_types)}, but {why}: "
            f"add the TransactionMiddleware to the chain of {use.around} before "
            f"{name}, for the same messages (only=)"
        )
        yield Finding(ConfigurationError(msg), message_types)


def _refusal_errors(use: ChainUse) -> Iterator[Finding]:
    """Find the messages that a middleware always refuses."""
    for message_type in use.message_types:
        for layer in applying(use.chain, message_type):
            refuses = role(layer, "refuses")
            reason = None if refuses is None else refuses(message_type)
            if reason is not None:
                msg = (
                    f"{qualified_name(layer)} refuses every {message_type.__name__}: "
                    f"{reason}"
                )
                yield Finding(ConfigurationError(msg), [message_type])


def _concurrent_in_transaction(parts: Parts) -> Iterator[Finding]:
    for binding in parts.emitter.event_map:
        if binding.concurrent and any(
            role(each, "begins_transaction") is True
            for each in applying(parts.emitter.middleware_chain, binding.event_type)
        ):
            msg = (
                f"{qualified_name(binding.handler)} is bound to "
                f"{binding.event_type.__name__} with concurrent=True and so has a "
                "scope of its own, outside of the transaction that runs around its "
                "event: bind it without, or leave the event out of the transaction "
                "with only="
            )
            yield Finding(ConfigurationError(msg), [binding.event_type])


def _told(message_types: list[type]) -> str:
    names = [each.__name__ for each in message_types[:TOLD]]
    others = len(message_types) - TOLD
    if others > 0:
        names.append(f"{others} more")
    return ", ".join(names)

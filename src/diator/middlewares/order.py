"""Which middlewares cannot work where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from diator.exceptions import ConfigurationError
from diator.handler import qualified_name
from diator.middlewares.base import applies
from diator.middlewares.roles import is_known, role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from diator.exceptions import DiatorError
    from diator.middlewares.base import MiddlewareChain

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


def applying(chain: MiddlewareChain, message_type: type) -> list[Any]:
    """Give the middlewares for a type, without those whose predicate fails."""
    return [
        middleware for middleware, only in chain if _selects(only, message_type) is True
    ]


def takes_outbound(chain: MiddlewareChain, message_type: type) -> bool:
    """Tell whether the outbound events that a message raises go to an outbox."""
    return any(
        role(middleware, "takes_outbound") is True
        for middleware in applying(chain, message_type)
    )


def selector_errors(use: ChainUse) -> Iterator[DiatorError]:
    """Find predicates that fail, which the first send would fail of."""
    for middleware, only in use.chain:
        for message_type in use.message_types:
            found = _selects(only, message_type)
            if isinstance(found, Exception):
                msg = (
                    f"only={qualified_name(only)} of {qualified_name(middleware)} "
                    f"fails at {message_type.__name__} with {type(found).__name__}: "
                    f"{found}; it is called with the type, not with a message"
                )
                yield ConfigurationError(msg)
                break


def order_errors(use: ChainUse) -> Iterator[DiatorError]:
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
        yield ConfigurationError(msg)


def refusal_errors(use: ChainUse) -> Iterator[DiatorError]:
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
                yield ConfigurationError(msg)


def _selects(only: Any, message_type: type) -> bool | Exception:
    try:
        return applies(only, message_type)
    except Exception as error:  # noqa: BLE001  # predicates are anybody's code
        return error


def _told(message_types: list[type]) -> str:
    names = [each.__name__ for each in message_types[:TOLD]]
    others = len(message_types) - TOLD
    if others > 0:
        names.append(f"{others} more")
    return ", ".join(names)

"""Which middlewares of a chain a type of message goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diator.middlewares.base import applies
from diator.middlewares.roles import role

if TYPE_CHECKING:
    from diator.middlewares.base import MiddlewareChain


def applying(chain: MiddlewareChain, message_type: type) -> list[Any]:
    """Give the middlewares for a type, without those whose predicate fails."""
    return [
        middleware for middleware, only in chain if selects(only, message_type) is True
    ]


def takes_outbound(chain: MiddlewareChain, message_type: type) -> bool:
    """Tell whether the outbound events that a message raises go to an outbox."""
    return any(
        role(middleware, "takes_outbound") is True
        for middleware in applying(chain, message_type)
    )


def selects(only: Any, message_type: type) -> bool | Exception:
    """Tell whether a selector is for a type, or by what it fails at it."""
    try:
        return applies(only, message_type)
    except Exception as error:  # noqa: BLE001  # predicates are anybody's code
        return error

"""Which middlewares of a chain a type of message goes through, and why."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from diator.description.model import Layer
from diator.description.naming import identity
from diator.handler import qualified_name
from diator.middlewares.base import applies
from diator.middlewares.roles import layers_of, role

if TYPE_CHECKING:
    from diator.description.model import LayerRole
    from diator.description.source import Sources
    from diator.middlewares.base import MiddlewareChain, Selector

ROLES: dict[str, LayerRole] = {
    "begins_transaction": "transaction",
    "takes_outbound": "outbox",
    "takes_inbound": "inbox",
    "emits_within": "domain events",
}


def layers_around(
    message_type: type, chain: MiddlewareChain, sources: Sources
) -> tuple[Layer, ...]:
    """Give all middlewares of a chain, as a type of message sees them."""
    return tuple(
        _layer(middleware, only, message_type, sources) for middleware, only in chain
    )


def _layer(
    middleware: Any, only: Selector | None, message_type: type, sources: Sources
) -> Layer:
    does_apply, reason = _reason(only, message_type)
    return Layer(
        id=identity(middleware),
        name=_layer_name(middleware),
        applies=does_apply,
        only=_told_selector(only),
        reason=reason,
        roles=tuple(
            told for name, told in ROLES.items() if role(middleware, name) is True
        ),
        built=inspect.isclass(middleware),
        place=sources.place(middleware),
    )


def _layer_name(middleware: Any) -> str:
    if inspect.isroutine(middleware):
        return qualified_name(middleware)
    names = [qualified_name(each) for each in layers_of(middleware)]
    return "(".join(names) + ")" * (len(names) - 1)


def _told_selector(only: Selector | None) -> str:
    if only is None:
        return ""
    return f"only={', '.join(map(qualified_name, _selected(only)))}"


def _selected(only: Any) -> tuple[Any, ...]:
    several = only
    return (*several,) if isinstance(only, tuple) else (only,)


def _reason(only: Any, message_type: type) -> tuple[bool, str]:
    """Tell whether a middleware is for a type, and why."""
    name, told = message_type.__name__, _told_selector(only)
    if only is None:
        return True, "it is for all messages"
    if inspect.isclass(only) or isinstance(only, tuple):
        bases = [each for each in _selected(only) if issubclass(message_type, each)]
        if message_type in bases:
            return True, told
        if bases:
            return True, f"{told}, and {name} is a {bases[0].__qualname__}"
        return False, f"{told}, and {name} is none"
    try:
        selects = applies(only, message_type)
    except Exception as error:  # noqa: BLE001  # predicates are anybody's code
        return False, f"{told}, which fails with {type(error).__name__}: {error}"
    return selects, f"{told}, which is {selects} of {name}"

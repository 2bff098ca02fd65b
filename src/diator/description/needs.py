"""What handlers are built from, or called with, as far as the container tells."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from diator.description.model import Need
from diator.description.naming import type_text
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from diator.container.protocol import Container


def implementation(container: Any, wanted: type) -> type | None:
    """Give the class that a container builds for a type, None where it does not say."""
    tell = getattr(container, "implementation", None)
    found: type | None = None if tell is None else tell(wanted)
    return found


def needs_of(
    thing: Any,
    container: Container,
    *,
    given: int = 0,
    around: tuple[Any, ...] = (),
) -> tuple[Need, ...]:
    """
    Tell what something is built from, or called with.

    Args:
        thing: A class or a function.
        container: Builds it.
        given: How many arguments there are already.
        around: What needs it, so that a circle ends.

    """
    try:
        parameters = list(inspect.signature(thing).parameters.values())[given:]
    except (TypeError, ValueError):
        return ()
    hints = hints_of(thing.__init__ if inspect.isclass(thing) else thing)
    return tuple(
        _need(parameter, hints, container, (*around, thing))
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )


def _need(
    parameter: inspect.Parameter,
    hints: dict[str, Any],
    container: Container,
    around: tuple[Any, ...],
) -> Need:
    hint = cast("Any", hints.get(parameter.name, parameter.annotation))
    has_hint = hint is not parameter.empty
    is_known = has_hint and not isinstance(hint, str) and container.knows(hint)
    problem = None
    needs: tuple[Need, ...] = ()
    built_as = None
    if is_known:
        building: Any = "registered"
        built_as = implementation(container, hint)
    elif parameter.default is not parameter.empty:
        building = "default"
    elif not has_hint:
        building, problem = "missing", "it has no annotation to tell its type by"
    else:
        building = "class"
        try:
            container.check(hint)
        except (TypeError, UnresolvableError) as error:
            building, problem = "missing", str(error)
        built_as = hint if inspect.isclass(hint) else None
    if built_as is not None and built_as not in around:
        needs = needs_of(built_as, container, around=around)
    return Need(
        parameter=parameter.name,
        type=type_text(hint) if has_hint else "?",
        building=building,
        built_as=None
        if built_as is None or built_as is hint
        else qualified_name(built_as),
        problem=problem,
        needs=needs,
    )


def hints_of(function: Any) -> dict[str, Any]:
    """Give the annotations of a function or a class, none if they cannot be read."""
    try:
        return get_type_hints(function)
    except (AttributeError, NameError, TypeError):
        # Names for type checkers alone: annotations are told as they are written.
        return {}

"""What handlers are built from, or called with, as far as the container tells."""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_type_hints

from diator.container.injection import registered_type
from diator.description.model import Need
from diator.description.naming import type_text
from diator.exceptions import UnresolvableError
from diator.handler import module_of, qualified_name

if TYPE_CHECKING:
    from diator.container.protocol import Container
    from diator.description.model import Building


def implementation(container: Any, wanted: type) -> tuple[type | None, bool]:
    """
    Tell which class a container builds for a type, None where it does not say.

    Beside it, whether its instance is there already.
    """
    tell = getattr(container, "implementation", None)
    return (None if tell is None else tell(wanted)) or (None, False)


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
        _need(
            parameter,
            hints.get(parameter.name, annotation_of(parameter)),
            container,
            (*around, thing),
        )
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )


def _need(
    parameter: inspect.Parameter,
    hint: Any,
    container: Container,
    around: tuple[Any, ...],
) -> Need:
    problem: str | None = None
    needs: tuple[Need, ...] = ()
    built_as, exists = None, False
    building: Building
    registered = registered_type(hint, container.knows) if _is_resolved(hint) else None
    if registered is not None:
        building = "registered"
        built_as, exists = implementation(container, registered)
    elif parameter.default is not parameter.empty:
        building = "default"
    else:
        problem = _problem(hint, container)
        building = "class" if problem is None else "missing"
        built_as = hint if inspect.isclass(hint) else None
    # What is there already needs nothing more.
    if built_as is not None and not exists and built_as not in around:
        needs = needs_of(built_as, container, around=around)
    return Need(
        parameter=parameter.name,
        type=type_text(hint),
        building=building,
        built_as=None
        if built_as is None or built_as is hint
        else qualified_name(built_as),
        problem=problem,
        needs=needs,
    )


def _problem(hint: Any, container: Container) -> str | None:
    """Say why something cannot be built, None where it can."""
    if hint is Any:
        return "it has no annotation to tell its type by"
    if isinstance(hint, str):
        return f"nothing here is called {hint}"
    try:
        container.check(hint)
    except (TypeError, UnresolvableError) as error:
        return str(error)
    return None


def annotation_of(parameter: inspect.Parameter) -> Any:
    """Give the annotation of a parameter, `Any` where it has none."""
    bare: Any = parameter.annotation
    return Any if bare is parameter.empty else bare


def _is_resolved(hint: Any) -> bool:
    return hint is not Any and not isinstance(hint, str)


def hints_of(thing: Any, *, extras: bool = False) -> dict[str, Any]:
    """
    Give the annotations of a function or a class, as texts if they say no more.

    Args:
        thing: The function or the class.
        extras: Whether what is added to a type by `Annotated` is kept.

    """
    try:
        return get_type_hints(thing, include_extras=extras)
    except (AttributeError, NameError, SyntaxError, TypeError):
        # One has a name for type checkers alone, say, and the others have not.
        return _each_hint(thing, extras=extras)


def _each_hint(thing: Any, *, extras: bool) -> dict[str, Any]:
    names = vars(sys.modules.get(module_of(thing), object))
    hints: dict[str, Any] = {}
    for owner in reversed(getattr(thing, "__mro__", (thing,))):
        annotations: dict[str, Any] = getattr(owner, "__annotations__", {})
        for name, annotation in annotations.items():
            holder = type("Holder", (), {"__annotations__": {name: annotation}})
            hints[name] = annotation
            with suppress(AttributeError, NameError, SyntaxError, TypeError):
                hints |= get_type_hints(holder, dict(names), include_extras=extras)
    return hints

"""How a function gets its parameters by their types."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from diator.container.protocol import Scoped
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from diator.container.protocol import Container, Factory


def injected_parameters(
    function: Callable[..., Any],
    check: Callable[[type[Any]], object],
    knows: Callable[[type[Any]], bool],
    *,
    given: int,
) -> dict[str, type[Any]]:
    """
    Tell which parameters have to be supplied, after those that are given.

    A parameter with a default keeps it, unless its type is registered, which for
    `T | None` is `T`.

    Args:
        function: A function, a class, or another callable.
        check: Refuses, with an `UnresolvableError`, what cannot be built.
        knows: Tells whether a type is registered.
        given: How many arguments there are already.

    Raises:
        UnresolvableError: Parameters that need to be supplied cannot be built; it
            names all of them.

    """
    names = _names_known_to(function)
    injected: dict[str, type[Any]] = {}
    errors: dict[str, Exception] = {}
    for parameter in list(inspect.signature(function).parameters.values())[given:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        has_default = parameter.default is not parameter.empty
        try:
            hint = _hint(parameter, names)
        except UnresolvableError as error:
            if not has_default:
                errors[parameter.name] = error
            continue
        registered = registered_type(hint, knows)
        if registered is None and has_default:
            continue
        hint = registered or hint
        try:
            check(hint)
        except (TypeError, UnresolvableError) as error:
            errors[parameter.name] = error
        else:
            injected[parameter.name] = hint
    if errors:
        done = "built" if inspect.isclass(function) else "called"
        what = f"{qualified_name(function)} cannot be {done}"
        raise unsupplied(what, errors)
    return injected


def unsupplied(what: str, errors: Mapping[str, Exception]) -> UnresolvableError:
    """
    Make the error of what has parameters that cannot be supplied.

    Args:
        what: What cannot be done without them.
        errors: Why each cannot be supplied, by the names of the parameters.

    """
    error = UnresolvableError(
        *(
            f"{what}: its parameter {name!r}: {problem}"
            for name, found in errors.items()
            for problem in (
                found.problems if isinstance(found, UnresolvableError) else [str(found)]
            )
        )
    )
    # One is enough to follow: the messages tell of all.
    error.__cause__ = next(iter(errors.values()))
    return error


def needed_types(function: Callable[..., Any], *, given: int = 0) -> set[Any]:
    """Tell the types of parameters, after those that are given, as far as told."""
    names = _names_known_to(function)
    try:
        parameters = list(inspect.signature(function).parameters.values())[given:]
    except (TypeError, ValueError):
        # Only who knows the function otherwise can call it.
        return set()
    needed: set[Any] = set()
    for parameter in parameters:
        # So it is with a parameter that nothing is told of.
        with suppress(UnresolvableError):
            hint = _hint(parameter, names)
            needed.add(without_none(hint) or hint)
    return needed


def registered_type(hint: Any, knows: Callable[[Any], bool]) -> Any:
    """Give the type that is registered, which for `T | None` may be `T`, or None."""
    if knows(hint):
        return hint
    optional = without_none(hint)
    return optional if optional is not None and knows(optional) else None


def without_none(hint: Any) -> Any:
    """Give `T` of `T | None`, None for other types."""
    if get_origin(hint) not in (Union, UnionType):
        return None
    members = [member for member in get_args(hint) if member is not NoneType]
    return members[0] if len(members) == 1 else None


def giving(values: Mapping[Any, Any], dependency: Any) -> Callable[[], Any]:
    """Make a function that gives the value of a type, for containers that call it."""
    return lambda: values[dependency]


def as_opener(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a generator function, which yields once, one of a context manager."""
    if inspect.isasyncgenfunction(function):
        return asynccontextmanager(function)
    if inspect.isgeneratorfunction(function):
        return contextmanager(function)
    return function


def argument_factories(
    function: Callable[..., Any], container: Container, *, given: int
) -> dict[str, Factory[Any] | Scoped]:
    """
    Work out how each parameter after those that are given is built.

    Raises:
        UnresolvableError: A parameter that needs to be supplied cannot be built.

    """
    parameters = injected_parameters(
        function, container.check, container.knows, given=given
    )
    return {
        name: container.factory(dependency) for name, dependency in parameters.items()
    }


def all_at_once(
    factories: Mapping[str, Factory[Any] | Scoped],
) -> Factory[dict[str, Any]] | Scoped:
    """Build all arguments, by the names of the parameters."""
    plain = {
        name: factory
        for name, factory in factories.items()
        if not isinstance(factory, Scoped)
    }
    if len(plain) == len(factories):
        return lambda: {name: build() for name, build in plain.items()}

    async def build_all(resources: Any) -> dict[str, Any]:
        return {
            name: await factory.build(resources)
            if isinstance(factory, Scoped)
            else factory()
            for name, factory in factories.items()
        }

    return Scoped(build_all)


def _names_known_to(function: Any) -> dict[str, Any]:
    function = inspect.unwrap(function)
    while isinstance(function, partial):
        function = inspect.unwrap(function.func)
    if inspect.isclass(function):
        function = function.__init__
    elif not inspect.isroutine(function):
        function = type(function).__call__
    return getattr(inspect.unwrap(function), "__globals__", {})


def _hint(parameter: inspect.Parameter, names: dict[str, Any]) -> type[Any]:
    if parameter.annotation is parameter.empty:
        msg = "it has no annotation to tell its type by"
        raise UnresolvableError(msg)
    if parameter.kind is parameter.POSITIONAL_ONLY:
        msg = "it is positional-only, and arguments are passed by name"
        raise UnresolvableError(msg)
    # This one alone: all else may have names in it that only type checkers know.
    annotations = {"it": parameter.annotation}
    try:
        hint: type[Any] = get_type_hints(
            type("Holder", (), {"__annotations__": annotations}), names
        )["it"]
    except (NameError, TypeError) as error:
        raise UnresolvableError(str(error)) from error
    return hint

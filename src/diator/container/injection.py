"""How a function gets its parameters by their types."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, get_type_hints

from diator.container.protocol import Scoped
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from diator.container.protocol import Container, Factory


def injected_parameters(
    function: Callable[..., Any], check: Callable[[type[Any]], None], *, given: int
) -> dict[str, type[Any]]:
    """
    Tell which parameters have to be supplied, after those that are given.

    A parameter with a default keeps it where its type cannot be built.

    Args:
        function: A function, a class, or another callable.
        check: Refuses, with an `UnresolvableError`, what cannot be built.
        given: How many arguments there are already.

    Raises:
        UnresolvableError: A parameter without a default cannot be built.

    """
    name = qualified_name(function)
    names = _names_known_to(function)
    injected: dict[str, type[Any]] = {}
    for parameter in list(inspect.signature(function).parameters.values())[given:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        try:
            injected[parameter.name] = _checked(parameter, names, check)
        except UnresolvableError as error:
            if parameter.default is parameter.empty:
                msg = f"{name} cannot be called: {error}"
                raise UnresolvableError(msg) from error
    return injected


def as_opener(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a generator function, which yields once, one of a context manager."""
    if inspect.isasyncgenfunction(function):
        return asynccontextmanager(function)
    if inspect.isgeneratorfunction(function):
        return contextmanager(function)
    return function


def arguments_factory(
    function: Callable[..., Any], container: Container, *, given: int
) -> Factory[dict[str, Any]] | Scoped:
    """
    Work out how the parameters after those that are given are built.

    Raises:
        UnresolvableError: A parameter without a default cannot be built.

    """
    parameters = injected_parameters(function, container.check, given=given)
    factories = {
        name: container.factory(dependency) for name, dependency in parameters.items()
    }
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


def _checked(
    parameter: inspect.Parameter,
    names: dict[str, Any],
    check: Callable[[type[Any]], None],
) -> type[Any]:
    told = f"its parameter {parameter.name!r}"
    if parameter.annotation is parameter.empty:
        msg = f"{told} has no annotation to tell its type by"
        raise UnresolvableError(msg)
    if parameter.kind is parameter.POSITIONAL_ONLY:
        msg = f"{told} is positional-only, and arguments are passed by name"
        raise UnresolvableError(msg)
    # This one alone: all else may have names in it that only type checkers know.
    annotations = {"it": parameter.annotation}
    try:
        hint: type[Any] = get_type_hints(
            type("Holder", (), {"__annotations__": annotations}), names
        )["it"]
        check(hint)
    except (NameError, TypeError, UnresolvableError) as error:
        msg = f"{told}: {error}"
        raise UnresolvableError(msg) from error
    return hint

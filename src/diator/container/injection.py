"""How a function gets its parameters by their types."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

from diator.container.protocol import Scoped
from diator.exceptions import UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from diator.container.protocol import Container, Factory


def injected_parameters(
    function: Callable[..., Any], container: Container, *, given: int
) -> dict[str, type[Any]]:
    """
    Tell which parameters the container has to supply, after those that are given.

    A parameter with a default keeps it where the container cannot build its type.

    Raises:
        UnresolvableError: A parameter without a default cannot be built.

    """
    # A callable object's hints are those of its `__call__`.
    annotated = function if inspect.isroutine(function) else type(function).__call__
    hints = get_type_hints(annotated)
    parameters = list(inspect.signature(function).parameters.values())[given:]
    injected: dict[str, type[Any]] = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        try:
            _check(parameter.name, hints, container)
        except UnresolvableError as error:
            if parameter.default is parameter.empty:
                name = getattr(function, "__qualname__", repr(function))
                msg = f"{name} cannot be called: {error}"
                raise UnresolvableError(msg) from error
        else:
            injected[parameter.name] = hints[parameter.name]
    return injected


def arguments_factory(
    function: Callable[..., Any], container: Container, *, given: int
) -> Factory[dict[str, Any]] | Scoped:
    """
    Work out how the parameters after those that are given are built.

    Raises:
        UnresolvableError: A parameter without a default cannot be built.

    """
    parameters = injected_parameters(function, container, given=given)
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


def _check(name: str, hints: dict[str, Any], container: Container) -> None:
    if name not in hints:
        msg = f"its parameter {name!r} has no annotation to tell its type by"
        raise UnresolvableError(msg)
    try:
        container.check(hints[name])
    except UnresolvableError as error:
        msg = f"its parameter {name!r}: {error}"
        raise UnresolvableError(msg) from error

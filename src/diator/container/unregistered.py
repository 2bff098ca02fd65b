"""How a class is built that a container has no registration for."""

from __future__ import annotations

import inspect
import sys
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from diator.container.injection import (
    all_at_once,
    argument_factories,
    injected_parameters,
)
from diator.container.protocol import Scoped
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from diator.container.protocol import Container, Factory


class Unregistered:
    """
    Builds classes, such as handlers, from what a container has registered.

    Nobody wants to register each handler twice: its annotations say what it needs.

    Args:
        container: Tells what is registered, and builds it.
        registered_by: What registers a type, with `{name}` in place of the type.

    """

    def __init__(self, container: Container, registered_by: str) -> None:
        self._container = container
        self._registered_by = registered_by

    def check(self, dependency: Any, around: tuple[Any, ...] = ()) -> None:
        """
        Find out whether a dependency is registered, or could be built from what is.

        Args:
            dependency: A class, or what else a container knows things by.
            around: What needs it, from the outside in.

        Raises:
            UnresolvableError: It could not.

        """
        if self._container.knows(dependency):
            return
        refuse_unbuildable(dependency, self._registered_by)
        if dependency in around:
            circle = " → ".join(map(qualified_name, (*around, dependency)))
            registered = self._registered_by.format(name=qualified_name(dependency))
            msg = f"{circle} is a circle that never ends: {registered}"
            raise UnresolvableError(msg)
        injected_parameters(
            dependency,
            partial(self.check, around=(*around, dependency)),
            self._container.knows,
            given=0,
        )

    def factory(self, dependency: Any) -> Factory[Any] | Scoped:
        """
        Work out how a class is built.

        Raises:
            UnresolvableError: It cannot be built.

        """
        self.check(dependency)
        factories = argument_factories(dependency, self._container, given=0)
        arguments = all_at_once(factories)
        if not isinstance(arguments, Scoped):
            return lambda: dependency(**arguments())

        async def build(opened: Any) -> Any:
            return dependency(**await arguments.build(opened))

        lasts = all(
            factory.lasts
            for factory in factories.values()
            if isinstance(factory, Scoped)
        )
        return Scoped(build, lasts=lasts)


def refuse_unbuildable(dependency: Any, registered_by: str) -> None:
    """
    Refuse what no instance can be made of, or none that would mean anything.

    Args:
        dependency: What is not registered.
        registered_by: What registers a type, with `{name}` in place of the type.

    Raises:
        UnresolvableError: It is no class, abstract, an enum, or one of Python's own.

    """
    fault = None
    if not inspect.isclass(dependency):
        fault = "is not a class"
    elif inspect.isabstract(dependency) or getattr(dependency, "_is_protocol", False):
        fault = "is abstract"
    elif issubclass(dependency, Enum):
        fault = "has several members"
    # An empty string, or the path ".", is not what anybody asked for.
    elif dependency.__module__.partition(".")[0] in sys.stdlib_module_names:
        fault = "is a type of Python's own"
    if fault is not None:
        named = inspect.isclass(dependency)
        name = qualified_name(dependency) if named else str(dependency)
        msg = (
            f"{name} is not registered, and cannot be built without, for it {fault}: "
            f"{registered_by.format(name=name)}"
        )
        raise UnresolvableError(msg)

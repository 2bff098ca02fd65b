"""Containers that answer some types otherwise than those that they stand before."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lagom.definitions import PlainInstance, SingletonWrapper

from diator.container.injection import (
    all_at_once,
    argument_factories,
    injected_parameters,
)
from diator.container.lagom import LagomContainer
from diator.container.protocol import Scoped
from diator.exceptions import UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractAsyncContextManager

    from lagom.interfaces import SpecialDepDefinition

    from diator.container.protocol import Container, Factory


def overriding(
    container: Container, values: dict[Any, Any], *, later: Collection[type] = ()
) -> Container:
    """
    Make a container that gives values for types, and all else as another one does.

    That of lagom is cloned: values are seen at any depth, and singletons are the
    clone's own, because one that holds a value must not stay behind.

    Args:
        container: It stays as it is.
        values: What is given for each type.
        later: Types that `override_later` is going to be called with.

    """
    if not isinstance(container, LagomContainer):
        return OverridingContainer(container, values)
    clone: Any = container.container.clone()
    own: Any = container.container
    for dependency in own.defined_types:
        if not inspect.isclass(dependency):
            # Lagom defines `T | None` along with `T`.
            continue
        definition: SpecialDepDefinition[Any] | None = own.get_definition(dependency)
        if isinstance(definition, SingletonWrapper) and not (
            dependency in values or dependency in later
        ):
            wrapped: Any = definition
            clone[dependency] = SingletonWrapper(wrapped.singleton_type)
    for dependency, value in values.items():
        clone[dependency] = _instance(value)
    return LagomContainer(clone)


def override_later(container: Any, dependency: type, value: object) -> None:
    """Give a value that needed the container, if there is anything to override."""
    if not container.knows(dependency):
        return
    if isinstance(container, OverridingContainer):
        container.values[dependency] = value
        return
    container.container[dependency] = _instance(value)


def _instance(value: object) -> Any:
    # As it is: lagom would call a function.
    untyped: Any = PlainInstance
    return untyped(value)


class OverridingContainer:
    """
    Stands before a container of any adapter.

    A class that needs an overridden type, itself or by what its `__init__` takes, is
    built here from its parameters. Behind a function that builds something, no
    override is seen.

    Args:
        container: Builds all else.
        values: What is given for each type.

    """

    def __init__(self, container: Container, values: dict[Any, Any]) -> None:
        self._container = container
        self.values = values

    @property
    def has_scopes(self) -> bool:
        """Whether the container behind has scopes."""
        return self._container.has_scopes

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether a dependency could be built, without building anything."""
        if dependency in self.values:
            return
        if self._needs_value(dependency, set()):
            injected_parameters(dependency, self.check, self.knows, given=0)
        else:
            self._container.check(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency is overridden or registered."""
        return dependency in self.values or self._container.knows(dependency)

    def factory(self, dependency: type[Any], /) -> Factory[Any] | Scoped:
        """Work out how a dependency is built."""
        if dependency in self.values:
            value = self.values[dependency]
            return lambda: value
        if not self._needs_value(dependency, set()):
            return self._container.factory(dependency)
        arguments = all_at_once(argument_factories(dependency, self, given=0))
        if not isinstance(arguments, Scoped):
            return lambda: dependency(**arguments())

        async def build(resources: Any) -> Any:
            return dependency(**await arguments.build(resources))

        return Scoped(build)

    def scope(self) -> AbstractAsyncContextManager[Any]:
        """Make a scope of the container behind."""
        return self._container.scope()

    def _needs_value(self, dependency: Any, seen: set[Any]) -> bool:
        if not inspect.isclass(dependency) or dependency in seen:
            return False
        seen.add(dependency)
        try:
            needed = injected_parameters(
                dependency, lambda _: None, lambda _: True, given=0
            )
        except (UnresolvableError, ValueError):
            # Only the container behind knows how to build it.
            return False
        return any(
            each in self.values or self._needs_value(each, seen)
            for each in needed.values()
        )

"""Containers that answer some types otherwise than those that they stand before."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lagom.definitions import PlainInstance, SingletonWrapper

from diator.container.injection import needed_types
from diator.container.lagom import LagomContainer
from diator.container.unregistered import Unregistered
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from contextlib import AbstractAsyncContextManager

    from lagom.interfaces import SpecialDepDefinition

    from diator.container.protocol import Container, Factory, Scoped


def overriding(
    container: Container, values: dict[Any, Any], *, later: Collection[type] = ()
) -> Container:
    """
    Make a container that gives values for types, and all else as another one does.

    That of lagom is cloned: values are seen at any depth, and singletons are the
    clone's own, because one that holds a value must not stay behind. Of others, what
    needs no value is built by them as always.

    Args:
        container: It stays as it is.
        values: What is given for each type.
        later: Types that `override_later` is going to be called with.

    """
    if not isinstance(container, LagomContainer):
        known = dict.fromkeys(part for part in later if container.knows(part))
        return OverridingContainer(container, {**values, **known})
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


def refuse_unseen(
    container: Container, values: dict[Any, Any], used: Iterable[tuple[Any, int]]
) -> None:
    """
    Make sure that values are seen by all that needs them.

    Args:
        container: Builds what is used.
        values: What is to be given for each type.
        used: Classes and functions, and how many arguments these are given.

    Raises:
        UnresolvableError: Something is built by the container without a value.

    """
    if isinstance(container, LagomContainer):
        return
    overriding = OverridingContainer(container, values)
    for function, given in used:
        overriding.refuse_unseen(function, given=given)


def _instance(value: object) -> Any:
    # As it is: lagom would call a function.
    untyped: Any = PlainInstance
    return untyped(value)


class OverridingContainer:
    """
    Stands before a container of any adapter.

    Everything is built by that container, by its own way to override types if its
    adapter has one. If not, what is not registered and leads to an overridden type is
    built here, from its annotations, as adapters do.

    Args:
        container: Builds all else.
        values: What is given for each type.

    """

    def __init__(self, container: Container, values: dict[Any, Any]) -> None:
        self._original: Any = container
        self.values = values
        overriding: Any = getattr(container, "overriding", None)
        self._container: Container = overriding(values) if overriding else container
        self._sees_all = overriding is not None
        self._unregistered = Unregistered(self, "override {name}, or register it")

    @property
    def has_scopes(self) -> bool:
        """Whether the container behind has scopes."""
        return self._original.has_scopes  # type: ignore[no-any-return]  # see above

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether a dependency could be built, without building anything."""
        if dependency in self.values:
            return
        self.refuse_unseen(dependency)
        if self._is_built_here(dependency):
            self._unregistered.check(dependency)
        else:
            self._container.check(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency is overridden or registered."""
        return dependency in self.values or self._original.knows(dependency)

    def factory(self, dependency: type[Any], /) -> Factory[Any] | Scoped:
        """Work out how a dependency is built."""
        if dependency in self.values:
            return lambda: self.values[dependency]
        self.refuse_unseen(dependency)
        if self._is_built_here(dependency):
            return self._unregistered.factory(dependency)
        return self._container.factory(dependency)

    def scope(self) -> AbstractAsyncContextManager[Any]:
        """Make a scope of the container behind."""
        return self._container.scope()

    def refuse_unseen(
        self, function: Any, *, given: int = 0, seen: set[Any] | None = None
    ) -> None:
        """
        Make sure that all that is built for a class or a function sees the values.

        Raises:
            UnresolvableError: Something is built without one.

        """
        seen = set() if seen is None else seen
        if function in self.values or function in seen:
            return
        seen.add(function)
        if self._keeps(function):
            [*led] = filter(self.values.__contains__, self._all_needs(function))
            if led:
                name, needed = qualified_name(function), qualified_name(led[0])
                msg = (
                    f"{name} needs {needed}, and is built by the container, which "
                    f"gives it what is registered: override {name} first"
                )
                raise UnresolvableError(msg)
        for needed in self._needs(function, given=given):
            self.refuse_unseen(needed, seen=seen)

    def _is_built_here(self, dependency: Any) -> bool:
        if self._sees_all or self._original.knows(dependency):
            return False
        return any(each in self.values for each in self._all_needs(dependency))

    def _keeps(self, dependency: Any) -> bool:
        if not self._original.knows(dependency):
            return False
        keeps: Any = getattr(self._original, "keeps", None)
        return keeps is None or keeps(dependency)

    def _needs(self, function: Any, *, given: int = 0) -> set[Any]:
        needs: Any = getattr(self._original, "needs", None)
        if needs is not None and self._original.knows(function):
            return needs(function)  # type: ignore[no-any-return]  # see above
        return needed_types(function, given=given) if callable(function) else set()

    def _all_needs(self, dependency: Any) -> set[Any]:
        """Tell what something is built from at any depth, as far as no value is."""
        found: set[Any] = set()
        left = [dependency]
        while left:
            function = left.pop()
            for each in self._needs(function) - found:
                found.add(each)
                if each not in self.values:
                    left.append(each)
        return found

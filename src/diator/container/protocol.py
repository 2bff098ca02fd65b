"""What diator asks of a container."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Factory = Callable[[], T]
"""Builds a dependency: a new one with each call, unless the container keeps it."""


class Scoped:
    """
    A factory that needs the scope of a send, and may have to wait.

    Args:
        build: Builds the dependency from what `Container.scope` was entered as.
        lasts: Whether what it builds is still of use after the scope was left.

    """

    # No dataclass, nor is `Plan`: each takes half a millisecond of importing diator.
    __slots__ = ("build", "lasts")

    def __init__(
        self, build: Callable[[Any], Awaitable[Any]], *, lasts: bool = False
    ) -> None:
        self.build = build
        self.lasts = lasts


class Container(Protocol):
    """
    Builds handlers with their dependencies.

    An adapter decides once per type how something is built; what it hands out is
    called with every send.

    It may also have a method `implementation(dependency)` that, without building
    anything, tells which class stands behind a type, and whether its instance is there
    already; or None, where it does not know. Descriptions of a mediator say more then.

    Tests that override types ask for three more, if they are there. The method
    `overriding(values)` makes a container of the same registrations, but with values
    for some types, seen at any depth. The method `keeps(dependency)` tells whether what
    is registered is built without these all the same; and `needs(dependency)` from
    which types it is built.
    """

    @property
    def has_scopes(self) -> bool:
        """Whether anything that it builds belongs to the scope of a send."""
        ...

    def check(self, dependency: type[Any], /) -> None:
        """
        Find out whether a dependency could be built, without building anything.

        Raises:
            UnresolvableError: It could not; the message names the parameter.

        """

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency is registered, so that defaults give way to it."""
        ...

    def factory(self, dependency: type[T], /) -> Factory[T] | Scoped:
        """
        Work out how a dependency is built.

        Raises:
            UnresolvableError: It cannot be built; the message names the parameter.

        """
        ...

    def scope(self) -> AbstractAsyncContextManager[Any]:
        """
        Make a scope, which is entered at the first use of something scoped.

        It is left at the end of the outermost send, with the exception if there is
        one.
        """
        ...


class Owner(Protocol):
    """Who sends or emits: a mediator, or an emitter on its own."""

    factories: dict[Any, Any]
    """How what sends ask for is built, by type or function, worked out once."""

    @property
    def container(self) -> Container:
        """The container that handlers are built by."""
        ...

"""The adapter to dependency-injector."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from dependency_injector.providers import Provider

from diator.container.injection import needed_types
from diator.container.protocol import Scoped
from diator.container.unregistered import Unregistered
from diator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from diator.container.protocol import Factory

T = TypeVar("T")


class DependencyInjectorContainer:
    """
    Builds handlers by way of the providers of dependency-injector.

    These have names instead of types, hence a mapping says which gives which type, such
    as `{Meetings: container.meetings}`. It is looked into at first use, so that more
    can be put in until then. Handlers and middlewares need not be in it, what they need
    does. There are no scopes: resources stay the application's to open and close.

    Args:
        providers: The provider of each type.

    Raises:
        ConfigurationError: It is something else, such as a container.

    """

    def __init__(self, providers: Mapping[type[Any], Provider[Any]]) -> None:
        # Not everybody checks types.
        given: Any = providers
        if not (
            isinstance(given, Mapping)
            and all(isinstance(each, Provider) for each in providers.values())  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
        ):
            msg = (
                f"{providers!r} does not map types to providers: "
                "pass such as {Meetings: container.meetings}"
            )
            raise ConfigurationError(msg)
        self.providers = providers
        self._unregistered = Unregistered(
            self, "add a provider of it to the mapping, such as {{{name}: ...}}"
        )

    @property
    def has_scopes(self) -> bool:
        """Whether it has scopes, which dependency-injector knows nothing of."""
        return False

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether a dependency has a provider, or is built from what has."""
        self._unregistered.check(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency has a provider."""
        return dependency in self.providers

    def factory(self, dependency: type[T], /) -> Factory[T] | Scoped:
        """Have a dependency given by its provider."""
        if not self.knows(dependency):
            return self._unregistered.factory(dependency)
        provider: Any = self.providers[dependency]

        async def build(_: None) -> Any:
            built = provider()
            # Whether a provider is async shows in what it gives.
            if asyncio.isfuture(built) or inspect.iscoroutine(built):
                return await built
            return built

        return Scoped(build, lasts=True)

    def needs(self, dependency: type[Any], /) -> set[Any]:
        """Tell from which types a provided one is built, also by other providers."""
        needed: set[Any] = set()
        of_it: Any = self.providers[dependency]
        for provider in (of_it, *of_it.traverse()):
            gives = getattr(provider, "provides", None)
            if isinstance(gives, type):
                needed |= needed_types(gives)
            if provider is not of_it:
                needed.add(gives)
                needed |= {
                    known
                    for known, given in self.providers.items()
                    if given is provider
                }
        return {each for each in needed if isinstance(each, type)}

    def scope(self) -> AbstractAsyncContextManager[None]:
        """Make a scope of nothing."""
        return nullcontext()

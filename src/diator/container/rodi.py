"""The adapter to rodi."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import rodi

from diator.container.protocol import Scoped
from diator.container.unregistered import Unregistered
from diator.exceptions import ConfigurationError, UnresolvableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from diator.container.protocol import Factory

T = TypeVar("T")


class RodiContainer:
    """
    Builds handlers by way of a rodi container.

    Handlers and middlewares need no registration, what they need does. Each outermost
    send has a `rodi.ActivationScope` of its own, from its first use on; what is in it
    is shared, then dropped. rodi closes nothing, and tells nothing of an exception.

    Args:
        container: The rodi container.

    Raises:
        ConfigurationError: It is something else.

    """

    def __init__(self, container: rodi.Container) -> None:
        if not isinstance(container, rodi.Container):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
            msg = f"{container!r} is not a rodi.Container"
            raise ConfigurationError(msg)
        self.container = container
        self._unregistered = Unregistered(
            self, "register it with rodi.Container.add_transient({name})"
        )

    @property
    def has_scopes(self) -> bool:
        """Whether it has scopes, which rodi's containers always have."""
        return True

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether rodi accepts what is registered, and that is enough."""
        try:
            _ = self.container.provider
        except Exception as error:
            # Also assertions: rodi has no class for all of its errors.
            msg = f"rodi cannot build what is registered: {error}"
            raise UnresolvableError(msg) from error
        self._unregistered.check(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency is registered."""
        return dependency in self.container

    def factory(self, dependency: type[T], /) -> Factory[T] | Scoped:
        """Have a dependency built in the scope of the send."""
        self.check(dependency)
        if not self.knows(dependency):
            return self._unregistered.factory(dependency)
        container: Any = self.container
        # Nothing public tells; an instance has no style, and lasts.
        resolver = container._map[dependency]  # noqa: SLF001  # nothing public tells it
        lasting = rodi.ServiceLifeStyle.SINGLETON
        if getattr(resolver, "life_style", lasting) is lasting:
            return partial(container.resolve, dependency)

        async def build(scope: rodi.ActivationScope) -> T:
            return scope.get(dependency)

        return Scoped(build)

    def scope(self) -> AbstractAsyncContextManager[rodi.ActivationScope]:
        """Prepare rodi's scope for one send."""
        return _open(self.container)


@asynccontextmanager
async def _open(container: Any) -> AsyncGenerator[rodi.ActivationScope]:
    with container.provider.create_scope() as scope:
        yield scope

"""The adapter to rodi."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy, deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import rodi

from diator.container.foreign import refuse_foreign
from diator.container.injection import giving, needed_types
from diator.container.protocol import Scoped
from diator.container.unregistered import Unregistered
from diator.exceptions import UnresolvableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

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
        refuse_foreign(container, rodi.Container, "make one with rodi.Container()")
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
        if self.keeps(dependency):
            container: Any = self.container
            return partial(container.resolve, dependency)

        async def build(scope: rodi.ActivationScope) -> T:
            return scope.get(dependency)

        return Scoped(build)

    def scope(self) -> AbstractAsyncContextManager[rodi.ActivationScope]:
        """Prepare rodi's scope for one send."""
        return _open(self.container)

    def overriding(self, values: Mapping[Any, Any], /) -> RodiContainer:
        """Make an adapter that gives values for types, as the protocol says."""
        original: Any = self.container
        clone: Any = rodi.Container(
            strict=original.strict,
            scope_cls=original._scope_cls,  # noqa: SLF001  # nothing public copies it
        )
        for aliases in ("_aliases", "_exact_aliases"):
            setattr(clone, aliases, deepcopy(getattr(original, aliases)))
        for dependency, resolver in original:
            if dependency in values:
                continue
            if self.keeps(dependency):
                clone.add_transient_by_factory(
                    _resolving(original, dependency), dependency
                )
            else:
                clone._bind(dependency, _rebound(resolver, clone))  # noqa: SLF001  # as above
        for dependency in values:
            clone.add_transient_by_factory(giving(values, dependency), dependency)
        return RodiContainer(clone)

    def keeps(self, dependency: type[Any], /) -> bool:
        """Tell whether it lasts, and so is the same for a clone."""
        lasting = rodi.ServiceLifeStyle.SINGLETON
        # An instance has no style.
        return getattr(self._resolver(dependency), "life_style", lasting) is lasting

    def needs(self, dependency: type[Any], /) -> set[Any]:
        """Tell from which types a registered one is built."""
        return _needs(self._resolver(dependency))

    def _resolver(self, dependency: type[Any]) -> Any:
        container: Any = self.container
        return container._map[dependency]  # noqa: SLF001  # nothing public tells it


def _needs(resolver: Any) -> set[Any]:
    inner = getattr(resolver, "_inner_resolver", None)
    if inner is not None:
        return needed_types(resolver._decorator_type) | _needs(inner)  # noqa: SLF001  # as above
    if resolver.__class__ is rodi.DynamicResolver:
        return needed_types(resolver.concrete_type)
    # Functions of rodi's are given no services, and instances are there.
    return set()


def _rebound(resolver: Any, container: rodi.Container) -> Any:
    """Copy what builds something, to look in another container for what it needs."""
    rebound = copy(resolver)
    if hasattr(resolver, "services"):
        rebound.services = container
    # That of a decorator, which rodi has since its version 2.1.
    inner = getattr(resolver, "_inner_resolver", None)
    if inner is not None:
        rebound._inner_resolver = _rebound(inner, container)  # noqa: SLF001  # as above
    return rebound


def _resolving(container: Any, dependency: Any) -> Callable[[], Any]:
    # No `partial`, of which rodi would count the parameters that are left.
    return lambda: container.resolve(dependency)


@asynccontextmanager
async def _open(container: Any) -> AsyncGenerator[rodi.ActivationScope]:
    with container.provider.create_scope() as scope:
        yield scope

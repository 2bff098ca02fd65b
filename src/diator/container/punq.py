"""The adapter to punq."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, get_origin, get_type_hints

import punq

from diator.container.foreign import refuse_foreign
from diator.container.injection import giving, injected_parameters, registered_type
from diator.container.unregistered import refuse_unbuildable
from diator.exceptions import UnresolvableError
from diator.handler import qualified_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from diator.container.protocol import Factory

T = TypeVar("T")

REGISTERED_BY = "register it with punq.Container.register({name}, ...)"


class PunqContainer:
    """
    Builds handlers by way of a punq container.

    Handlers and middlewares need no registration, what they need does. punq knows
    nothing of scopes, and closes nothing: within one handler, what is registered as
    transient is built once.

    Args:
        container: The punq container.

    Raises:
        ConfigurationError: It is something else.

    """

    def __init__(self, container: punq.Container) -> None:
        refuse_foreign(container, punq.Container, "make one with punq.Container()")
        self.container = container

    @property
    def has_scopes(self) -> bool:
        """Whether it has scopes, which punq's containers never have."""
        return False

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether punq could build a dependency, without building it."""
        self._check(dependency, ())

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency is registered."""
        return bool(self._registrations(dependency))

    def factory(self, dependency: type[T], /) -> Factory[T]:
        """Have punq build a dependency."""
        self.check(dependency)
        if self.knows(dependency) or get_origin(dependency) is list:
            return partial(self.container.resolve, dependency)
        return partial(self._with_optionals(dependency).instantiate, dependency)

    def scope(self) -> AbstractAsyncContextManager[None]:
        """Make a scope of nothing."""
        return nullcontext()

    def overriding(self, values: Mapping[Any, Any], /) -> PunqContainer:
        """Make an adapter that gives values for types, as the protocol says."""
        # Its singletons are those of its parent, also when it is the first to ask.
        child = self.container.child()
        for dependency in values:
            child.register(dependency, giving(values, dependency))
        return PunqContainer(child)

    def keeps(self, dependency: type[Any], /) -> bool:
        """Tell whether it is a singleton, which is the same for all children."""
        return self._registrations(dependency)[-1].scope is punq.Scope.singleton

    def needs(self, dependency: type[Any], /) -> set[Any]:
        """Tell from which types a registered one is built."""
        registration = self._registrations(dependency)[-1]
        return {
            needed
            for name, needed in registration.needs.items()
            if name != "return" and name not in registration.args
        }

    def _with_optionals(self, dependency: Any) -> punq.Container:
        """Give a container that gives `T` also to parameters for `T | None`."""
        container = self.container
        for hint in set(get_type_hints(dependency.__init__).values()):
            registered = registered_type(hint, self.knows)
            if registered not in (None, hint):
                if container is self.container:
                    container = container.child()
                container.register(hint, _resolving(self.container, registered))
        return container

    def _registrations(self, dependency: Any) -> list[Any]:
        context = self.container.registrations.build_context(dependency)
        return context.all_registrations(dependency)

    def _check(self, dependency: Any, around: tuple[Any, ...]) -> None:
        if get_origin(dependency) is list:
            # It is given all that is registered, be it nothing.
            return
        registrations = self._registrations(dependency)
        around_it = (*around, dependency)
        if not registrations and (not around or self._registers_by_itself):
            refuse_unbuildable(dependency, REGISTERED_BY)
            if dependency not in around:
                check = partial(self._check, around=around_it)
                injected_parameters(dependency, check, self.knows, given=0)
                return
        # What a decorator asks for by its own type is the one registered before it.
        depth = around.count(dependency)
        if depth >= len(registrations):
            name = qualified_name(dependency)
            msg = (
                f"punq has {'no more registrations' if depth else 'no registration'} "
                f"of {name}: {REGISTERED_BY.format(name=name)}"
            )
            raise UnresolvableError(msg)
        self._check_needs(registrations[-1 - depth], around_it)

    @property
    def _registers_by_itself(self) -> bool:
        # Nothing public tells.
        return getattr(self.container, "_auto_register", False)

    def _check_needs(self, registration: Any, around: tuple[Any, ...]) -> None:
        told = f"{qualified_name(registration.builder)} cannot be called"
        for name, parameter in inspect.signature(
            registration.builder
        ).parameters.items():
            if parameter.default is not parameter.empty or name in registration.args:
                continue
            if name not in registration.needs:
                if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                    continue
                # It reads those of classes alone.
                msg = f"{told}: punq sees no annotation of its parameter {name!r}"
                raise UnresolvableError(msg)
            try:
                self._check(registration.needs[name], around)
            except UnresolvableError as error:
                msg = f"{told}: its parameter {name!r}: {error}"
                raise UnresolvableError(msg) from error


def _resolving(container: punq.Container, dependency: Any) -> Callable[[], Any]:
    # No `partial`, whose signature punq cannot read.
    return lambda: container.resolve(dependency)

"""The adapter to lagom, which is the default container."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import lagom
from lagom.container import UNRESOLVABLE_TYPES
from lagom.definitions import Alias, PlainInstance, SingletonWrapper
from lagom.exceptions import DuplicateDefinition, InvalidDependencyDefinition

from diator.container.injection import as_opener
from diator.container.lagom_planning import LagomPlanner, name_of, remedy_for
from diator.container.plan import factory_of
from diator.container.protocol import Scoped
from diator.container.resources import NotOpenedError, Resources
from diator.container.scope import current_scope
from diator.events.collector import current
from diator.exceptions import BindingError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from diator.container.protocol import Factory

T = TypeVar("T")


class LagomContainer:
    """
    Builds handlers by way of a lagom container.

    How a type is built is worked out once, from lagom's definitions and the signature
    of `__init__`, because lagom itself would do so with every send.

    Args:
        container: The lagom container; a new one if left out.

    """

    def __init__(self, container: lagom.Container | None = None) -> None:
        self.container = lagom.Container() if container is None else container
        self._openers: dict[type, Callable[..., Any]] = {}
        self._opener_factories: dict[Any, Any] = {}
        self._planner = LagomPlanner(self.container, self._openers, self.knows)
        self._builds_singletons = False
        inherited = self.container.get_definition(LagomContainer)
        adapter: Any = self
        try:
            # Whoever is given the plain container later finds this adapter in it.
            self.container[LagomContainer] = adapter
        except DuplicateDefinition:
            msg = "the container has an adapter: LagomContainer.of(container) gives it"
            raise ConfigurationError(msg) from None
        if inherited is not None:
            self._inherit(inherited.get_instance(self.container))

    @classmethod
    def of(cls, container: lagom.Container | None) -> LagomContainer:
        """
        Give the one adapter to a lagom container.

        Raises:
            TypeError: It is not a lagom container.

        """
        if container is None:
            return cls()
        if not isinstance(container, lagom.Container):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
            msg = f"{container!r} is not a lagom.Container"
            raise TypeError(msg)
        known = container.get_definition(cls)
        adapter = None if known is None else known.get_instance(container)
        # A clone finds the adapter of the container that it was cloned from.
        if adapter is None or adapter.container is not container:
            adapter = cls(container)
        return adapter

    def __setitem__(self, dependency: type[T], resolver: Any) -> None:
        """
        Register how a dependency is built, as `lagom.Container` does.

        Raises:
            BindingError: It is registered already, or lagom cannot make use of it.

        """
        try:
            self.container[dependency] = resolver
        except DuplicateDefinition:
            name = name_of(dependency)
            msg = (
                f"{name} is registered already: remove the other one, or override it "
                "in a clone, which container.container.clone() gives"
            )
            raise BindingError(msg) from None
        except InvalidDependencyDefinition as error:
            msg = (
                f"{name_of(dependency)} cannot be told from others of its type: "
                f"{remedy_for(dependency)}"
                if dependency in UNRESOLVABLE_TYPES
                else f"{name_of(dependency)} cannot be registered: {error}"
            )
            raise BindingError(msg) from None

    def __getitem__(self, dependency: type[T]) -> T:
        """Build a dependency, as `lagom.Container` does."""
        return self.container[dependency]

    def scoped(self, dependency: type[T], open_resource: Callable[..., Any]) -> None:
        """
        Declare a resource that is shared by everything below one outermost send.

        It is opened when something first asks for it, closed at the end of the send,
        and told of the exception if the send failed.

        Args:
            dependency: The type that handlers ask for.
            open_resource: Gives the resource: an async (or plain) generator function
                that yields it once, or a callable that returns an async (or plain)
                context manager, such as `async_sessionmaker(engine)`. Its parameters
                are injected by their types.

        Raises:
            BindingError: It is not callable, or lagom knows the type already.

        """
        if not callable(open_resource):
            msg = (
                f"{dependency.__name__} cannot be opened by {open_resource!r}: pass a "
                "generator function, or a callable that returns a context manager"
            )
            raise BindingError(msg)

        def opened() -> Any:
            collector = current.get()
            ended = collector is None or collector.owner is None
            if ended or self._builds_singletons:
                raise NotOpenedError(dependency)
            resources: Resources | None = current_scope().opened(self)
            if resources is None or dependency not in resources.open:
                raise NotOpenedError(dependency)
            return resources.open[dependency]

        self[dependency] = opened
        self._openers[dependency] = as_opener(open_resource)

    def _inherit(self, parent: LagomContainer) -> None:
        """Have a clone open what the container opens that it was cloned from."""
        for dependency, opener in parent._openers.items():
            key: Any = dependency
            defined: object = parent.container.get_definition(key)
            if self.container.get_definition(key) is defined:
                self.scoped(dependency, opener)

    @property
    def has_scopes(self) -> bool:
        """Whether any resource was declared as scoped."""
        return bool(self._openers)

    def check(self, dependency: type[Any], /) -> None:
        """Find out whether a dependency could be built, without building anything."""
        self._planner.plan(dependency)

    def knows(self, dependency: type[Any], /) -> bool:
        """Tell whether a dependency is registered, also in what it was cloned from."""
        return self.container.get_definition(dependency) is not None

    def implementation(self, dependency: type[Any], /) -> tuple[type[Any], bool] | None:
        """Tell which class is built for a dependency, as the protocol says."""
        definition: Any = self.container.get_definition(dependency)
        found: Any = None
        followed: list[Any] = []
        # An alias may lead to another, and in a circle to itself.
        while definition is not None and definition not in followed:
            followed.append(definition)
            if isinstance(definition, SingletonWrapper):
                definition = cast("Any", definition).singleton_type
            elif isinstance(definition, PlainInstance):
                instance = cast("Any", definition).get_instance(self.container)
                return instance.__class__, True
            elif isinstance(definition, Alias):
                found = cast("Any", definition).alias_type
                definition = self.container.get_definition(found)
            else:
                definition = None
        return None if found is None else (found, False)

    def factory(self, dependency: type[T], /) -> Factory[T] | Scoped:
        """Work out how a dependency is built; singletons are built right away."""
        plan = self._planner.plan(dependency)
        # They outlive the send that happens to be the first, and all it has open.
        self._builds_singletons = True
        try:
            plan.settle()
        finally:
            self._builds_singletons = False
        build: Factory[T] = factory_of(plan)
        if not self._openers or (plan.known and not plan.scoped):
            return build
        needed = list(plan.scoped)

        async def build_with_resources(resources: Resources) -> T:
            while True:
                for resource in needed:
                    await resources.ensure(resource)
                try:
                    built: T = build()
                except NotOpenedError as error:
                    # A registered function asked for it, which no plan can foresee.
                    if error.dependency in needed:
                        raise
                    needed.append(error.dependency)
                else:
                    return built

        return Scoped(build_with_resources, lasts=not plan.scoped)

    def scope(self) -> AbstractAsyncContextManager[Resources]:
        """Make what holds the resources of one send."""
        return Resources(self, self._openers, self._opener_factories)

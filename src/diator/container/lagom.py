"""The adapter to lagom, which is the default container."""

from __future__ import annotations

import inspect
from enum import Enum
from functools import partial
from itertools import groupby
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    NoReturn,
    TypeVar,
    cast,
    get_origin,
    get_type_hints,
)

import lagom
from lagom.container import UNRESOLVABLE_TYPES
from lagom.definitions import (
    Alias,
    ConstructionWithContainer,
    ConstructionWithoutContainer,
    PlainInstance,
    SingletonWrapper,
    UnresolvableTypeDefinition,
)
from lagom.exceptions import (
    DuplicateDefinition,
    InvalidDependencyDefinition,
    TypeOnlyAvailableAsAwaitable,
)

from diator.container.injection import as_opener, injected_parameters, without_none
from diator.container.plan import Plan, factory_of
from diator.container.protocol import Scoped
from diator.container.resources import NotOpenedError, Resources
from diator.container.scope import current_scope
from diator.events.collector import current
from diator.exceptions import BindingError, ConfigurationError, UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from lagom.interfaces import SpecialDepDefinition

    from diator.container.protocol import Factory

T = TypeVar("T")

Path = tuple[tuple[Any, Any], ...]
"""
What is being planned, from the outside in.

Each has the definition that leads on from it, or None where its class does.
"""


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
            name = _name(dependency)
            msg = (
                f"{name} is registered already: remove the other one, or override it "
                "in a clone, which container.container.clone() gives"
            )
            raise BindingError(msg) from None
        except InvalidDependencyDefinition as error:
            msg = (
                f"{_name(dependency)} cannot be told from others of its type: "
                f"{_remedy(dependency)}"
                if dependency in UNRESOLVABLE_TYPES
                else f"{_name(dependency)} cannot be registered: {error}"
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
        self._plan(dependency, ())

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
        plan = self._plan(dependency, ())
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

    def _plan(self, dependency: Any, path: Path) -> Plan:
        """Work out how lagom would build a dependency."""
        definition = self.container.get_definition(dependency)
        if definition is not None:
            return self._plan_defined(dependency, definition, path)
        if isinstance(self.container, lagom.ExplicitContainer):
            raise UnresolvableError(_unknown(dependency))
        if type(self.container) is not lagom.Container:
            # Another kind of container has rules of its own.
            return Plan(partial(self.container.resolve, dependency), known=False)
        return self._plan_class(dependency, path)

    def _plan_defined(
        self,
        dependency: Any,
        definition: SpecialDepDefinition[Any],
        path: Path,
    ) -> Plan:
        build = self._build(definition)
        # Lagom defines `T | None` along with `T`.
        resource = without_none(dependency) or dependency
        if resource in self._openers:
            path = _further(path, dependency, definition)
            injected_parameters(
                self._openers[resource],
                lambda needed: self._plan(needed, path),
                self.knows,
                given=0,
            )
            return Plan(build, scoped={resource})
        if isinstance(definition, PlainInstance):
            return Plan(build, constant=True)
        if isinstance(definition, SingletonWrapper):
            wrapper: Any = definition
            return self._plan_singleton(dependency, wrapper, path)
        if isinstance(definition, Alias):
            if definition.skip_definitions:
                return self._plan_class(definition.alias_type, path)
            path = _further(path, dependency, definition)
            return self._plan(definition.alias_type, path)
        if isinstance(definition, UnresolvableTypeDefinition):
            self._refuse(dependency, definition)
        # A function, or a definition of the user's own: only a call shows what it does.
        return Plan(build, known=False)

    def _plan_singleton(self, dependency: Any, definition: Any, path: Path) -> Plan:
        path = _further(path, dependency, definition)
        inner = self._plan_defined(dependency, definition.singleton_type, path)
        if inner.scoped:
            resources = ", ".join(sorted(map(_name, inner.scoped)))
            msg = (
                f"{_name(dependency)} is a singleton and needs {resources}, which "
                "ends with each send: do not register it as a singleton"
            )
            raise UnresolvableError(msg)
        innermost = definition
        while isinstance(innermost, SingletonWrapper):
            innermost = cast("Any", innermost.singleton_type)
        by_plan = type(innermost) is Alias and type(self.container) is lagom.Container
        source = _SingletonSource(inner) if by_plan else self.container
        return Plan(partial(definition.get_instance, source), constant=True)

    def _refuse(
        self, dependency: Any, definition: UnresolvableTypeDefinition
    ) -> NoReturn:
        name = _name(dependency)
        try:
            definition.get_instance(self.container)
        except TypeOnlyAvailableAsAwaitable as error:
            msg = f"{name} can only be awaited: ask for Awaitable[{name}]"
            raise UnresolvableError(msg) from error
        except Exception as error:
            msg = f"{name} is not to be built: {error}"
            raise UnresolvableError(msg) from error

    def _build(self, definition: SpecialDepDefinition[Any]) -> Callable[[], Any]:
        # A function is called without the detour by its definition, which has to keep
        # to that: hence no derived ones.
        kind: Any = type(definition)
        exact: Any = definition
        if kind is ConstructionWithoutContainer:
            without: Callable[[], Any] = exact.constructor
            return without
        build: Callable[..., Any] = (
            exact.constructor
            if kind is ConstructionWithContainer
            else definition.get_instance
        )
        return partial(build, self.container)

    def _plan_class(self, dependency: Any, path: Path) -> Plan:
        path = _further(path, dependency)
        # Of `Box[int]`, `Box` says what is needed.
        cls = get_origin(dependency) or dependency
        if not inspect.isclass(cls) or cls in (*UNRESOLVABLE_TYPES, UnionType):
            asking = path[-2][0] if len(path) > 1 else None
            raise UnresolvableError(_unknown(dependency, asking))
        if issubclass(cls, Enum):
            msg = (
                f"nothing says which {_name(dependency)} to take; {_remedy(dependency)}"
            )
            raise UnresolvableError(msg)
        if inspect.isabstract(cls) or getattr(cls, "_is_protocol", False):
            msg = (
                f"{_name(dependency)} is abstract, and nothing says what to build for "
                f"it; {_remedy(dependency)}"
            )
            raise UnresolvableError(msg)
        try:
            hints = get_type_hints(cls.__init__)
            _, *parameters = inspect.signature(cls.__init__).parameters.values()
        except (NameError, TypeError, ValueError) as error:
            msg = (
                f"the parameters of {_name(dependency)} cannot be read: {error}; "
                f"{_remedy(dependency)}"
            )
            raise UnresolvableError(msg) from error
        arguments: dict[str, Plan] = {}
        for parameter in parameters:
            name = parameter.name
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            try:
                argument = self._plan_parameter(parameter, hints.get(name, Any), path)
            except UnresolvableError as error:
                msg = (
                    f"{_name(dependency)} cannot be built: "
                    f"its parameter {name!r}: {error}"
                )
                raise UnresolvableError(msg) from error
            if argument is not None:
                arguments[name] = argument
        return Plan(
            dependency,
            arguments=arguments,
            known=all(argument.known for argument in arguments.values()),
            scoped=set[Any]().union(
                *(argument.scoped for argument in arguments.values())
            ),
            parameters={parameter.name: parameter for parameter in parameters},
        )

    def _plan_parameter(
        self, parameter: inspect.Parameter, hint: Any, path: Path
    ) -> Plan | None:
        """Work out an argument, None where the parameter keeps its default."""
        has_default = parameter.default is not parameter.empty
        if hint is Any:
            if has_default:
                return None
            msg = "it has no annotation to tell its type by"
            raise UnresolvableError(msg)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            msg = "it is positional-only, and arguments are passed by name"
            raise UnresolvableError(msg)
        if has_default and hint == path[-1][0]:
            # As in lagom, whatever is registered for it.
            return None
        if self.container.get_definition(hint) is None:
            optional = without_none(hint)
            if optional is not None:
                return self._plan_optional(optional, path, has_default=has_default)
            if has_default and (
                hint in UNRESOLVABLE_TYPES or _is_left_alone(hint, path)
            ):
                return None
        return self._plan(hint, path)

    def _plan_optional(
        self, dependency: Any, path: Path, *, has_default: bool
    ) -> Plan | None:
        try:
            return self._plan(dependency, path)
        except UnresolvableError:
            if has_default:
                return None
            raise


class _SingletonSource:
    """
    Stands in for the container from which lagom has a singleton build its class.

    Lagom keeps the singleton, and its class is built by the plan, as all others are.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def resolve(self, *_class: Any, **_options: Any) -> Any:
        self._plan.settle()
        return factory_of(self._plan)()


def _further(path: Path, dependency: Any, definition: Any = None) -> Path:
    """Take a step inwards, unless it has been taken already."""
    step = (dependency, definition)
    if step in path:
        circle = (*path[path.index(step) :], step)
        # A singleton of a class is a step to its definition, and one to the class.
        names = [
            name for name, _ in groupby(_name(dependency) for dependency, _ in circle)
        ]
        msg = f"{_name(dependency)} depends on itself: {' → '.join(names)}"
        raise UnresolvableError(msg)
    return (*path, step)


def _is_left_alone(hint: Any, path: Path) -> bool:
    """Tell whether a parameter keeps its default, although lagom would fail at it."""
    is_class = inspect.isclass(hint) and not issubclass(hint, Enum)
    # A default ends a circle.
    return not is_class or (hint, None) in path


def _name(dependency: Any) -> str:
    return str(getattr(dependency, "__qualname__", dependency))


def _unknown(dependency: Any, asking: Any = None) -> str:
    remedy = _remedy(dependency, asking)
    return f"nothing says how to build {_name(dependency)}; {remedy}"


def _remedy(dependency: Any, asking: Any = None) -> str:
    name = _name(dependency)
    if dependency in UNRESOLVABLE_TYPES:
        remedy = "ask for a class of your own that holds it"
        if asking is None:
            return remedy
        name = _name(asking)
        return f"{remedy}, or register {name}: container[{name}] = lambda: {name}(...)"
    remedy = f"register it: container[{name}] = ..."
    if hasattr(dependency, "__aenter__") or hasattr(dependency, "__enter__"):
        return f"{remedy}, or, to have it closed: container.scoped({name}, ...)"
    return remedy

"""How lagom would build a type, worked out once instead of with every send."""

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
from lagom.exceptions import TypeOnlyAvailableAsAwaitable

from diator.container.injection import injected_parameters, unsupplied, without_none
from diator.container.plan import Plan, factory_of
from diator.exceptions import UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lagom.interfaces import SpecialDepDefinition

Path = tuple[tuple[Any, Any], ...]
"""
What is being planned, from the outside in.

Each has the definition that leads on from it, or None where its class does.
"""


class LagomPlanner:
    """
    Works out how types are built, from lagom's definitions and their `__init__`.

    Args:
        container: The lagom container.
        openers: What opens the scoped resources.
        knows: Tells whether a type is registered.

    """

    def __init__(
        self,
        container: lagom.Container,
        openers: Mapping[type, Callable[..., Any]],
        knows: Callable[[type], bool],
    ) -> None:
        self._container = container
        self._openers = openers
        self._knows = knows

    def plan(self, dependency: Any) -> Plan:
        """
        Work out how lagom would build a dependency.

        Raises:
            UnresolvableError: It cannot be built.

        """
        return self._plan(dependency, ())

    def _plan(self, dependency: Any, path: Path) -> Plan:
        definition = self._container.get_definition(dependency)
        if definition is not None:
            return self._plan_defined(dependency, definition, path)
        if isinstance(self._container, lagom.ExplicitContainer):
            raise UnresolvableError(_unknown(dependency))
        if type(self._container) is not lagom.Container:
            # Another kind of container has rules of its own.
            return Plan(partial(self._container.resolve, dependency), known=False)
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
                self._knows,
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
            resources = ", ".join(sorted(map(name_of, inner.scoped)))
            msg = (
                f"{name_of(dependency)} is a singleton and needs {resources}, which "
                "ends with each send: do not register it as a singleton"
            )
            raise UnresolvableError(msg)
        innermost = definition
        while isinstance(innermost, SingletonWrapper):
            innermost = cast("Any", innermost.singleton_type)
        by_plan = type(innermost) is Alias and type(self._container) is lagom.Container
        source = _SingletonSource(inner) if by_plan else self._container
        return Plan(partial(definition.get_instance, source), constant=True)

    def _refuse(
        self, dependency: Any, definition: UnresolvableTypeDefinition
    ) -> NoReturn:
        name = name_of(dependency)
        try:
            definition.get_instance(self._container)
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
        return partial(build, self._container)

    def _plan_class(self, dependency: Any, path: Path) -> Plan:
        path = _further(path, dependency)
        # Of `Box[int]`, `Box` says what is needed.
        cls = get_origin(dependency) or dependency
        if not inspect.isclass(cls) or cls in (*UNRESOLVABLE_TYPES, UnionType):
            asking = path[-2][0] if len(path) > 1 else None
            raise UnresolvableError(_unknown(dependency, asking))
        if issubclass(cls, Enum):
            msg = (
                f"nothing says which {name_of(dependency)} to take; "
                f"{remedy_for(dependency)}"
            )
            raise UnresolvableError(msg)
        if inspect.isabstract(cls) or getattr(cls, "_is_protocol", False):
            msg = (
                f"{name_of(dependency)} is abstract, and nothing says what to build "
                f"for it; {remedy_for(dependency)}"
            )
            raise UnresolvableError(msg)
        try:
            hints = get_type_hints(cls.__init__)
            _, *parameters = inspect.signature(cls.__init__).parameters.values()
        except (NameError, TypeError, ValueError) as error:
            msg = (
                f"the parameters of {name_of(dependency)} cannot be read: {error}; "
                f"{remedy_for(dependency)}"
            )
            raise UnresolvableError(msg) from error
        arguments: dict[str, Plan] = {}
        errors: dict[str, Exception] = {}
        for parameter in parameters:
            name = parameter.name
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            try:
                argument = self._plan_parameter(parameter, hints.get(name, Any), path)
            except UnresolvableError as error:
                errors[name] = error
                continue
            if argument is not None:
                arguments[name] = argument
        if errors:
            what = f"{name_of(dependency)} cannot be built"
            raise unsupplied(what, errors)
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
        if self._container.get_definition(hint) is None:
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
            name for name, _ in groupby(name_of(dependency) for dependency, _ in circle)
        ]
        msg = f"{name_of(dependency)} depends on itself: {' → '.join(names)}"
        raise UnresolvableError(msg)
    return (*path, step)


def _is_left_alone(hint: Any, path: Path) -> bool:
    """Tell whether a parameter keeps its default, although lagom would fail at it."""
    is_class = inspect.isclass(hint) and not issubclass(hint, Enum)
    # A default ends a circle.
    return not is_class or (hint, None) in path


def name_of(dependency: Any) -> str:
    """Give what a dependency is called."""
    return str(getattr(dependency, "__qualname__", dependency))


def _unknown(dependency: Any, asking: Any = None) -> str:
    remedy = remedy_for(dependency, asking)
    return f"nothing says how to build {name_of(dependency)}; {remedy}"


def remedy_for(dependency: Any, asking: Any = None) -> str:
    """
    Say what makes a dependency known.

    Args:
        dependency: What nothing is known of.
        asking: What asks for it.

    """
    name = name_of(dependency)
    if dependency in UNRESOLVABLE_TYPES:
        remedy = "ask for a class of your own that holds it"
        if asking is None:
            return remedy
        name = name_of(asking)
        return f"{remedy}, or register {name}: container[{name}] = lambda: {name}(...)"
    remedy = f"register it: container[{name}] = ..."
    if hasattr(dependency, "__aenter__") or hasattr(dependency, "__enter__"):
        return f"{remedy}, or, to have it closed: container.scoped({name}, ...)"
    return remedy

"""How something is built, worked out once, and the code that builds it."""

from __future__ import annotations

import inspect
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, get_origin

from diator.exceptions import UnresolvableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from diator.container.protocol import Factory
    from diator.middlewares.base import Handle

# From here on the interpreter runs the `__init__` of a plain class without a call.
_INLINES_INIT = sys.version_info >= (3, 13)

_DEEPEST = 20
"""Beyond this depth, what is inside gets code of its own: parsers have limits."""


class Plan:
    """
    How something is built.

    Args:
        build: A class or a function that gives it.
        arguments: How the arguments are built, by the names of the parameters.
        parameters: The parameters that these are for, and their defaults.
        constant: Whether it is the same at every call.
        known: Whether all that it is built from is known beforehand.
        scoped: The resources of the send that it needs.

    Attributes:
        value: What it is at every call, once that is built.

    """

    def __init__(  # noqa: PLR0913  # as many as there are things to know of it
        self,
        build: Callable[..., Any],
        *,
        arguments: Mapping[str, Plan] | None = None,
        parameters: Mapping[str, inspect.Parameter] | None = None,
        constant: bool = False,
        known: bool = True,
        scoped: Iterable[Any] = (),
    ) -> None:
        self.build = build
        self.arguments = arguments or {}
        self.parameters = parameters or {}
        self.constant = constant
        self.known = known
        self.scoped = frozenset(scoped)
        self.value: Any = None

    def settle(self) -> None:
        """Build everything that is the same at every call."""
        if self.constant:
            # A singleton that is None is not kept, but asked for again, as by lagom.
            self.value = self.build()
        for argument in self.arguments.values():
            argument.settle()


def factory_of(plan: Plan) -> Factory[Any]:
    """Give what builds something by its plan, which was settled."""
    if plan.value is None and not plan.arguments:
        return plan.build
    values: dict[str, Any] = {}
    build: Any = _compiled("lambda", _expression(plan, values), values, plan)
    build.plan = plan
    return build  # type: ignore[no-any-return]  # it is made from text


def calling(method: str, build: Factory[Any]) -> Handle:
    """
    Give what calls a method, with a message, of what is built for it.

    Args:
        method: The name of the method.
        build: A factory, of `factory_of` or of another origin.

    """
    values: dict[str, Any] = {}
    plan = _plan_of(build)
    source = f"{_expression(plan, values)}.{method}(message)"
    handle: Handle = _compiled("lambda message", source, values, plan)
    return handle


def injecting(function: Callable[..., Any], builds: Mapping[str, Any]) -> Handle:
    """
    Give what calls a function with a message and with what is built for it.

    Args:
        function: The function, whose first parameter gets the message.
        builds: The factories of its other arguments, by the names of the parameters.

    """
    values: dict[str, Any] = {}
    called = _named(function, values)
    given = [
        f"{name}={_expression(_plan_of(build), values)}"
        for name, build in builds.items()
    ]
    source = f"{called}({', '.join(['message', *given])})"
    handle: Handle = _compiled("lambda message", source, values, Plan(function))
    return handle


def _plan_of(build: Factory[Any]) -> Plan:
    plan = getattr(build, "plan", None)
    return plan if isinstance(plan, Plan) else Plan(build)


def _compiled(head: str, source: str, values: dict[str, Any], plan: Plan) -> Any:
    """
    Make a function of an expression.

    Closures that call each other cost 10 to 20 % more than the plain constructors where
    something is built from what is built, and have the adaptive interpreter share its
    findings between all classes. A function that was written for the plan costs 1 %
    more (`bench_container.py`).

    No text from elsewhere gets into it but the names of parameters and methods.
    """
    code = compile(f"{head}: {source}", f"<plan of {_title(plan.build)}>", "eval")
    return eval(code, values)  # noqa: S307  # the docstring says why


def _expression(plan: Plan, values: dict[str, Any], depth: int = 0) -> str:
    """Write what builds something, and give values to the names in it."""
    if plan.value is not None:
        return _named(plan.value, values)
    if depth == _DEEPEST:
        return f"{_named(factory_of(plan), values)}()"
    called = _named(plan.build, values)
    by_position = _count_by_position(plan)
    given = [
        (name, _argument(plan, name, argument, values, depth + 1))
        for name, argument in plan.arguments.items()
    ]
    texts = [text for _, text in given[:by_position]]
    texts += [f"{name}={text}" for name, text in given[by_position:]]
    if (
        0 < by_position == len(given)
        and all(argument.value is not None for argument in plan.arguments.values())
        and not (_INLINES_INIT and type(plan.build) is type)
    ):
        # Passed on as it is, and not made for each call: a seventh of the whole.
        constants = tuple(argument.value for argument in plan.arguments.values())
        return f"{called}(*{_named(constants, values)})"
    return f"{called}({', '.join(texts)})"


def _argument(
    plan: Plan, name: str, argument: Plan, values: dict[str, Any], depth: int
) -> str:
    """Write an argument, or its default if there turns out to be nothing for it."""
    text = _expression(argument, values, depth)
    if argument.value is not None or _is_plain_class(argument.build):
        return text
    default = plan.parameters[name].default
    if default is inspect.Parameter.empty:
        otherwise = f"{_named(_refusal(plan, name), values)}()"
    else:
        otherwise = _named(default, values)
    return f"(it if (it := {text}) is not None else {otherwise})"


def _refusal(plan: Plan, name: str) -> Callable[[], Any]:
    def refuse() -> Any:
        msg = (
            f"{_title(plan.build)} cannot be built: what is registered for its "
            f"parameter {name!r} gave None, and it has no default"
        )
        raise UnresolvableError(msg)

    return refuse


def _named(value: Any, values: dict[str, Any]) -> str:
    name = f"v{len(values)}"
    values[name] = value
    return name


def _title(thing: Any) -> str:
    return str(getattr(thing, "__qualname__", thing))


def _count_by_position(plan: Plan) -> int:
    """Count the arguments that can be given in their order, which is cheaper."""
    cls = get_origin(plan.build) or plan.build
    if not _is_plain_class(cls) or not _is_plain_function(cls.__init__):
        return 0
    count = 0
    for name, parameter in zip(plan.arguments, plan.parameters.values(), strict=False):
        if parameter.name != name or parameter.kind is parameter.KEYWORD_ONLY:
            break
        count += 1
    return count


def _is_plain_class(cls: Any) -> bool:
    """Tell whether calling a class makes an instance, and calls its `__init__`."""
    if not isinstance(cls, type):
        return False
    new: Any = cls.__new__
    metaclass: Any = type(cls)
    return new is object.__new__ and metaclass.__call__ is type.__call__


def _is_plain_function(function: Any) -> bool:
    """Tell whether what a function is called with is what its signature says."""
    return type(function) is FunctionType and not (
        hasattr(function, "__wrapped__") or hasattr(function, "__signature__")
    )

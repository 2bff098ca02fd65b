"""
Plans for random graphs of dependencies, beside what lagom makes of them.

What lagom builds is built, of the same parts, with the same of them shared and in the
same order; and where lagom fails, an `UnresolvableError` says so before anything is
built, unless only a call could show it. On purpose it is otherwise in that

- singletons are built first, with the factory, and not when they are first needed;
- nothing is built in vain, as lagom does on the way to a parameter that it cannot fill;
- a default ends a circle, where lagom fails, or recurses until the process dies;
- an optional parameter keeps its default whatever its type cannot be built for, and so
  also where it can only be awaited.
"""

from __future__ import annotations

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

# Lagom does not know the newer one.
from typing import Any, Awaitable, Optional  # noqa: UP035

import lagom
import lagom.definitions
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from lagom.exceptions import DuplicateDefinition

from diator.container.lagom import LagomContainer
from diator.exceptions import UnresolvableError

BUILDS = 3
"""Once with singletons, again without them, and once more to have their order."""

MOST_CLASSES = 5

EXAMPLES = 1_000
"""They take about 4 seconds of CPU time."""


@dataclass(frozen=True)
class Parameter:
    """
    A parameter of a class.

    Attributes:
        refers_to: The number of the class that it asks for.
        kind: How it asks for it.
        default: What it has without an argument, None where it has nothing.
        keyword_only: Whether it cannot be given by position.

    """

    refers_to: int
    kind: str = "plain"
    default: str | None = None
    keyword_only: bool = False

    @property
    def annotation(self) -> str:
        asked = f"C{self.refers_to}"
        return {
            "plain": f": {asked!r}",
            "optional": f": {f'Optional[{asked}]'!r}",
            "union": f": {f'{asked} | None'!r}",
            "awaitable": f": {f'Awaitable[{asked}]'!r}",
            "text": ": str",
            "number": ": 'int | None'",
            "any": ": Any",
            "unannotated": "",
        }[self.kind]


@dataclass(frozen=True)
class Registration:
    """
    What a container is told of a class.

    Attributes:
        number: The number of the class.
        kind: What it is told.
        other: The number of another class, for kinds that need one.
        in_clone: Whether it is the clone that is told.

    """

    number: int
    kind: str
    other: int
    in_clone: bool


@dataclass(frozen=True)
class Graph:
    """
    Classes, and what containers are told of them.

    Attributes:
        kinds: What kind of class each is.
        parameters: What each asks for.
        registrations: What the containers are told.

    """

    kinds: tuple[str, ...]
    parameters: tuple[tuple[Parameter, ...], ...]
    registrations: tuple[Registration, ...]


log: list[object] = []
"""What was built, in this order."""


class Leaf:
    """What a registered function may ask the container for."""

    def __init__(self) -> None:
        log.append(self)


class Product:
    """Made by a registered function."""

    def __init__(self, leaf: Leaf | None = None) -> None:
        self.leaf = leaf
        log.append(self)


class Instance:
    """Registered as it is."""


class OwnDefinition(lagom.definitions.SpecialDepDefinition[Any]):
    def get_instance(self, container: Any) -> Any:
        return Product(container.resolve(Leaf))


def wrapped(function):
    @functools.wraps(function)
    def wrapper(self, **arguments):
        function(self, **arguments)

    return wrapper


class KeywordType(type):
    def __call__(cls, **arguments):
        return super().__call__(**arguments)


def make_classes(graph: Graph) -> list[type]:
    """Make the classes of a graph, whose annotations are read when all are there."""
    names: dict[str, Any] = {
        "Any": Any,
        "Awaitable": Awaitable,
        "Optional": Optional,
        "log": log,
    }
    for number, (kind, parameters) in enumerate(
        zip(graph.kinds, graph.parameters, strict=True)
    ):
        # What has a default comes last, but for what is given by name.
        order = sorted(
            enumerate(parameters),
            key=lambda item: (
                item[1].keyword_only,
                not item[1].keyword_only and item[1].default is not None,
            ),
        )
        texts, keyword_only = ["self"], False
        for position, parameter in order:
            if parameter.keyword_only and not keyword_only:
                keyword_only = True
                texts.append("*")
            default = "" if parameter.default is None else f" = {parameter.default}"
            texts.append(f"p{position}{parameter.annotation}{default}")
        exec(
            f"def __init__({', '.join(texts)}):\n"
            "    self.__dict__.update(locals())\n"
            "    del self.__dict__['self']\n"
            "    log.append(self)\n",
            names,
        )
        body = {"__init__": names["__init__"], "__module__": __name__}
        bases: tuple[Any, ...] = ()
        metaclass: type = type
        if kind == "abstract":
            bases, body["method"] = (ABC,), abstractmethod(lambda self: None)
            metaclass = type(ABC)
        elif kind == "abc":
            bases, metaclass = (ABC,), type(ABC)
        elif kind == "new":
            body["__new__"] = lambda cls, **arguments: object.__new__(cls)
        elif kind == "wrapped":
            body["__init__"] = wrapped(body["__init__"])
        elif kind == "metaclass":
            metaclass = KeywordType
        elif kind == "derived" and number:
            bases = (names["C0"],) if type(names["C0"]) is type else ()
        names[f"C{number}"] = metaclass(f"C{number}", bases, body)
    return [names[f"C{number}"] for number in range(len(graph.kinds))]


def resolver(kind: str, own: type, other: type) -> Any:
    async def asynchronous() -> Any:
        return Product()

    return {
        "alias": lambda: other,
        "itself": lambda: own,
        "singleton": lambda: lagom.Singleton(other),
        "singleton of itself": lambda: lagom.Singleton(own),
        "singleton of a singleton": lambda: lagom.Singleton(lagom.Singleton(other)),
        "singleton of a function": lambda: lagom.Singleton(lambda: Product()),  # noqa: PLW0108  # a class would be an alias
        "singleton of nothing": lambda: lagom.Singleton(lambda: None),
        "function": lambda: lambda: Product(),  # noqa: PLW0108  # as above
        "function of the container": lambda: lambda c: Product(c[Leaf]),
        "function of nothing": lambda: lambda: None,
        "instance": Instance,
        "nothing": lambda: None,
        "definition": OwnDefinition,
        "async": lambda: asynchronous,
    }[kind]()


CALLED = {"singleton of nothing", "function of nothing", "nothing"}
"""What is None only shows at a call."""


def make_containers(
    graph: Graph, classes: list[type]
) -> tuple[lagom.Container, lagom.Container]:
    """Make a container and a clone of it, which overrides some of it."""
    container = lagom.Container()
    clone = container.clone()
    for registration in graph.registrations:
        told = clone if registration.in_clone else container
        own = classes[registration.number]
        other = classes[registration.other]
        key: Any = Awaitable[own] if registration.kind == "async" else own  # type: ignore[valid-type]
        try:
            told[key] = resolver(registration.kind, own, other)
        except DuplicateDefinition:
            continue
    return container, clone


def edges(graph: Graph, *, clone: bool) -> dict[str, set[tuple[str, str]]]:
    """Give, for each thing that may be built, what it may need, and how it asks."""
    told: dict[int, Registration] = {}
    for in_clone in (True, False):
        if in_clone and not clone:
            continue
        for registration in graph.registrations:
            if registration.in_clone is in_clone and registration.kind != "async":
                told.setdefault(registration.number, registration)
    found: dict[str, set[tuple[str, str]]] = {}
    for number, parameters in enumerate(graph.parameters):
        needed = {
            (f"type {parameter.refers_to}", parameter.kind)
            for parameter in parameters
            if parameter.kind in ("plain", "optional", "union")
            and (parameter.kind != "plain" or parameter.refers_to != number)
        }
        found[f"class {number}"] = needed
        registration = told.get(number)
        if registration is None:
            target = {(f"class {number}", "as it is")}
        else:
            other = registration.other
            target = {
                "alias": {
                    (f"{'class' if other == number else 'type'} {other}", "alias")
                },
                "itself": {(f"class {number}", "alias")},
                "singleton": {(f"class {other}", "singleton")},
                "singleton of itself": {(f"class {number}", "singleton")},
                "singleton of a singleton": {(f"class {other}", "singleton")},
            }.get(registration.kind, set())
        found[f"type {number}"] = target
    return found


def circles(graph: Graph, *, clone: bool, start: str) -> tuple[bool, bool]:
    """Tell whether there is a circle to be reached, and whether lagom survives it."""
    needs = edges(graph, clone=clone)
    reached: set[str] = set()
    circular = False
    optional = False

    def visit(node: str, path: tuple[str, ...]) -> None:
        nonlocal circular, optional
        if node in path:
            circular = True
            return
        if node in reached and not path:
            return
        reached.add(node)
        for needed, how in needs[node]:
            optional = optional or how in ("optional", "union")
            visit(needed, (*path, node))

    visit(start, ())
    return circular, not optional


def described(things: list[object]) -> object:
    """Describe objects by their kinds, and tell which of them are the same."""
    seen: dict[int, int] = {}

    def describe(thing: object) -> object:
        if isinstance(thing, Awaitable):
            return "awaitable"
        if thing is None or isinstance(thing, str):
            return thing
        if id(thing) in seen:
            return seen[id(thing)]
        seen[id(thing)] = len(seen)
        return (
            type(thing).__name__,
            seen[id(thing)],
            {name: describe(value) for name, value in sorted(vars(thing).items())},
        )

    return [describe(thing) for thing in things]


def parts(thing: object) -> Iterator[object]:
    """Give all that something was built of, itself included."""
    yield thing
    if not isinstance(thing, Awaitable):
        for value in getattr(thing, "__dict__", {}).values():
            yield from parts(value)


@dataclass
class Outcome:
    """What came of building something several times."""

    error: BaseException | None = None
    built: Any = None
    order: list[str] | None = None
    in_vain: bool = False

    @classmethod
    async def of(cls, make_build: Any) -> Outcome:
        things: list[object] = []
        order: list[str] = []
        in_vain = False
        try:
            build = make_build()
            for _ in range(BUILDS):
                log.clear()
                things.append(build())
                needed = {id(part) for part in parts(things[-1])}
                order = [type(part).__name__ for part in log if id(part) in needed]
                in_vain = len(order) < len(log)
            outcome = cls(None, things, order, in_vain)
        except Exception as error:  # noqa: BLE001  # lagom raises very different ones
            outcome = cls(error)
        # A singleton may hold on to one.
        unique = {id(part): part for thing in things for part in parts(thing)}
        for part in unique.values():
            if isinstance(part, Awaitable):
                assert isinstance(await part, Product)
        return outcome


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


LENIENT = (
    lagom.exceptions.CircularDefinitionError,
    lagom.exceptions.RecursiveDefinitionError,
    lagom.exceptions.TypeOnlyAvailableAsAwaitable,
    RecursionError,
)


def is_lenient(cause: BaseException) -> bool:
    """Tell the errors of lagom's at what may be built all the same."""
    # It passes over parameters of a class's own type, whatever is registered for that.
    passed_over = isinstance(cause, TypeError) and "missing" in str(cause)
    return isinstance(cause, LENIENT) or passed_over


async def compare(graph: Graph, *, clone: bool) -> None:
    classes = make_classes(graph)
    wanted = classes[0]
    adapter = LagomContainer.of(make_containers(graph, classes)[clone])
    log.clear()
    refusal: UnresolvableError | None = None
    try:
        adapter.check(wanted)
    except UnresolvableError as error:
        refusal = error
    assert log == [], "checking built something"
    if refusal is not None:
        with pytest.raises(UnresolvableError, match=r"^"):
            adapter.factory(wanted)
        assert log == [], "something was built before the refusal"
        ours = Outcome(refusal)
    else:
        ours = await Outcome.of(lambda: adapter.factory(wanted))
    assert not ours.in_vain

    called = {registration.kind for registration in graph.registrations} & CALLED
    circular, survived = circles(graph, clone=clone, start="type 0")
    if circular and not survived:
        event("a circle that kills lagom")
        assert ours.error is None or refusal is not None or called, "refused late"
        return
    plain = make_containers(graph, classes)[clone]
    theirs = await Outcome.of(lambda: lambda: plain[wanted])
    if theirs.error is None:
        event("both build")
        assert ours.error is None, ours.error
        assert described(ours.built) == described(theirs.built)
        assert ours.order == theirs.order
        return
    if ours.error is None:
        event("a default ends a circle")
        assert any(map(is_lenient, causes(theirs.error)))
        return
    event("both refuse")
    assert refusal is not None or called, "refused late"


def weighted(**weights: int) -> st.SearchStrategy[str]:
    """Draw names, some more often than others."""
    return st.sampled_from(
        [
            name.replace("_", " ")
            for name, weight in weights.items()
            for _ in range(weight)
        ]
    )


class_kinds = weighted(plain=5, abc=1, abstract=1, new=2, wrapped=2, metaclass=2)

parameter_kinds = weighted(
    plain=16,
    optional=2,
    union=2,
    awaitable=1,
    text=1,
    number=1,
    any=1,
    unannotated=1,
)

registration_kinds = weighted(
    alias=4,
    itself=1,
    singleton=3,
    singleton_of_itself=3,
    singleton_of_a_singleton=1,
    singleton_of_a_function=1,
    singleton_of_nothing=1,
    function=2,
    function_of_the_container=1,
    function_of_nothing=2,
    instance=4,
    nothing=1,
    definition=1,
)


@st.composite
def parameters(draw: st.DrawFn, number: int, count: int, *, circles: bool) -> Parameter:
    kind = draw(parameter_kinds)
    # Seldom with circles, for else they were everywhere.
    first = 0 if circles else min(number + 1, count - 1)
    refers_to = draw(st.integers(first, count - 1))
    if kind == "awaitable":
        needs_default = False
    elif kind in ("text", "number", "any", "unannotated") or refers_to <= number:
        needs_default = draw(st.integers(0, 9)) > 0
    else:
        needs_default = draw(st.integers(0, 9)) > 6
    return Parameter(
        refers_to,
        kind,
        "'default'" if needs_default else None,
        keyword_only=draw(st.integers(0, 3)) == 0,
    )


@st.composite
def shallow_graphs(draw: st.DrawFn) -> Graph:
    """Draw one class, and something registered for each of its parameters."""
    count = draw(st.integers(3, MOST_CLASSES))
    told = weighted(
        instance=4, singleton_of_itself=4, function=1, nothing=2, function_of_nothing=2
    )
    parameters = [
        Parameter(
            number,
            default="'default'" if draw(st.integers(0, 2)) == 0 else None,
            keyword_only=draw(st.integers(0, 5)) == 0,
        )
        for number in range(1, count)
    ]
    return Graph(
        kinds=(draw(class_kinds), *["plain"] * (count - 1)),
        parameters=(tuple(parameters), *[()] * (count - 1)),
        registrations=tuple(
            Registration(number, draw(told), number, in_clone=False)
            for number in range(1, count)
        ),
    )


@st.composite
def deep_graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(2, MOST_CLASSES))
    circles = draw(st.integers(0, 4)) == 0
    numbers = st.integers(0, count - 1)
    told = st.builds(
        Registration,
        number=numbers,
        kind=registration_kinds,
        other=numbers,
        in_clone=st.booleans(),
    )
    lists = [
        draw(st.lists(parameters(number, count, circles=circles), max_size=4))
        for number in range(count)
    ]
    awaited = [
        Registration(parameter.refers_to, "async", 0, in_clone=False)
        for each in lists
        for parameter in each
        if parameter.kind == "awaitable"
    ]
    return Graph(
        kinds=tuple(draw(class_kinds) for _ in range(count)),
        parameters=tuple(map(tuple, lists)),
        registrations=(*draw(st.lists(told, max_size=count + 2)), *awaited),
    )


class TestRandomGraphs:
    @pytest.fixture(autouse=True)
    def lagom_fails_rather_than_waits(self, monkeypatch):
        """A singleton that needs itself has lagom wait for ever at its own lock."""
        import threading

        monkeypatch.setattr(lagom.definitions, "Lock", threading.RLock)

    # Where lagom builds in vain.
    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
    def test_same_as_lagom(self):
        """What lagom builds is built the same way, and what it refuses is refused."""
        with asyncio.Runner() as runner:

            @settings(max_examples=EXAMPLES)
            @given(graph=deep_graphs() | shallow_graphs(), clone=st.booleans())
            def holds(graph: Graph, clone: bool) -> None:
                runner.run(compare(graph, clone=clone))

            holds()

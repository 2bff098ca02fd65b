"""What is checked of a request, and what is said of one that is wrong."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import typing
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from collections.abc import Set as AbstractSet
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    ParamSpec,
    Protocol,
    TypedDict,
    TypeVar,
    TypeVarTuple,
    Union,
    runtime_checkable,
)
from unittest.mock import Mock
from uuid import UUID, uuid4

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from diator import Command, Mediator
from diator.exceptions import (
    BindingError,
    ConfigurationError,
    InUseError,
    ValidationError,
)
from diator.middlewares.transparency import is_transparent
from diator.middlewares.validation import ValidationMiddleware, _Fields

if TYPE_CHECKING:
    from somewhere import OnlyForTypeCheckers  # noqa: F401  # in annotations

T = TypeVar("T")
Bounded = TypeVar("Bounded", bound=int)
Constrained = TypeVar("Constrained", int, str)
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

Positive = Annotated[int, Meta(gt=0)]
Name = Annotated[str, Meta(min_length=1, max_length=5)]
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


class Ratio(float):
    pass


class Moment(dt.datetime):
    pass


class TimeOfDay(dt.time):
    pass


class Session:
    """Stands in for what msgspec knows nothing of."""


class OtherSession(Session):
    pass


class Closes(Protocol):
    def close(self) -> None: ...


@runtime_checkable
class Counts(Protocol):
    def count(self) -> int: ...


class Descriptor(Generic[T]):
    """Stands in for `Mapped`, which annotates what a descriptor gives."""


@dataclass(frozen=True, slots=True)
class Line:
    sku: Name
    quantity: Positive


class Point(NamedTuple):
    x: Positive
    y: int


class Options(TypedDict):
    limit: Positive
    offset: NotRequired[int]


@dataclass
class Node:
    value: Positive
    next: Node | None = None


@dataclass
class Expression:
    value: Positive


@dataclass
class Sum(Expression):
    term: Expression | Sum | None = None


@dataclass
class Page(Generic[T]):
    items: list[T]
    size: Positive = 1


class Handled:
    """The rest of the chain, which remembers what it was given."""

    def __init__(self) -> None:
        self.requests: list[object] = []

    async def __call__(self, request: object) -> str:
        self.requests.append(request)
        return "answer"


def holding(annotation: Any, *, slots: bool = False) -> type:
    """Make a request type with one field."""
    return dataclasses.make_dataclass("Holding", [("field", annotation)], slots=slots)


async def findings(request: object) -> list[tuple[str, str]]:
    """Give what a new middleware finds."""
    try:
        await ValidationMiddleware()(request, Handled())
    except ValidationError as error:
        return list(error.findings)
    return []


async def found(annotation: Any, value: object) -> list[tuple[str, str]]:
    """Give what a new middleware finds in the only field of a request."""
    results = [
        await findings(holding(annotation, slots=slots)(value))
        for slots in (False, True)
    ]
    assert results[0] == results[1]
    return results[0]


async def expected(annotation: Any, value: object) -> str:
    """Give the only finding, which is about the only field."""
    [(path, finding)] = await found(annotation, value)
    assert path == "field"
    return finding


@dataclass(frozen=True)
class Order(Command[Any]):
    id: Positive
    lines: list[Line]
    note: str | None = None


class TestRequest:
    async def test_valid(self):
        """A valid request is passed on as it is, and its answer passed back."""
        order = Order(1, [Line("a", 1)])
        handled = Handled()

        assert await ValidationMiddleware()(order, handled) == "answer"
        assert handled.requests[0] is order

    async def test_invalid(self):
        """A request that is not valid goes no further, and is in the error."""
        order = Order(0, [])
        handled = Handled()

        with pytest.raises(ValidationError) as caught:
            await ValidationMiddleware()(order, handled)

        assert caught.value.request is order
        assert handled.requests == []

    async def test_all_findings(self):
        """Everything that is wrong is found, in the order of the fields."""
        order = Order(0, [Line("a", 1), Line("", 0), "b"], 7)  # type: ignore[list-item,arg-type]

        assert await findings(order) == [
            ("id", "Expected `int` >= 1"),
            ("lines[1].sku", "Expected `str` of length >= 1"),
            ("lines[1].quantity", "Expected `int` >= 1"),
            ("lines[2]", "Expected `Line`, got `str`"),
            ("note", "Expected `str | None`, got `int`"),
        ]

    async def test_findings_beside_a_union(self):
        """A member of a union that does not fit is no finding where another does."""

        @dataclass
        class Found:
            page: Page[int] | Page[str]
            size: Positive

        assert await findings(Found(Page(["a"]), 0)) == [
            ("size", "Expected `int` >= 1")
        ]

    async def test_no_values(self):
        """No value of a request is in the error: it may be a secret."""
        secret = "s3cret"
        request = holding(
            tuple[
                Annotated[str, Meta(pattern="^x")],
                Literal["a"],
                Color,
                dict[str, int],
                dict[int, int],
                set[int],
            ]
        )((secret, secret, secret, {secret: secret}, {secret: 1}, {secret}))

        with pytest.raises(ValidationError) as caught:
            await ValidationMiddleware()(request, Handled())

        assert len(caught.value.findings) == 6
        assert secret not in str(caught.value)

    async def test_nothing_to_check(self):
        """A request of a class without fields is valid."""
        assert await findings(Session()) == []

    @pytest.mark.parametrize(
        "annotation,value",
        [
            *((int, 1), (float, 1), (Positive, 1), (Positive | None, None)),
            *((str | None, "a"), (dt.date, dt.date(2020, 1, 1)), (Color, Color.RED)),
            *((list[int], [1]), (list[float], [1.5]), (list[Name], ["a"])),
            *((list[Line], [Line("a", 1)]), (Sequence[Color], (Color.RED,))),
            *((Line, Line("a", 1)), (Line | None, None), (Line | int, 1)),
            *((list[int] | None, [1]), (Session, OtherSession())),
            *((dict[str, int], {"a": 1}), (tuple[int, str], (1, "a"))),
            *((Literal["a"], "a"), (Page[int], Page([1]))),
        ],
    )
    async def test_quickly(self, monkeypatch, annotation, value):
        """That a request is valid is known without looking for what is wrong."""
        monkeypatch.setattr(_Fields, "findings", pytest.fail)

        assert await found(annotation, value) == []

    async def test_many_sends(self):
        """Each request of a type is checked anew."""
        validation = ValidationMiddleware()

        await validation(Order(1, []), Handled())
        with pytest.raises(ValidationError):
            await validation(Order(0, []), Handled())
        await validation(Order(2, []), Handled())

    def test_transparent(self):
        """Every failure of the chain passes, so that attempts cost no more."""
        assert is_transparent(ValidationMiddleware())


class TestAnnotations:
    @pytest.mark.parametrize(
        "annotation,value",
        [
            (int, Level.LOW),
            (str, Text("a")),
            (float, 1),
            (float, Ratio(1)),
            (complex, 1.5),
            (bytes, b"a"),
            (UUID, uuid4()),
            (Decimal, Decimal(1)),
            (dt.date, dt.date(2020, 1, 1)),
            (dt.datetime, Moment(2020, 1, 1)),
            (Color, Color.RED),
            (None, None),
            (Optional[int], None),  # noqa: UP045  # some annotate so
            (int | str | None, "a"),
            (int | dt.date | str, "a"),
            (float | Line | list[int], [1]),
            (int | UnsetType, UNSET),
            (Literal["a", 1], 1),
            (Literal["a"] | None, None),
            (list, [object()]),
            (typing.List, [object()]),  # noqa: UP006  # some annotate so
            (list[Any], [object()]),
            (list[int], [1]),
            (list[float], [1, 1.5, Ratio(2)]),
            (Sequence[int], (1,)),
            (Sequence[int], range(3)),
            (Collection[str], {"a": 1}),
            (Iterable[int], {1}),
            (AbstractSet[int], frozenset([1])),
            (set[str], {"a"}),
            (collections.deque[int], collections.deque([1])),
            (tuple, (1, "a")),
            (typing.Tuple, (1, "a")),  # noqa: UP006  # some annotate so
            (tuple[int, ...], (1, 2)),
            (tuple[int, str], (1, "a")),
            (tuple[int, Any], (1, object())),
            (tuple[()], ()),
            (tuple[int, *tuple[str, ...]], (1, "a", "b")),
            (dict, {1: 2}),
            (dict[str, int], {"a": 1}),
            (dict[UUID, Any], {uuid4(): 1}),
            (Mapping[str, int], collections.OrderedDict(a=1)),
            (Point, Point(1, 2)),
            (Options, {"limit": 1}),
            (Options, {"limit": 1, "offset": 2, "more": 3}),
            (Session, OtherSession()),
            (Session, Mock(spec=Session)),
            (UserId, 7),
            (Final[int], 7),
            (Node, Node(1, Node(2))),
            (Page[int], Page([1])),
            (Page[Line], Page([Line("a", 1)])),
            (Page[int] | Page[str], Page([1])),
            (Page[int] | Page[str], Page(["a"])),
            (Page[int] | Node | None, Page([1])),
        ],
    )
    async def test_fitting(self, annotation, value):
        """A value of the annotated type is fine, and so is one of a subclass."""
        assert await found(annotation, value) == []

    @pytest.mark.parametrize(
        "annotation,value,finding",
        [
            (int, "1", "Expected `int`, got `str`"),
            (int, 1.0, "Expected `int`, got `float`"),
            (int, True, "Expected `int`, got `bool`"),
            (int, None, "Expected `int`, got `None`"),
            (float, True, "Expected `float`, got `bool`"),
            (float, Decimal(1), "Expected `float`, got `Decimal`"),
            (str, b"a", "Expected `str`, got `bytes`"),
            (bytes, "a", "Expected `bytes`, got `str`"),
            (UUID, str(uuid4()), "Expected `UUID`, got `str`"),
            (dt.date, "2020-01-01", "Expected `date`, got `str`"),
            (dt.date, Moment(2020, 1, 1), "Expected `date`, got `Moment`"),
            (Color, "red", "Expected `Color`, got `str`"),
            (Level, 1, "Expected `Level`, got `int`"),
            (None, 0, "Expected `None`, got `int`"),
            (int | None, "a", "Expected `int | None`, got `str`"),
            (int | Line, "a", "Expected `int | Line`, got `str`"),
            (Literal["a", 1], "b", "Expected `'a' | 1`, got another"),
            (Literal[1], True, "Expected `1`, got `bool`"),
            (Literal["a"], ["a"], "Expected `'a'`, got `list`"),
            (list[int], (1,), "Expected `list`, got `tuple`"),
            (tuple[int, ...], [1], "Expected `tuple`, got `list`"),
            (tuple[int, str], [1, "a"], "Expected `tuple`, got `list`"),
            (tuple[int, str], (1,), "Expected `tuple` of length 2"),
            (tuple[()], (1,), "Expected `tuple` of length 0"),
            (set[int], [1], "Expected `set`, got `list`"),
            (Sequence[str], "text", "Expected `Sequence`, got `str`"),
            (Sequence[int], b"bytes", "Expected `Sequence`, got `bytes`"),
            (dict[str, int], [], "Expected `dict`, got `list`"),
            (dict[str, int], {1: 1}, "Expected `str`, got `int`, as a key"),
            (Line, {"sku": "a", "quantity": 1}, "Expected `Line`, got `dict`"),
            (Point, (1, 2), "Expected `Point`, got `tuple`"),
            (Options, [], "Expected `Options`, got `list`"),
            (Options, {"offset": 1}, "Expected a key `limit`"),
            (Session, object(), "Expected `Session`, got `object`"),
            (UserId, "7", "Expected `int`, got `str`"),
            (Final[int], "7", "Expected `int`, got `str`"),
            (Page[int], Line("a", 1), "Expected `Page`, got `Line`"),
        ],
    )
    async def test_unfitting(self, annotation, value, finding):
        """A value of another type is found, and nothing is converted."""
        assert await expected(annotation, value) == finding

    @pytest.mark.parametrize(
        "annotation,value,paths",
        [
            (list[int], [1, "a", 2, "b"], ["field[1]", "field[3]"]),
            (list[list[int]], [[1], [2, "a"]], ["field[1][1]"]),
            (list[Color], [Color.RED, "red"], ["field[1]"]),
            (set[int], {"a", "b"}, ["field[...]"]),
            (dict[str, int], {"a": "b", "c": "d"}, ["field[...]"]),
            (tuple[int, Any, str], (1, 2, 3), ["field[2]"]),
            (list[Line] | None, [Line("a", 0)], ["field[0].quantity"]),
            (Line | Session, Line("a", 0), ["field.quantity"]),
            (Line | Any, Line("a", 0), []),
            (Point, Point(0, 1), ["field.x"]),
            (Options, {"limit": 0}, ["field.limit"]),
            (Node, Node(1, Node(2, Node(0))), ["field.next.next.value"]),
            (Session | dict[str, Line], {"a": Line("", 1)}, ["field[...].sku"]),
            (Page[str], Page([1], 0), ["field.items[0]", "field.size"]),
            (Page[Line], Page([Line("a", 0)]), ["field.items[0].quantity"]),
            (Page[int] | Node | None, Page(["a"]), ["field.items[0]"]),
            (Page[int] | Page[str], Page([1.5]), ["field.items[0]"]),
        ],
    )
    async def test_inside(self, annotation, value, paths):
        """What a value holds is looked into, and named by its path."""
        assert [path for path, _ in await found(annotation, value)] == paths

    async def test_own_class_of_value(self):
        """The fields are those of the value's own class, which may be derived."""

        @dataclass
        class Special(Node):
            extra: Any = None
            name: Positive = 1

        assert await found(Node, Special(1, None, None, 0)) == [
            ("field.name", "Expected `int` >= 1")
        ]

    async def test_deep_unions(self):
        """A value is looked into once, also if it is of several of the types."""
        leaf: Expression = Sum(0)
        for _ in range(40):
            leaf = Sum(1, leaf)

        [(path, _)] = await findings(leaf)
        assert path.endswith("term.value")

    async def test_value_of_undeclared_class(self):
        """A dataclass is looked into also where a plain base class is annotated."""

        @dataclass
        class Stored(Session):
            id: Positive

        assert [path for path, _ in await found(Session, Stored(0))] == ["field.id"]

    @pytest.mark.parametrize(
        "annotation",
        [
            Any,
            object,
            Closes,
            Counts,
            Callable[[int], str],
            type[int],
            Iterator[int],
            Descriptor[int],
            TypeVar("Unknown"),
            "OnlyForTypeCheckers",
            "list[OnlyForTypeCheckers]",
            "not an annotation",
            "dt.nothing",
            "int | 'a'",
        ],
    )
    async def test_left_alone(self, annotation):
        """A field whose annotation says nothing checkable holds whatever it may."""
        assert await found(annotation, Line("", 0)) == []

    async def test_refuses_isinstance(self):
        """A class that nothing can be an instance of is left alone."""

        class Refusing(type):
            def __instancecheck__(cls, instance):
                raise TypeError

        class Odd(metaclass=Refusing):
            pass

        assert await found(Odd, 1) == []

    async def test_unhashable(self):
        """Type arguments that cannot be looked up are left alone."""
        assert await found(Page[Annotated[int, []]], Page(["a"])) == []

    async def test_one_shot(self):
        """What can be gone through only once is left for the handler."""
        numbers = iter(["a"])

        assert await found(Annotated[Iterable[int], Meta(min_length=2)], numbers) == []
        assert list(numbers) == ["a"]

    async def test_type_statement(self):
        """An alias means what it stands for."""
        alias = typing_extensions.TypeAliasType("alias", list[T], type_params=(T,))

        assert await found(alias[int], [1]) == []
        assert await found(alias, ["a"]) == []
        assert await expected(alias, 1) == "Expected `list`, got `int`"
        assert [path for path, _ in await found(alias[int], ["a"])] == ["field[0]"]

    async def test_endless_alias(self):
        """An alias of itself is left alone."""

        class Alias:
            """What `type Alias = list[Alias]` makes, where that is no syntax yet."""

            __type_params__ = ()

            @property
            def __value__(self) -> Any:
                return list[self]  # type: ignore[valid-type]

        assert await found(Alias(), "anything") == []

    async def test_backported_typed_dict(self):
        """A TypedDict of `typing_extensions` is one as well."""

        class Backported(typing_extensions.TypedDict):
            limit: int

        assert await found(Backported, {"limit": 1}) == []
        assert await expected(Backported, {}) == "Expected a key `limit`"

    async def test_itself(self):
        """A request that holds itself is refused, for nobody can look through it."""
        node = Node(1)
        node.next = node

        assert await findings(node) == [("", "Nested too deeply, or in itself")]


class TestBounds:
    @pytest.mark.parametrize(
        "annotation,value",
        [
            (Positive, 1),
            (Positive | None, None),
            (Positive | None, 1),
            (Positive | Line, 1),
            (Positive | str | None, "a"),
            (Annotated[float, Meta(le=1.5)], 1),
            (Annotated[float, Meta(le=1.5)], Ratio(1)),
            (Annotated[float, Meta(le=1.5)] | str, Ratio(1)),
            (Annotated[dt.datetime, Meta(tz=False)], Moment(2020, 1, 1)),
            (Annotated[dt.time, Meta(tz=False)], TimeOfDay()),
            (Annotated[bytes, Meta(min_length=1)], b"a"),
            (Annotated[int, Meta(description="a number")], -1),
            (Annotated[Session, Meta(title="a session")], Session()),
            (list[Positive], [1, 2]),
            (Sequence[Positive], (1, 2)),
            (Sequence[Positive], collections.deque([1])),
            (Annotated[list[Positive], Meta(max_length=2)], [1, 2]),
            (Annotated[list[Any], Meta(max_length=2)], [1, 2]),
            (dict[str, Positive], {"a": 1}),
            (Annotated[dict, Meta(min_length=1)], {"a": 1}),
            (set[Name], {"a"}),
        ],
    )
    async def test_within(self, annotation, value):
        """A value within its bounds is fine."""
        assert await found(annotation, value) == []

    @pytest.mark.parametrize(
        "annotation,value,finding",
        [
            (Positive, 0, "Expected `int` >= 1"),
            (Positive | None, 0, "Expected `int` >= 1"),
            (Annotated[Positive, "more"], 0, "Expected `int` >= 1"),
            (Positive | str, 0, "Expected `int` >= 1"),
            (Positive | Name, 0, "Expected `int` >= 1"),
            (Positive | Name, "", "Expected `str` of length >= 1"),
            (Positive | Line | None, 0, "Expected `int` >= 1"),
            (Annotated[Positive, Meta(lt=5)], 5, "Expected `int` <= 4"),
            (Annotated[UserId, Meta(ge=2)], 1, "Expected `int` >= 2"),
            (Annotated[float, Meta(le=1.5)], 2, "Expected `float` <= 1.5"),
            (Annotated[float, Meta(le=1.5)], Ratio(2), "Expected `float` <= 1.5"),
            (
                Annotated[int, Meta(multiple_of=5)],
                4,
                "Expected `int` that's a multiple of 5",
            ),
            (
                Annotated[str, Meta(pattern="^a")],
                "b",
                "Expected `str` matching regex '^a'",
            ),
            (
                Annotated[dt.datetime, Meta(tz=True)],
                Moment(2020, 1, 1),
                "Expected `datetime` with a timezone component",
            ),
            (
                Annotated[dt.time, Meta(tz=True)],
                TimeOfDay(),
                "Expected `time` with a timezone component",
            ),
            (
                Annotated[list[Positive], Meta(max_length=1)],
                [1, 2],
                "Expected `array` of length <= 1",
            ),
            (
                Annotated[Sequence[Any], Meta(max_length=1)],
                range(3),
                "Expected `array` of length <= 1",
            ),
            (
                Annotated[dict[str, int], Meta(min_length=1)],
                {},
                "Expected `object` of length >= 1",
            ),
            (dict[Name, int], {"": 1}, "Expected `str` of length >= 1, as a key"),
        ],
    )
    async def test_beyond(self, annotation, value, finding):
        """A value beyond its bounds is found, in the words of msgspec."""
        assert await expected(annotation, value) == finding

    async def test_of_a_collection_and_its_items(self):
        """Both the length and the items are found wrong."""
        annotation = Annotated[list[Positive], Meta(min_length=3)]

        assert await found(annotation, [1, 0]) == [
            ("field", "Expected `array` of length >= 3"),
            ("field[1]", "Expected `int` >= 1"),
        ]

    @pytest.mark.parametrize(
        "annotation",
        [
            Annotated[Decimal, Meta(gt=0)],
            Annotated[str, Meta(gt=0)],
            Annotated[list[int], Meta(gt=0)],
            Annotated[int | None, Meta(gt=0)],
            Annotated[Session, Meta(gt=0)],
            Annotated[Any, Meta(gt=0)],
            Annotated[tuple[int, str], Meta(min_length=1)],
        ],
    )
    async def test_unknown_to_msgspec(self, annotation):
        """Bounds that cannot be checked are an error, and not silently ignored."""
        with pytest.raises(
            ConfigurationError, match=r"Holding\.field cannot be checked"
        ):
            await found(annotation, None)


class TestTypesOfRequests:
    async def test_plain_class(self):
        """What a plain class annotates are no fields."""

        class Plain:
            id: int = "a"  # type: ignore[assignment]

        assert await findings(Plain()) == []

    async def test_inherited(self):
        """Inherited fields are checked, by the annotation that overrides others."""

        @dataclass
        class Base:
            id: Positive
            size: int

        @dataclass
        class Derived(Base):
            size: str  # type: ignore[assignment]

        assert await findings(Derived(0, 1)) == [  # type: ignore[arg-type]
            ("id", "Expected `int` >= 1"),
            ("size", "Expected `str`, got `int`"),
        ]

    async def test_generic(self):
        """A type argument is what the fields of a generic base are checked for."""

        @dataclass
        class Both(Page[T], Generic[T]):
            one: T | None = None

        class Numbers(Both[int]):
            pass

        assert await findings(Numbers(["a"], 1, "b")) == [  # type: ignore[list-item,arg-type]
            ("items[0]", "Expected `int`, got `str`"),
            ("one", "Expected `int | None`, got `str`"),
        ]

    async def test_generic_without_arguments(self):
        """A type variable is anything, but within its bound or constraints."""

        @dataclass
        class Variables(Generic[T, Bounded, Constrained]):
            any: T
            bounded: Bounded
            constrained: Constrained

        assert await findings(Variables("a", 1, "b")) == []
        assert [path for path, _ in await findings(Variables(1, "a", 1.5))] == [  # type: ignore[type-var]
            "bounded",
            "constrained",
        ]

    async def test_variadic(self):
        """Variadic type arguments are left alone, and other fields checked."""

        @dataclass
        class Base(Generic[*Ts, T]):
            items: tuple[*Ts]
            last: T
            size: int

        @dataclass
        class Derived(Base[*Ts, T]):
            pass

        class Numbers(Derived[int, str, float]):
            pass

        assert await findings(Numbers((1, "a"), 1.5, 1)) == []
        assert await findings(Numbers([], 1.5, "a")) == [
            ("items", "Expected `tuple`, got `list`"),
            ("size", "Expected `int`, got `str`"),
        ]

    async def test_parameter_specification(self):
        """What else may stand in type arguments does no harm."""

        @dataclass
        class Calling(Generic[P, T]):
            call: Callable[P, T]
            times: int

        class Called(Calling[[int], str]):
            pass

        assert await findings(Called(len, 1)) == []  # type: ignore[arg-type]
        assert [path for path, _ in await findings(Called(len, "a"))] == ["times"]  # type: ignore[arg-type]

    async def test_struct(self):
        """A Struct is checked, by the names of its fields in Python."""

        class Struct(msgspec.Struct, rename="camel", frozen=True):
            order_id: Positive
            note: str = ""

        assert await findings(Struct(1)) == []
        assert await findings(Struct(0, 1)) == [  # type: ignore[arg-type]
            ("order_id", "Expected `int` >= 1"),
            ("note", "Expected `str`, got `int`"),
        ]

    @pytest.mark.parametrize(
        "define", [attrs.define, attrs.frozen, attrs.mutable(slots=False)]
    )
    async def test_attrs(self, define):
        """An attrs class is checked, private fields included."""

        @define
        class Attrs:
            _id: Positive

        assert await findings(Attrs(1)) == []
        assert [path for path, _ in await findings(Attrs(0))] == ["_id"]

    async def test_attrs_without_annotations(self):
        """A field without an annotation is left alone."""

        @attrs.define
        class Attrs:
            id = attrs.field()

        assert await findings(Attrs(object())) == []

    async def test_pydantic(self):
        """What pydantic has checked is left alone."""

        class Model(pydantic.BaseModel):
            id: int

        @pydantic.dataclasses.dataclass
        class Checked:
            id: int

        assert await findings(Model.model_construct(id="a")) == []
        checked = Checked(1)
        checked.id = "a"  # type: ignore[assignment]
        assert await findings(checked) == []
        assert await found(Model, checked) == [
            ("field", "Expected `Model`, got `Checked`")
        ]

    async def test_special_fields(self):
        """Fields that `__init__` does not set, or that are no fields, do no harm."""

        @dataclass
        class Special:
            seed: InitVar[int]
            shared: ClassVar[int] = "no int"  # type: ignore[assignment]
            kind: str = field(default="special", init=False)
            computed: Positive = field(init=False)
            missing: Positive = field(init=False)
            __private: int = 0

            def __post_init__(self, seed: int) -> None:
                self.computed = seed

        assert await findings(Special("seed" and 1)) == []
        assert [
            path for path, _ in await findings(Special(0, _Special__private="a"))
        ] == [  # type: ignore[call-arg]
            "computed",
            "_Special__private",
        ]

    async def test_missing_slot(self):
        """A slot without a value is left alone."""

        @dataclass(slots=True)
        class Slotted:
            id: Positive
            missing: Positive = field(init=False)

        assert await findings(Slotted(1)) == []

    async def test_field_named_as_its_type(self):
        """A field's default does not hide what its annotation means."""

        @dataclass
        class Dated:
            dt: dt.datetime | None = None

        assert await findings(Dated("a")) == [  # type: ignore[arg-type]
            ("dt", "Expected `datetime | None`, got `str`")
        ]

    async def test_module_unknown(self):
        """A class of a module that is not imported is checked nonetheless."""
        request_type = holding(int)
        request_type.__module__ = "nowhere"

        assert [path for path, _ in await findings(request_type("a"))] == ["field"]


ANNOTATIONS = st.recursive(
    st.sampled_from(
        [
            *(int, str, bool, float, int | Name, Positive, Name),
            *(Annotated[float, Meta(lt=2)], Literal["a", "b"], Literal[1, 2]),
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda annotation: list[annotation]),  # type: ignore[valid-type]
        inner.map(lambda annotation: dict[str, annotation]),  # type: ignore[valid-type]
        inner.map(lambda annotation: dict[Name, annotation]),  # type: ignore[valid-type]
        inner.map(lambda annotation: Annotated[list[annotation], Meta(max_length=2)]),  # type: ignore[valid-type]
        inner.map(lambda annotation: Optional[annotation]),  # noqa: UP045
        inner.map(lambda annotation: Union[Positive, list[annotation], bool]),  # type: ignore[valid-type]  # noqa: UP007
    ),
    max_leaves=4,
)
TEXTS = st.sampled_from(["", "a", "b", "too long"])
BUILTINS = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), TEXTS, st.integers(-1, 3)),
        *(st.sampled_from([-1.0, 1.5, 3.0]), st.integers()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=4,
)


def accepts(annotation: Any, value: object) -> bool:
    """Tell whether msgspec decodes a value as what is annotated."""
    try:
        msgspec.convert({"field": value}, holding(annotation))
    except msgspec.ValidationError:
        return False
    return True


def is_known(annotation: Any) -> bool:
    try:
        msgspec.json.Decoder(annotation)
    except TypeError:
        return False
    return True


class TestAgreement:
    @given(ANNOTATIONS.filter(is_known), BUILTINS)
    async def test_with_msgspec(self, annotation, value):
        """What is found fine is what msgspec decodes without converting it."""
        assert (await found(annotation, value) == []) == accepts(annotation, value)

    @given(st.data(), ANNOTATIONS.filter(is_known))
    async def test_with_types(self, data, annotation):
        """What is of the annotated type is found fine, if it is within its bounds."""
        value = data.draw(st.from_type(annotation))

        assert (await found(annotation, value) == []) == accepts(annotation, value)


class Meetings(dict[int, int]):
    """How many people are in a meeting; stands in for a database."""


@dataclass(frozen=True)
class Join(Command[Any]):
    meeting_id: Positive
    user_id: int = 1


@dataclass(frozen=True)
class JoinLate(Join):
    pass


@dataclass(frozen=True)
class Leave(Command[Any]):
    meeting_id: int = 1


class MeetingIsOpen:
    def __init__(self, meetings: Meetings) -> None:
        self._meetings = meetings

    async def validate(self, request: Join) -> Iterable[tuple[str, str]]:
        if request.meeting_id in self._meetings:
            return []
        return [("meeting_id", "There is no such meeting")]


class UserIsKnown:
    def validate(self, request: Join) -> Iterator[str]:
        if request.user_id > 100:
            yield "Strangers cannot join"


def mediator_with(validation: ValidationMiddleware) -> Mediator:
    mediator = Mediator()
    mediator.container[Meetings] = Meetings({1: 0})
    mediator.use(validation)

    @mediator.handles(Join)
    async def join(request: Join) -> str:
        return "joined"

    @mediator.handles(JoinLate)
    async def join_late(request: JoinLate) -> str:
        return "joined late"

    return mediator


class TestValidators:
    async def test_class(self):
        """A class is built by the container and asked; valid requests are handled."""
        validation = ValidationMiddleware()
        validation.bind(Join, MeetingIsOpen)
        mediator = mediator_with(validation)

        assert await mediator.send(Join(1)) == "joined"
        with pytest.raises(ValidationError) as caught:
            await mediator.send(Join(2))
        assert caught.value.findings == (("meeting_id", "There is no such meeting"),)

    async def test_all(self):
        """All validators are asked, in the order of binding; one error says it all."""
        validation = ValidationMiddleware()
        validation.bind(Join, UserIsKnown)
        validation.bind(Join, MeetingIsOpen)

        with pytest.raises(ValidationError) as caught:
            await mediator_with(validation).send(Join(2, 101))
        assert caught.value.findings == (
            ("", "Strangers cannot join"),
            ("meeting_id", "There is no such meeting"),
        )

    async def test_injected_function(self):
        """A function's parameters after the request are injected."""
        validation = ValidationMiddleware()

        @validation.validates(Join)
        async def is_open(request: Join, meetings: Meetings) -> str | None:
            return None if request.meeting_id in meetings else "No such meeting"

        mediator = mediator_with(validation)

        assert await mediator.send(Join(1)) == "joined"
        with pytest.raises(ValidationError, match="No such meeting"):
            await mediator.send(Join(2))

    async def test_bound_to_base(self):
        """A validator of a base type is asked as well; each validator once."""
        asked: list[str] = []
        validation = ValidationMiddleware()

        def never(request: Leave) -> None:
            asked.append("never")

        def join(request: Join) -> None:
            asked.append("join")

        def late(request: JoinLate) -> None:
            asked.append("late")

        validation.bind(JoinLate, late)
        validation.bind(Leave, never)
        validation.bind(Join, join)
        validation.bind(JoinLate, join)
        await validation(JoinLate(1), Handled())

        assert asked == ["late", "join"]

    async def test_annotations_first(self):
        """Validators are spared requests whose annotations do not hold."""
        validation = ValidationMiddleware()

        @validation.validates(Join)
        def never(request: Join) -> None:
            pytest.fail("asked")

        with pytest.raises(ValidationError, match=r"meeting_id: Expected `int` >= 1"):
            await validation(Join(0), Handled())

    async def test_raising(self):
        """What a validator raises passes as it is."""
        validation = ValidationMiddleware()

        @validation.validates(Join)
        def failing(request: Join) -> None:
            raise ValueError("mistake")  # noqa: EM101

        with pytest.raises(ValueError, match=r"^mistake$"):
            await validation(Join(1), Handled())

    async def test_answers(self):
        """Findings may be returned or yielded, alone or several, sync or async."""

        def nothing(request: Join) -> None:
            pass

        def sentence(request: Join) -> str:
            return "a"

        def pair(request: Join) -> tuple[str, str]:
            return "field", "b"

        async def several(request: Join) -> list[str | tuple[str, str]]:
            return ["c", ("field", "d")]

        def generator(request: Join) -> Iterator[str | tuple[str, str]]:
            yield "e"
            yield "field", "f"

        async def async_generator(request: Join) -> AsyncIterator[str]:
            yield "g"

        async def awaited_generator(request: Join) -> Iterator[str]:
            return iter(["h"])

        validation = ValidationMiddleware()
        for validator in (
            *(nothing, sentence, pair, several, generator),
            *(async_generator, awaited_generator),
        ):
            validation.bind(Join, validator)

        with pytest.raises(ValidationError) as caught:
            await validation(Join(1), Handled())
        assert caught.value.findings == (
            *(("", "a"), ("field", "b"), ("", "c"), ("field", "d")),
            *(("", "e"), ("field", "f"), ("", "g"), ("", "h")),
        )

    @pytest.mark.parametrize(
        "answer", [False, True, 7, ("a", "b", "c"), ("a", 1), [False]]
    )
    async def test_no_finding(self, answer):
        """An answer that says nothing is an error, and not taken for a yes."""
        validation = ValidationMiddleware()

        @validation.validates(Join)
        def answering(request: Join) -> Any:
            return answer

        with pytest.raises(BindingError, match=r"answering answered with a "):
            await validation(Join(1), Handled())

    @pytest.mark.parametrize(
        "validator", [Session, Session(), MeetingIsOpen(Meetings()), "text", None]
    )
    def test_no_validator(self, validator):
        """What is no validator is refused at once, with what to do about it."""
        with pytest.raises(BindingError, match="is not a validator: bind a class"):
            ValidationMiddleware().bind(Join, validator)

    def test_wrong_signature(self):
        """What cannot be called with a request is refused at once."""

        class Validator:
            def validate(self) -> None: ...

        for validator in (Validator, lambda: None):
            with pytest.raises(
                BindingError, match="cannot validate: it is called with"
            ):
                ValidationMiddleware().bind(Join, validator)

    def test_no_type(self):
        """Validators are bound to classes alone."""
        with pytest.raises(BindingError, match="'Join' is not a type"):
            ValidationMiddleware().bind("Join", UserIsKnown)

    def test_decorated_function(self):
        """A function stays as it is, so that it can be called in a test."""
        validation = ValidationMiddleware()

        @validation.validates(Join)
        def checking(request: Join) -> str:
            return "finding"

        assert checking(Join(1)) == "finding"

    async def test_bound_too_late(self):
        """Binding after the first request is an error: some were not validated."""
        validation = ValidationMiddleware()
        await validation(Join(1), Handled())

        with pytest.raises(InUseError, match="UserIsKnown comes too late"):
            validation.bind(Join, UserIsKnown)

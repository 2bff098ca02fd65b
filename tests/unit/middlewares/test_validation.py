"""What is checked of a request, and what is said of one that is wrong."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from collections.abc import Set as AbstractSet
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
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
from diator.middlewares.validation import ValidationMiddleware

if TYPE_CHECKING:
    from somewhere import OnlyForTypeCheckers

T = TypeVar("T")

Positive = Annotated[int, Meta(gt=0)]
Name = Annotated[str, Meta(min_length=1, max_length=5)]


class Color(enum.Enum):
    RED = "red"


class Session:
    """Stands in for what msgspec knows nothing of."""


class Closes(Protocol):
    def close(self) -> None: ...


class Text(str):
    __slots__ = ()


class Ratio(float):
    pass


class Moment(dt.datetime):
    pass


class Day(dt.date):
    pass


class Options(TypedDict):
    limit: int


@dataclass(frozen=True, slots=True)
class Line:
    sku: Name
    quantity: Positive


@dataclass
class Note:
    length: Positive
    author: Any = None


@dataclass
class WithSession:
    id: Positive
    session: Session


@dataclass
class Misfit:
    name: Annotated[str, Meta(gt=0)]


@dataclass
class Page(Generic[T]):
    items: list[T]
    size: Positive = 1


class Card(msgspec.Struct, tag=True, rename="camel", omit_defaults=True):
    card_number: Name
    tip: int = 0


class Cash(msgspec.Struct, tag=True):
    amount: Positive


@dataclass(frozen=True)
class Order(Command[Any]):
    id: Positive
    lines: list[Line]
    note: str | None = None


@dataclass
class Node(Command[Any]):
    value: Positive
    next: Node | None = None


def mediator_for(
    request_type: type, validation: ValidationMiddleware | None = None
) -> Mediator:
    """Make a mediator whose handler answers with the request itself."""
    mediator = Mediator()
    mediator.use(validation or ValidationMiddleware())

    @mediator.handles(request_type)
    async def handle(request: Any) -> Any:
        return request

    return mediator


async def findings(
    request: Any, validation: ValidationMiddleware | None = None
) -> list[tuple[str, str]]:
    """Give what is wrong with a request; a valid one is handled as it is."""
    try:
        answer = await mediator_for(type(request), validation).send(request)
    except ValidationError as error:
        answer, told = error.request, list(error.findings)
    else:
        told = []
    assert answer is request
    return told


def holding(annotation: Any) -> type:
    """Make a request type with one field."""
    return dataclasses.make_dataclass(
        "Holding", [("field", annotation)], bases=(Command,)
    )


async def found(annotation: Any, value: object) -> list[tuple[str, str]]:
    """Give what is wrong with the only field of a request."""
    return await findings(holding(annotation)(value))


class TestRequest:
    async def test_valid(self):
        """A valid request is handled as it is, again and again."""
        mediator = mediator_for(Order)

        for _ in range(2):
            order = Order(1, [Line("a", 1)])
            assert await mediator.send(order) is order

    async def test_invalid(self):
        """All that is wrong is found, in the order of the fields."""
        order = Order(0, [Line("a", 1), Line("", 0), "b"], 7)  # type: ignore[list-item,arg-type]

        assert await findings(order) == [
            ("id", "Expected `int` >= 1"),
            ("lines[1].sku", "Expected `str` of length >= 1"),
            ("lines[1].quantity", "Expected `int` >= 1"),
            ("lines[2]", "Expected `object`, got `str`"),
            ("note", "Expected `str | null`, got `int`"),
        ]

    async def test_itself(self):
        """A request that holds itself is refused, for nobody can look through it."""
        node = Node(1)
        node.next = node

        assert await findings(node) == [("", "Nested too deeply, or in itself")]

    def test_transparent(self):
        """Every failure of the chain passes, so that attempts cost no more."""
        assert is_transparent(ValidationMiddleware())


class TestAnnotations:
    @pytest.mark.parametrize(
        "annotation,value",
        [
            (tuple[int, Line], (1, Line("a", 1))),
            (Card | Cash, Card("1")),
            (list[Note], [Note(1, author=Session())]),
            (int | UnsetType, UNSET),
            # Kindness: what counts is what a value is made of.
            (Color, "red"),
            (list[int], (1,)),
            (Line, {"sku": "a", "quantity": 1}),
        ],
    )
    async def test_fitting(self, annotation, value):
        """A value that is made of what is annotated is fine."""
        assert await found(annotation, value) == []

    @pytest.mark.parametrize(
        "annotation,value,path,sentence",
        [
            (int, True, "field", "Expected `int`, got `bool`"),
            (dt.datetime, "2020-01-01", "field", "Expected `datetime`, got `str`"),
            (Line, Session(), "field", "Expected `object`, got `Session`"),
            (Sequence[int], "text", "field", "Expected `array`, got `str`"),
            (
                Annotated[dict, Meta(max_length=1)],
                {1: 1, 2: 2},
                "field",
                "Expected `object` of length <= 1",
            ),
            (Literal["a"], "b", "field", "Invalid enum value 'b'"),
            (Options, {}, "field", "Object missing required field `limit`"),
            (
                dict[Name, Line],
                {"": Line("a", 1)},
                "field",
                "Expected `str` of length >= 1, as a key",
            ),
            # Where only msgspec can tell which annotation is meant.
            (tuple[int, Line], (1, Line("a", 0)), "field[1].quantity", "`int` >= 1"),
            (Card | Cash, Cash(0), "field.amount", "Expected `int` >= 1"),
            (Page[Line], Page([Line("a", 0)], 0), "field.items[0].quantity", ">= 1"),
        ],
    )
    async def test_unfitting(self, annotation, value, path, sentence):
        """A value of another type, or out of bounds, is found in msgspec's words."""
        [(found_path, found_sentence)] = await found(annotation, value)

        assert found_path == path
        assert found_sentence.endswith(sentence)

    @pytest.mark.parametrize(
        "annotation,value,paths",
        [
            (
                Sequence[Line] | None,
                [Line("", 0)],
                ["field[0].sku", "field[0].quantity"],
            ),
            (
                dict[str, Line],
                {"a": Line("", 1), "b": Line("a", 0), "c": Line("a", 0)},
                ["field[...].sku", "field[...].quantity"],
            ),
            (
                Annotated[list[Positive], Meta(min_length=4)],
                [1, 0, "a"],
                ["field", "field[1]", "field[2]"],
            ),
            (tuple[Line, ...], (Line("", 0),), ["field[0].sku", "field[0].quantity"]),
            (list[Card], [Card("", "a")], ["field[0].card_number", "field[0].tip"]),
            (Line, {"sku": "", "quantity": 0}, ["field.sku", "field.quantity"]),
            (list[Note], [Note(0, author=Session())], ["field[0].length"]),
        ],
    )
    async def test_inside(self, annotation, value, paths):
        """All that is wrong inside a value is found, and named by its path."""
        assert [path for path, _ in await found(annotation, value)] == paths

    @pytest.mark.parametrize("is_plain", [True, False])
    async def test_subclasses(self, is_plain):
        """An instance of a subclass counts as one of the class."""
        values: list[tuple[Any, Any, Any]] = [
            (str, Text("a"), b"a"),
            (int, type("Count", (int,), {})(1), Ratio(1)),
            (bytes, type("Blob", (bytes,), {})(b"a"), Text("a")),
            (float, Ratio(1), Text("1")),
            (Decimal, type("Price", (Decimal,), {})(1), Ratio(1)),
            (dt.date, Day(2020, 1, 1), Moment(2020, 1, 1)),
            (Annotated[dt.datetime, Meta(tz=False)], Moment(2020, 1, 1), Day.min),
            (Sequence[int], range(3), {"a": 1}),
            (Mapping[str, int], MappingProxyType({"a": 1}), range(3)),
            (AbstractSet[int], {1: 2}.keys(), {1: 2}),
        ]
        names = [f"field_{index}" for index in range(len(values))]
        fields = [
            (name, annotation)
            for name, (annotation, _, _) in zip(names, values, strict=True)
        ]
        last = [] if is_plain else [("line", Line, Line("a", 1))]
        request_type = dataclasses.make_dataclass(
            "Plain", [*fields, *last], bases=(Command,)
        )

        assert await findings(request_type(*(right for _, right, _ in values))) == []
        assert [
            path
            for path, _ in await findings(
                request_type(*(wrong for _, _, wrong in values))
            )
        ] == names

    async def test_no_text(self):
        """A lone surrogate, which msgspec cannot compare, is a finding."""
        [(path, sentence)] = await found(Literal["a"], "\ud800")

        assert path == "field"
        assert "surrogates not allowed" in sentence

    @pytest.mark.parametrize(
        "annotation",
        [
            *(Any, Session, list[Session], Annotated[Session, Meta(title="a")]),
            *(Closes, Callable[[int], str], str | UUID, list[WithSession]),
            "list[OnlyForTypeCheckers]",
        ],
    )
    async def test_left_alone(self, annotation):
        """A field of a type that msgspec does not know holds whatever it may."""
        assert await found(annotation, Line("", 0)) == []

    @pytest.mark.skipif("sys.version_info < (3, 12)", reason="needs `type`")
    async def test_alias_of_itself(self):
        """A type without an end is left alone."""
        namespace: dict[str, Any] = {}
        exec("type Json = list[Json] | str", namespace)

        assert await found(namespace["Json"], 1) == []

    @pytest.mark.parametrize(
        "annotation", [Annotated[str, Meta(gt=0)], list[Misfit], Name | UUID]
    )
    async def test_misfit(self, annotation):
        """Bounds that cannot be checked are an error, and not silently ignored."""
        with pytest.raises(ConfigurationError, match=r"Holding\.field cannot be check"):
            await found(annotation, Session())


class TestTypesOfRequests:
    async def test_struct(self):
        """A Struct is checked, by the names of its fields in Python."""

        class Pay(msgspec.Struct, Command, rename="camel"):  # type: ignore[misc]
            user_id: Positive
            by: Card | UnsetType = UNSET

        assert await findings(Pay(1)) == []
        assert [path for path, _ in await findings(Pay(0, Card("")))] == [
            "user_id",
            "by.card_number",
        ]

    async def test_attrs(self):
        """An attrs class is checked, but for fields without an annotation."""

        @attrs.define
        class Rename(Command):
            _id: Positive = attrs.field()
            name = attrs.field()

        assert await findings(Rename(1, Session())) == []
        assert [path for path, _ in await findings(Rename(0, ""))] == ["_id"]

    async def test_pydantic(self):
        """What pydantic has checked is left alone."""

        @pydantic.dataclasses.dataclass
        class Checked(Command):
            id: int

        checked = Checked(1)
        checked.id = "a"  # type: ignore[assignment]

        assert await findings(checked) == []

    async def test_no_fields(self):
        """What a plain class annotates are no fields."""

        class Plain(Command):
            id: int = "a"  # type: ignore[assignment]

        assert await findings(Plain()) == []

    @pytest.mark.parametrize("slots", [True, False])
    async def test_special_fields(self, slots):
        """Fields without a value, or that are none in the end, do no harm."""

        @dataclass(slots=slots)
        class Special(Command):
            seed: InitVar[Positive]
            shared: ClassVar[Positive] = 0
            computed: Positive = field(init=False)
            missing: Positive = field(init=False)

            def __post_init__(self, seed: int) -> None:
                self.computed = seed

        assert await findings(Special(1)) == []
        assert [path for path, _ in await findings(Special(0))] == ["computed"]

    async def test_inherited(self):
        """Inherited fields are checked, by the annotation that overrides others."""

        @dataclass(frozen=True)
        class Derived(Order):
            lines: OnlyForTypeCheckers  # type: ignore[assignment]
            note: int  # type: ignore[assignment]

        assert [path for path, _ in await findings(Derived(0, 1, "a"))] == [  # type: ignore[arg-type]
            "id",
            "note",
        ]

    async def test_field_named_as_its_type(self):
        """A field's default does not hide what its annotation means."""

        @dataclass
        class Dated(Command):
            dt: dt.datetime | None = None

        assert [path for path, _ in await findings(Dated("a"))] == ["dt"]  # type: ignore[arg-type]


ANNOTATIONS = st.recursive(
    st.sampled_from(
        [
            *(int, str, bool, float, int | Name, Positive, Name, Line, set[str]),
            *(Annotated[float, Meta(lt=2)], Literal["a", "b"], Literal[1, 2], Color),
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda annotation: list[annotation]),  # type: ignore[valid-type]
        inner.map(lambda annotation: dict[Name, annotation]),  # type: ignore[valid-type]
        inner.map(lambda annotation: Annotated[list[annotation], Meta(max_length=2)]),  # type: ignore[valid-type]
        inner.map(lambda annotation: tuple[int, annotation]),  # type: ignore[valid-type]
        inner.map(lambda annotation: Optional[annotation]),  # noqa: UP045
    ),
    max_leaves=4,
)
TEXTS = st.sampled_from(["", "a", "red", "too long"])
SCALARS = st.one_of(
    *(st.none(), st.booleans(), TEXTS, st.integers(-1, 3), st.integers()),
    st.sampled_from([-1.0, 1.5, 3.0, Color.RED]),
)
VALUES = st.recursive(
    SCALARS | st.builds(Line, SCALARS, SCALARS) | st.sets(TEXTS, max_size=2),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(TEXTS, inner, max_size=3),
    ),
    max_leaves=4,
)


class TestAgreement:
    @given(ANNOTATIONS, VALUES)
    async def test_with_msgspec(self, annotation, value):
        """Exactly what msgspec makes nothing of, once it is built in, is refused."""
        try:
            msgspec.convert(msgspec.to_builtins(value), annotation)
        except msgspec.ValidationError:
            assert await found(annotation, value) != []
        else:
            assert await found(annotation, value) == []


class Meetings(dict[int, int]):
    """How many people are in a meeting; stands in for a database."""


@dataclass(frozen=True)
class Join(Command[Any]):
    meeting_id: Positive


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


class TestValidators:
    @pytest.fixture
    def validation(self):
        return ValidationMiddleware()

    async def test_class(self, validation):
        """A class is built by the container and asked; valid requests are handled."""
        validation.bind(Join, MeetingIsOpen)
        mediator = mediator_for(Join, validation)
        mediator.container[Meetings] = Meetings({1: 0})

        assert await mediator.send(Join(1)) == Join(1)
        with pytest.raises(ValidationError) as caught:
            await mediator.send(Join(2))
        assert caught.value.findings == (("meeting_id", "There is no such meeting"),)

    async def test_function(self, validation):
        """A function is given the request, and its other parameters are injected."""

        @validation.validates(Join)
        async def is_open(request: Join, meetings: Meetings) -> str | None:
            return None if request.meeting_id in meetings else "No such meeting"

        mediator = mediator_for(Join, validation)
        mediator.container[Meetings] = Meetings({1: 0})

        assert await mediator.send(Join(1)) == Join(1)
        with pytest.raises(ValidationError, match="No such meeting"):
            await mediator.send(Join(2))
        assert await is_open(Join(2), Meetings()) == "No such meeting"

    async def test_which(self, validation):
        """Those of the type and of its bases are asked, each once, as bound."""
        asked: list[str] = []

        def join(request: Join) -> None:
            asked.append("join")

        def late(request: JoinLate) -> None:
            asked.append("late")

        validation.bind(JoinLate, late)
        validation.bind(Leave, lambda request: asked.append("leave"))
        validation.bind(Join, join)
        validation.bind(Join, late)

        assert await findings(JoinLate(1), validation) == []
        assert asked == ["late", "join"]

    async def test_annotations_first(self, validation):
        """Validators are spared requests whose annotations do not hold."""
        validation.bind(Join, lambda request: pytest.fail("asked"))

        assert await findings(Join(0), validation) == [
            ("meeting_id", "Expected `int` >= 1")
        ]

    async def test_raising(self, validation):
        """What a validator raises passes as it is."""

        @validation.validates(Join)
        def failing(request: Join) -> None:
            raise ValueError("mistake")  # noqa: EM101

        with pytest.raises(ValueError, match=r"^mistake$"):
            await findings(Join(1), validation)

    async def test_answers(self, validation):
        """Findings may be returned or yielded, alone or several, sync or async."""

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

        for validator in (
            *(lambda _: None, lambda _: "a", pair, several, generator),
            *(async_generator, awaited_generator),
        ):
            validation.bind(Join, validator)

        assert await findings(Join(1), validation) == [
            *(("", "a"), ("field", "b"), ("", "c"), ("field", "d")),
            *(("", "e"), ("field", "f"), ("", "g"), ("", "h")),
        ]

    @pytest.mark.parametrize("answer", [False, ("a", 1), [7]])
    async def test_no_finding(self, validation, answer):
        """An answer that says nothing is an error, and not taken for a yes."""
        validation.bind(Join, lambda request: answer)

        with pytest.raises(BindingError, match=r"<lambda> answered with a "):
            await findings(Join(1), validation)

    @pytest.mark.parametrize("validator", [Session, MeetingIsOpen(Meetings())])
    def test_no_validator(self, validation, validator):
        """What is no validator is refused at once, with what to do about it."""
        with pytest.raises(BindingError, match="is not a validator: bind a class"):
            validation.bind(Join, validator)

    def test_wrong_signature(self, validation):
        """What cannot be called with a request is refused at once."""

        class Validator:
            def validate(self) -> None: ...

        for validator in (Validator, lambda: None):
            with pytest.raises(BindingError, match="cannot validate: it is called "):
                validation.bind(Join, validator)

    def test_no_type(self, validation):
        """Validators are bound to classes alone."""
        with pytest.raises(BindingError, match="'Join' is not a type"):
            validation.bind("Join", MeetingIsOpen)

    async def test_too_late(self, validation):
        """Binding after the first request is an error: some were not validated."""
        await findings(Join(1), validation)

        with pytest.raises(InUseError, match="MeetingIsOpen comes too late"):
            validation.bind(Join, MeetingIsOpen)

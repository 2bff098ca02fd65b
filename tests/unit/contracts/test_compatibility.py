"""Changes of a contract, and whom they break."""

from __future__ import annotations

import enum
import functools
import json
import operator
from dataclasses import field, make_dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import BaseModel, ConfigDict, Field, RootModel, create_model

from diator import Command, NotificationEvent
from diator.contracts.compatibility import breaking_changes
from diator.contracts.contract import Contract
from diator.events.message_brokers.encoding import encode
from diator.exceptions import ConfigurationError
from diator.messages.registry import MessageRegistry

NAME = "order.placed.v1"


def make_event(
    *fields: Any, base: type = NotificationEvent, name: str = "OrderPlaced"
) -> type:
    return make_dataclass(name, fields, bases=(base,), frozen=True, kw_only=True)


def document_of(*types: Any, is_received: bool = False, **options: Any) -> Any:
    registry = MessageRegistry()
    for number, each in enumerate(types, 1):
        registry.add(each, name=f"order.placed.v{number}", **options)
    receives = types if is_received else ()
    contract = Contract(registry, title="Shop", version="1", receives=receives)
    # As it is after having been written and read.
    return json.loads(json.dumps(contract.asyncapi()))


def changes(older: Any, newer: Any, *, is_received: bool = False) -> list[str]:
    """Give the changes between events with a field `x` of two types, if any."""
    documents = [
        document_of(make_event(*each), is_received=is_received)
        for each in (older, newer)
    ]
    return [str(each) for each in breaking_changes(*documents)]


def with_field(of_type: Any) -> list[Any]:
    return [("x", of_type)]


class Small(enum.Enum):
    A = "a"


class Large(enum.Enum):
    A = "a"
    B = "b"


class And(msgspec.Struct, tag=True):
    left: And | Or | Not
    right: And | Or | Not


class Or(msgspec.Struct, tag=True):
    left: And | Or | Not
    right: And | Or | Not


class Not(msgspec.Struct, tag=True):
    left: And | Or | Not
    right: And | Or | Not | None


def tagged_structs(**types: Any) -> Any:
    """Give a union of Structs with a field `y`, told by their tags."""
    return functools.reduce(
        operator.or_,
        [
            msgspec.defstruct(
                tag.upper(),
                [("y", each), ("size", Literal["s", "l"])],
                tag=tag,
                tag_field="kind",
            )
            for tag, each in types.items()
        ],
    )


def tagged_models(**types: Any) -> Any:
    """Give such a union of models."""
    models = [
        create_model(tag.upper(), kind=(Literal[tag], ...), y=(each, ...))
        for tag, each in types.items()
    ]
    union: Any = functools.reduce(operator.or_, models)
    return RootModel[Annotated[union, Field(discriminator="kind")]]


Inner = make_dataclass("Inner", [("y", int)])
WiderInner = make_dataclass("Inner", [("y", int | None)])

WIDER = [
    (int, float),
    (int, int | None),
    (int, str),
    (Literal["a"], Literal["a", "b"]),
    (Literal["a"], str),
    (Annotated[int, msgspec.Meta(ge=1)], Annotated[int, msgspec.Meta(ge=0)]),
    (Annotated[int, msgspec.Meta(ge=1)], int),
    (Annotated[str, msgspec.Meta(max_length=5)], str),
    (Annotated[str, msgspec.Meta(pattern="a")], str),
    (list[int], list[int | None]),
    (list[Inner], list[WiderInner]),
    (dict[str, int], dict[str, int | None]),
    (tuple[int, int], tuple[int, str]),
    (tuple[int, int], tuple[int, int, int]),
    (Inner, WiderInner),
    (int, Any),
    (UUID, Literal["a"]),
    (Annotated[str, msgspec.Meta(max_length=3)], Literal["abcdef"]),
    (datetime, str),
    (datetime | None, str | None),
    (list[datetime], list[str]),
    (tuple[datetime, int], tuple[str, int]),
    (dict[str, datetime], dict[str, str]),
    (dict[str, datetime] | None, dict[str, str] | None),
    (dict[Literal["a"], int], dict[Literal["a", "b"], int]),
    (dict[Small, int], dict[Large, int]),
    (dict[int, int], dict[str, int]),
    (dict[Annotated[int, msgspec.Meta(ge=0)], int], dict[str, int]),
    (dict[UUID, int], dict[str, int]),
    (dict[str, int], dict[str, Any]),
    (Annotated[datetime, msgspec.Meta(title="when")], str),
    (dict[Annotated[int, msgspec.Meta(title="nr")], int], dict[str, int]),
]


DEFINED = "#/components/schemas/"

TREE = {"type": "object", "properties": {"in": {"$ref": f"{DEFINED}This"}}}


def with_schema(schema: Any, **named: Any) -> Any:
    """Give a document of which the field `x` has a schema that others have written."""
    document = document_of(make_event(*with_field(int)))
    schemas = document["components"]["schemas"]
    schemas["OrderPlaced"]["properties"]["x"] = schema
    schemas |= named
    return document


def schema_changes(older: Any, newer: Any) -> list[str]:
    """Give the changes of the field `x` of two such documents that are sent."""
    return [
        ": ".join(
            filter(None, [each.path.removeprefix("payload.x").lstrip("."), each.reason])
        )
        for each in breaking_changes(older, newer)
    ]


def fields(**types: str) -> Any:
    return {name: {"type": each} for name, each in types.items()}


def object_of(**types: str) -> Any:
    return {"type": "object", "properties": fields(**types), "required": [*types]}


INTEGER = {"type": "integer"}
TEXT = {"type": "string"}
CLOSED = {"additionalProperties": False}
NOT_COMPARED = ["allOf cannot be compared"]

# Older, newer, and what breaks.
COMBINED = [
    (INTEGER, {"allOf": [INTEGER]}, []),
    ({"allOf": [INTEGER]}, TEXT, ["is string instead of integer"]),
    (
        INTEGER,
        {"allOf": [{"anyOf": [INTEGER, {"type": "null"}]}], "title": "x"},
        ["may be null, which was not known"],
    ),
    (
        {"allOf": [object_of(a="integer"), object_of(b="integer")]},
        object_of(a="integer"),
        ["b: is no longer there, though others rely on it"],
    ),
    (
        object_of(a="integer", b="integer"),
        {"allOf": [object_of(a="integer"), object_of(b="string")]},
        ["b: is string instead of integer"],
    ),
    (
        {"allOf": [{**INTEGER, "minimum": 1}, {"minimum": 2}]},
        {**INTEGER, "minimum": 1},
        ["may be less: the minimum is not 2 any more"],
    ),
    (
        {**INTEGER, "maximum": 2},
        {"allOf": [{**INTEGER, "maximum": 3}], "maximum": 2},
        [],
    ),
    (
        {"anyOf": [INTEGER, {"type": "null"}], "minimum": 2},
        {"anyOf": [INTEGER, {"type": "null"}], "minimum": 1},
        ["may be less: the minimum is not 2 any more"] * 2,
    ),
    # What does not surely say the same in one schema is the same, or not compared.
    (INTEGER, {"allOf": [INTEGER, TEXT]}, NOT_COMPARED),
    (INTEGER, {"allOf": [{"const": 1}, {**INTEGER, "minimum": 2}]}, NOT_COMPARED),
    (
        object_of(a="integer"),
        {"allOf": [{**object_of(a="integer"), **CLOSED}, object_of(b="integer")]},
        NOT_COMPARED,
    ),
    (
        object_of(a="integer"),
        {"allOf": [{"patternProperties": {}}, {**object_of(), **CLOSED}]},
        NOT_COMPARED,
    ),
    (
        {**object_of(a="integer"), **CLOSED},
        {"allOf": [{**object_of(a="integer"), **CLOSED}, object_of(a="integer")]},
        [],
    ),
    (TEXT, {"enum": ["a"], "minLength": 1}, ["enum cannot be compared"]),
]

PATTERNS = [
    (
        {"patternProperties": {"^a": INTEGER, "^b": TEXT}},
        {"patternProperties": {"^a": INTEGER, "^b": INTEGER}},
        ["{^b}: is integer instead of string"],
    ),
    # A pattern that nobody knew, among what may have been anything, or something.
    ({}, {"patternProperties": {"^a": INTEGER}}, []),
    (
        {"additionalProperties": TEXT},
        {"patternProperties": {"^a": INTEGER}},
        ["{^a}: is integer instead of string"],
    ),
    (
        CLOSED,
        {"patternProperties": {"^a": INTEGER}, **CLOSED},
        ["{^a}: is more than is allowed"],
    ),
    # One that is known, and what is written otherwise.
    (
        {"patternProperties": {"^a": INTEGER}},
        {"properties": fields(a="string", b="string")},
        ["a: is string instead of integer"],
    ),
    (
        {"patternProperties": {"^a": INTEGER}, **CLOSED},
        {"properties": fields(a="integer", b="integer")},
        ["b: is more than is allowed"],
    ),
    (
        {"patternProperties": {"^a": INTEGER}},
        {"additionalProperties": TEXT},
        ["{}: is string instead of integer"],
    ),
    (
        {"patternProperties": {"^a": INTEGER}},
        {"patternProperties": {"^A": TEXT}},
        ["{^A}: is string instead of integer"],
    ),
    # Names that were known, and may now be among those of a pattern.
    (
        {"properties": fields(a="string", b="string", c="string")},
        {"properties": fields(c="string"), "patternProperties": {"^[ac]": INTEGER}},
        ["a: is integer instead of string"],
    ),
    # Patterns that Python cannot read.
    (
        {"patternProperties": {r"\p{L}": INTEGER}, **CLOSED},
        {"properties": fields(a="string")},
        ["a: is more than is allowed", "a: is string instead of integer"],
    ),
    (
        {"properties": fields(a="string")},
        {"patternProperties": {r"\p{L}": INTEGER}},
        ["a: is integer instead of string"],
    ),
]


class TestBreakingChanges:
    @pytest.mark.parametrize("narrow,wide", WIDER, ids=str)
    def test_wider(self, narrow, wide):
        """What is sent must not become more than what was known."""
        assert len(changes(with_field(narrow), with_field(wide))) == 1

    @pytest.mark.parametrize("narrow,wide", WIDER, ids=str)
    def test_narrower(self, narrow, wide):
        """What is received must not become less than what was accepted."""
        found = changes(with_field(wide), with_field(narrow), is_received=True)
        assert len(found) == 1

    @pytest.mark.parametrize(
        "of_type", [each for pair in WIDER for each in pair], ids=str
    )
    def test_same(self, of_type):
        """What stays as it was breaks nothing."""
        for is_received in (False, True):
            fields = with_field(of_type)
            assert changes(fields, fields, is_received=is_received) == []

    def test_reasons(self):
        """Each is told with the message, the place, and what it is."""
        inner = make_dataclass("Inner", [("price", str)])
        older = [("x", int), ("gone", int), ("items", list[Inner])]
        newer = [("x", int | None), ("items", list[inner])]

        assert changes(older, newer) == [
            f"{NAME}, payload.gone: is no longer there, though others rely on it",
            f"{NAME}, payload.x: may be null, which was not known",
            f"{NAME}, payload.items[].y: is no longer there, though others rely on it",
        ]

    def test_lists_and_tuples(self):
        """A tuple is no list to who knows its length, nor the other way round."""
        kinds = [list[int], tuple[int, int]]
        for older, newer in (kinds, kinds[::-1]):
            assert any(
                "of another kind" in each
                for each in changes(with_field(older), with_field(newer))
            )

    def test_choices(self):
        """Of several kinds of values, the one that has changed is told."""
        older = Inner | None
        newer = WiderInner | None

        assert changes(with_field(older), with_field(newer)) == [
            f"{NAME}, payload.x.y: may be null, which was not known"
        ]

    @pytest.mark.parametrize("make", [tagged_structs, tagged_models])
    def test_branches(self, make):
        """Of several classes, the one that has changed is told by its tag."""
        of_int = make(a=int, b=int)

        for is_received, reason in (
            (False, "string instead of integer"),
            (True, "integer instead of string"),
        ):
            assert changes(
                with_field(of_int),
                with_field(make(a=int, b=str)),
                is_received=is_received,
            ) == [f"{NAME}, payload.x[kind='b'].y: is {reason}"]
        assert changes(with_field(of_int), with_field(make(a=str, b=int) | None)) == [
            f"{NAME}, payload.x[kind='a'].y: is string instead of integer",
            f"{NAME}, payload.x: may be null, which was not known",
        ]

    @pytest.mark.parametrize("make", [tagged_structs, tagged_models])
    def test_branch_more(self, make):
        """So is a class that is new to who reads, and one that is no longer read."""
        fewer, more = with_field(make(a=int, b=int)), with_field(make(b=int, c=int))
        told = f"{NAME}, payload.x: may be object with kind={{}}, which was not known"

        assert changes(fewer, more) == [told.format("'c'")]
        assert changes(fewer, more, is_received=True) == [told.format("'a'")]

    def test_branches_without_tags(self):
        """Where nothing tells the classes, one that has changed is told as it is."""

        def models(of_type: type) -> Any:
            one = create_model("One", y=(of_type, ...))
            return RootModel[one | create_model("Two", y=(int, ...))]

        assert changes(with_field(models(int)), with_field(models(str))) == [
            f"{NAME}, payload.x: may be object, which was not known"
        ]

    def test_pydantic(self):
        """What models say of themselves is compared, too."""

        class Older(BaseModel):
            numbers: dict[str, int]

        class Newer(BaseModel):
            numbers: dict[str, Any]

        assert changes(with_field(Older), with_field(Newer)) == [
            f"{NAME}, payload.x.numbers.{{}}: is anything instead of integer"
        ]

    def test_open_models(self):
        """A model that keeps what it does not know may have any fields."""

        class Open(BaseModel):
            model_config = ConfigDict(extra="allow")
            y: int

        class Closed(BaseModel):
            y: int
            z: int = 1

        assert changes(with_field(Open), with_field(Open)) == []
        assert changes(with_field(Open), with_field(Closed), is_received=True) == [
            f"{NAME}, payload.x.z: is anything instead of integer"
        ]

    def test_constants(self):
        """A value that was the only one must stay it."""
        assert changes(with_field(Literal["a"]), with_field(Literal["b"])) == [
            f"{NAME}, payload.x: is 'b' instead of 'a'"
        ]

    def test_constants_that_python_takes_as_equal(self):
        """True is no number, though Python has it as 1."""
        assert schema_changes(with_schema({"const": 1}), with_schema({"const": True}))

    def test_field_more(self):
        """A field more may be sent, but not be asked for, unless it has a default."""
        more = [("x", int), ("y", int)]
        more_with_default = [("x", int), ("y", int, field(default=1))]

        assert changes(with_field(int), more) == []
        assert changes(with_field(int), more, is_received=True) == [
            f"{NAME}, payload.y: is asked for, which others do not send"
        ]
        assert changes(with_field(int), more_with_default, is_received=True) == []

    def test_field_less(self):
        """A field less may be asked for, but must not be missing in what is sent."""
        fewer: list[Any] = []

        assert changes(with_field(int), fewer, is_received=True) == []
        assert changes(with_field(int), fewer) == [
            f"{NAME}, payload.x: is no longer there, though others rely on it"
        ]

    def test_may_be_missing(self):
        """What was always there must not become what may be missing."""
        unset = [("x", int | msgspec.UnsetType, field(default=msgspec.UNSET))]

        assert changes(with_field(int), unset) == [
            f"{NAME}, payload.x: may be missing, though others rely on it"
        ]
        with_default = [("x", int, field(default=1))]
        assert changes(with_default, with_field(int), is_received=True) == [
            f"{NAME}, payload.x: is asked for always, which others may leave out"
        ]

    def test_message_less(self):
        """A message must not vanish, but one more may come."""
        one, two = make_event(), make_event(name="OrderPaid")

        assert breaking_changes(document_of(one), document_of(one, two)) == []
        [change] = breaking_changes(document_of(one, two), document_of(one))
        assert str(change) == "order.placed.v2: is no longer sent"
        [change] = breaking_changes(
            document_of(one, two, is_received=True),
            document_of(one, is_received=True),
        )
        assert str(change) == "order.placed.v2: is no longer received"

    def test_topic(self):
        """A message must stay where it is looked for."""
        event = make_event()

        [change] = breaking_changes(
            document_of(event), document_of(event, topic="orders")
        )
        assert str(change) == (f"{NAME}: has moved from the topic 'events' to 'orders'")

    def test_kind(self):
        """A message must stay what it was, an event or a command."""
        [change] = breaking_changes(
            document_of(make_event(), topic="t"),
            document_of(make_event(base=Command), topic="t"),
        )[:1]
        assert change.path == "message_type"

    def test_format(self):
        """A message must stay in its format."""
        registry = MessageRegistry()
        registry.add(make_event(), name=NAME)
        older, newer = (
            Contract(registry, title="Shop", version="1", cloud_events=mode).asyncapi()
            for mode in ("structured", "binary")
        )

        assert (
            f"{NAME}: is application/json instead of application/cloudevents+json"
            in (str(each) for each in breaking_changes(older, newer))
        )

    def test_recursive_types(self):
        """Types that contain themselves are compared, too."""
        older = make_dataclass("Tree", [("children", "list[Tree]"), ("n", int)])
        newer = make_dataclass("Tree", [("children", "list[Tree]"), ("n", str)])
        for each in (older, newer):
            each.__annotations__["children"] = list[each]

        assert changes(with_field(older), with_field(older)) == []
        assert changes(with_field(older), with_field(newer)) == [
            f"{NAME}, payload.x.n: is string instead of integer"
        ]

    def test_many_paths(self):
        """Types that lead to each other in many ways are compared in no time."""
        assert changes(with_field(And), with_field(And)) == []

    def test_dicts_instead_of_classes(self):
        """A dict may have any fields, those of a class included."""

        class Named(TypedDict, total=False):
            y: int

        class Strict(msgspec.Struct, forbid_unknown_fields=True):
            y: int = 1

        for newer in (Named, Strict):
            assert changes(
                with_field(dict[str, str]), with_field(newer), is_received=True
            )

    def test_fields_that_were_ignored(self):
        """Who has taken any fields from others must go on to."""

        class Strict(msgspec.Struct, forbid_unknown_fields=True):
            y: int

        assert changes(with_field(Inner), with_field(Strict), is_received=True) == [
            f"{NAME}, payload.x: must have no other fields any more"
        ]

    def test_tighter(self):
        """More than 0 is at least 0."""
        older = Annotated[int, msgspec.Meta(ge=0)]
        newer = Annotated[int, msgspec.Meta(gt=0)]

        assert changes(with_field(older), with_field(newer)) == []

    def test_what_is_not_understood(self):
        """What cannot be compared counts as broken, unless it is the same."""
        plain = document_of(make_event(*with_field(int)))
        negated = json.loads(json.dumps(plain))
        schemas = negated["components"]["schemas"]
        schemas["OrderPlaced"]["properties"]["x"]["not"] = {"const": 1}

        assert breaking_changes(negated, negated) == []
        [change] = breaking_changes(plain, negated)
        assert change.reason == "not cannot be compared"

    def test_what_leads_elsewhere(self):
        """What only seems to be the same, as it leads to something else, is not."""
        not_this = {"not": {"type": "array", "items": {"$ref": f"{DEFINED}This"}}}
        older = with_schema(not_this, This=TREE)

        assert schema_changes(older, older) == []
        assert schema_changes(older, with_schema(not_this, This={"const": 2})) == [
            "not cannot be compared"
        ]

    @pytest.mark.parametrize("older,newer,reasons", COMBINED, ids=str)
    def test_combined(self, older, newer, reasons):
        """Schemas that are valid at once are compared as the one that they make."""
        assert schema_changes(with_schema(older), with_schema(older)) == []
        assert schema_changes(with_schema(newer), with_schema(newer)) == []
        assert schema_changes(with_schema(older), with_schema(newer)) == reasons

    def test_combined_recursive_types(self):
        """So are types that contain themselves."""
        both = {"allOf": [{"$ref": f"{DEFINED}One"}, {"$ref": f"{DEFINED}Two"}]}

        def tree(of_type: str) -> Any:
            return {
                name: {
                    "type": "object",
                    "properties": {
                        "n": {"type": of_type},
                        "in": {"$ref": DEFINED + name},
                    },
                }
                for name in ("One", "Two")
            }

        older = with_schema(both, **tree("integer"))

        assert schema_changes(older, older) == []
        assert schema_changes(older, with_schema(both, **tree("string"))) == [
            "n: is string instead of integer"
        ]

    @pytest.mark.parametrize("older,newer,reasons", PATTERNS, ids=str)
    def test_patterns_of_names(self, older, newer, reasons):
        """Fields whose names have a pattern are compared with all that they may be."""
        older, newer = (
            with_schema({"type": "object", **each}) for each in (older, newer)
        )

        assert schema_changes(older, older) == []
        assert schema_changes(newer, newer) == []
        assert schema_changes(older, newer) == reasons

    def test_patterns_of_pydantic(self):
        """Those are the dicts of models whose keys have a pattern."""

        def model(of_type: Any, pattern: str = "^a") -> Any:
            key = Annotated[str, Field(pattern=pattern)]
            return create_model("Model", numbers=(dict[key, of_type], ...))

        older = with_field(model(int))

        assert changes(older, with_field(model(str))) == [
            f"{NAME}, payload.x.numbers.{{^a}}: is string instead of integer"
        ]
        assert changes(older, with_field(model(str, "^b"))) == [
            f"{NAME}, payload.x.numbers.{{^b}}: is string instead of integer"
        ]

    def test_tuples_of_any_length(self):
        """What follows in a tuple after its first items is compared, too."""
        older, newer = (
            with_schema(
                {
                    "type": "array",
                    "items": [{"type": "integer"}],
                    "additionalItems": {"type": each},
                }
            )
            for each in ("integer", "string")
        )

        assert schema_changes(older, newer) == ["[]: is string instead of integer"]

    def test_annotations(self):
        """What is told to people alone breaks nothing."""
        model = with_schema({"type": "integer"})
        told = {"deprecated": True, "readOnly": True, "writeOnly": True}
        annotated = with_schema({"type": "integer", **told})

        assert schema_changes(model, annotated) == []
        assert schema_changes(annotated, model) == []

    def test_no_value(self):
        """What allows no value at all takes none, and gives none."""
        plain = document_of(make_event(*with_field(list[int])))
        never = json.loads(json.dumps(plain))
        schemas = never["components"]["schemas"]
        schemas["OrderPlaced"]["properties"]["x"]["items"] = False

        assert breaking_changes(plain, never) == []
        [change] = breaking_changes(never, plain)
        assert change.reason == "may be integer, which was not known"

    def test_nothing_more_allowed(self):
        """What refuses unknown fields gets none."""

        class Strict(msgspec.Struct, forbid_unknown_fields=True):
            y: int

        more = make_dataclass("Strict", [("y", int), ("z", int)])

        assert changes(with_field(Strict), with_field(more)) == [
            f"{NAME}, payload.x.z: is more than is allowed"
        ]

    @pytest.mark.parametrize("document", [None, {}, {"operations": {"a": {}}}], ids=str)
    def test_no_document(self, document):
        """What is no document of a contract is refused."""
        with pytest.raises(ConfigurationError, match="no AsyncAPI document"):
            breaking_changes(document, document_of(make_event()))

    def test_incomplete_document(self):
        """So is one that somebody has cut down."""
        document = document_of(make_event())
        document["components"]["schemas"].clear()

        with pytest.raises(ConfigurationError, match="no AsyncAPI document"):
            breaking_changes(document, document_of(make_event()))


LEAVES = st.sampled_from(
    [
        (int, st.integers(-(2**31), 2**31)),
        (Annotated[int, msgspec.Meta(ge=0)], st.integers(0, 9)),
        (float, st.floats(-9, 9)),
        (bool, st.booleans()),
        (str, st.text(max_size=3)),
        (Annotated[str, msgspec.Meta(max_length=1)], st.text(max_size=1)),
        (Literal["a"], st.just("a")),
        (Literal["a", "b"], st.sampled_from(["a", "b"])),
    ]
)


def larger(parts: Any) -> Any:
    return st.one_of(
        parts.map(lambda part: (part[0] | None, st.none() | part[1])),
        parts.map(lambda part: (list[part[0]], st.lists(part[1], max_size=2))),
        parts.map(
            lambda part: (
                dict[str, part[0]],
                st.dictionaries(st.text(), part[1], max_size=2),
            )
        ),
        st.tuples(parts, parts).map(
            lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))
        ),
    )


TYPES = st.recursive(LEAVES, larger, max_leaves=3)
FIELDS = st.dictionaries(st.sampled_from("xy"), TYPES, max_size=2)


SIMPLE = st.sampled_from(
    [
        INTEGER,
        TEXT,
        {"type": "number"},
        {"type": "null"},
        {**INTEGER, "minimum": 1},
        {**TEXT, "minLength": 2},
        {"const": 1},
        {"enum": ["a", 1]},
    ]
)


def composed(parts: Any) -> Any:
    pairs = st.lists(parts, min_size=2, max_size=2)
    names = st.dictionaries(st.sampled_from(["a", "ab", "b"]), parts, max_size=2)
    patterns = st.dictionaries(st.sampled_from(["^a", "b$"]), parts, max_size=2)
    return st.one_of(
        pairs.map(lambda pair: {"allOf": pair}),
        pairs.map(lambda pair: {"anyOf": pair}),
        st.builds(
            lambda properties, patterns, others, is_required: {
                "type": "object",
                "properties": properties,
                "patternProperties": patterns,
                # Those who write have no other fields than they say.
                "additionalProperties": others,
                "required": [name for name in properties if is_required],
            },
            names,
            patterns,
            st.booleans() | parts,
            st.booleans(),
        ),
    )


SCHEMAS = st.recursive(SIMPLE, composed, max_leaves=5)
PLAIN_VALUES = st.sampled_from([0, 1, 2.5, "a", "aa", None])
VALUES = PLAIN_VALUES | st.dictionaries(
    st.sampled_from(["a", "ab", "b", "c"]), PLAIN_VALUES, max_size=3
)


class TestSoundness:
    @given(older=SCHEMAS, newer=SCHEMAS, values=st.lists(VALUES, max_size=20))
    def test_schemas(self, older, newer, values):
        """Unless a change is told of, what is valid by the newer is by the older."""
        if not breaking_changes(with_schema(older), with_schema(newer)):
            written, read = Draft7Validator(newer), Draft7Validator(older)
            for value in values:
                assert read.is_valid(value) or not written.is_valid(value)

    @given(schema=SCHEMAS)
    def test_same_schema(self, schema):
        """No schema breaks itself, however it is composed."""
        document = with_schema(schema)

        assert breaking_changes(document, json.loads(json.dumps(document))) == []

    @given(older=FIELDS, newer=FIELDS, data=st.data())
    def test_reading(self, older, newer, data):
        """Unless a change is told of, older programs read what newer ones send."""
        older_event, newer_event = (
            make_event(*((name, each[0]) for name, each in fields.items()))
            for fields in (older, newer)
        )
        found = breaking_changes(document_of(older_event), document_of(newer_event))
        values = {name: data.draw(each[1]) for name, each in newer.items()}
        registry = MessageRegistry()
        body = encode(registry.message(newer_event(**values), {}))

        if not found:
            payload = msgspec.json.decode(body)["payload"]
            msgspec.convert(payload, older_event, strict=True)

    @given(fields=FIELDS)
    def test_itself(self, fields):
        """No contract breaks itself."""
        document = document_of(
            make_event(*((name, each[0]) for name, each in fields.items()))
        )

        assert breaking_changes(document, document) == []

"""What things are called in a description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ForwardRef, Generic, Literal, Optional, TypeVar

import pytest
from msgspec import Meta

from diator import Command, Query, Request
from diator.description.describing import answer_type
from diator.description.naming import summary_of, type_text

T = TypeVar("T")


class Box(Generic[T]):
    """What is in it."""


class Bare:
    pass


class Answered(Query[T]):
    pass


class Named(Answered[int]):
    pass


class Listed(Answered[list[T]], Generic[T]):
    pass


class Plain(Request):
    pass


class TestTypeText:
    @pytest.mark.parametrize(
        "annotation, text",
        [
            (int, "int"),
            (None, "None"),
            (type(None), "None"),
            (Any, "Any"),
            ("Later", "Later"),
            (ForwardRef("Later"), "Later"),
            (Box[int], "Box[int]"),
            (dict[str, Box[Any]], "dict[str, Box[Any]]"),
            (tuple[int, ...], "tuple[int, ...]"),
            (int | None, "int | None"),
            (Optional[int], "int | None"),  # noqa: UP045  # as older code has it
            (Annotated[int, {"above": 0}], "int"),
            (Annotated[int, "a", Meta(gt=0), Meta(le=9)], "int (gt=0, le=9)"),
            (
                list[Annotated[str, Meta(min_length=1, pattern="a+")]],
                "list[str (min_length=1, pattern='a+')]",
            ),
            (Annotated[int, Meta(ge=0)] | None, "int (ge=0) | None"),
            (Literal["a", 1], "Literal['a', 1]"),
            (Callable[[int], str], "Callable[[int], str]"),
            (T, "T"),
        ],
    )
    def test_types(self, annotation, text):
        """A type is told as one would write it."""
        assert type_text(annotation) == text


class TestSummary:
    def test_docstring(self):
        """The first line of a docstring says what something is for."""
        assert (summary_of(Box), summary_of(Bare)) == ("What is in it.", "")


class TestAnswer:
    @pytest.mark.parametrize(
        "request_type, answer",
        [(Named, int), (Plain, Any), (Command, None), (Listed, list[T])],
    )
    def test_inherited(self, request_type, answer):
        """What a request is answered with may be said by a base of it."""
        assert answer_type(request_type) == answer

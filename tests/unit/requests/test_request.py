"""Requests of every kind of class."""

from __future__ import annotations

import dataclasses
from typing import Any

import attrs
import msgspec
import pydantic
import pytest

from diator import (
    Command,
    Mediator,
    Query,
    Request,
    RequestHandler,
    Response,
    StreamHandler,
    StreamRequest,
)


@dataclasses.dataclass
class Mutable(Request[str]):
    name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frozen(Command[str]):
    name: str


@dataclasses.dataclass(slots=True)
class Slotted(Query[str]):
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlotted(Request[str]):
    name: str


class Struct(msgspec.Struct, Request[str]):
    name: str


class FrozenStruct(Request[str], msgspec.Struct, frozen=True):
    name: str


class Model(pydantic.BaseModel, Request[str]):
    name: str


class FrozenModel(pydantic.BaseModel, Request[str], frozen=True):
    name: str


@attrs.define
class Attrs(Request[str]):
    name: str


@attrs.frozen(slots=False)
class FrozenAttrs(Request[str]):
    name: str


class Plain(Request[str]):
    def __init__(self, name: str) -> None:
        self.name = name


class Bare(Request):  # type: ignore[type-arg]  # as in the original README
    def __init__(self, name: str) -> None:
        self.name = name


KINDS: list[type[Any]] = [
    Mutable,
    Frozen,
    Slotted,
    FrozenSlotted,
    Struct,
    FrozenStruct,
    Model,
    FrozenModel,
    Attrs,
    FrozenAttrs,
    Plain,
    Bare,
]


class TestRequest:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_kinds(self, kind: type[Any]):
        """Whatever kind of class a request is, its handler gets it as it was sent."""
        got: list[Any] = []

        class Handler(RequestHandler[kind, str]):  # type: ignore[valid-type]  # a variable
            async def handle(self, request: Any) -> str:
                got.append(request)
                return f"hello {request.name}"

        mediator = Mediator()
        mediator.bind(kind, Handler)
        request = kind(name="you")

        assert await mediator.send(request) == "hello you"
        assert got[0] is request

    @pytest.mark.parametrize(
        "marker",
        [
            Request,
            Command,
            Query,
            StreamRequest,
            Response,
            RequestHandler,
            StreamHandler,
        ],
    )
    def test_markers_take_no_room(self, marker: type[Any]):
        """Markers and bases have no slots of their own: slotted classes stay so."""
        assert marker.__slots__ == ()
        assert not any(
            hasattr(base, "__dict__") and "__dict__" in vars(base)
            for base in marker.__mro__[:-1]
        )

    @pytest.mark.parametrize("kind", [Slotted, FrozenSlotted, Struct, Attrs])
    def test_slotted_requests_have_no_dict(self, kind: type[Any]):
        """A slotted class that is a request has no `__dict__`."""
        assert not hasattr(kind(name="x"), "__dict__")

    def test_markers_have_no_metaclass(self):
        """Markers are plain classes, and combine with any metaclass."""
        for marker in (Request, Command, Query, StreamRequest, Response):
            assert type(marker) is type

"""Events of every kind of class."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from diator import (
    DomainEvent,
    ECSTEvent,
    Event,
    EventHandler,
    Mediator,
    NotificationEvent,
)


@dataclasses.dataclass
class Mutable(Event):
    name: str


@dataclasses.dataclass(frozen=True)
class Frozen(DomainEvent):
    name: str


@dataclasses.dataclass(slots=True)
class Slotted(DomainEvent):
    name: str


class Struct(msgspec.Struct, DomainEvent):
    name: str


class Model(pydantic.BaseModel, DomainEvent):
    name: str


@attrs.define
class Attrs(DomainEvent):
    name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Notified(NotificationEvent):
    name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Carried(ECSTEvent):
    name: str


class TestEvent:
    @pytest.mark.parametrize(
        "kind", [Mutable, Frozen, Slotted, Struct, Model, Attrs, Notified, Carried]
    )
    async def test_kinds(self, kind: type[Any]):
        """Whatever kind of class an event is, its handlers get it as it was raised."""
        got: list[Any] = []

        class Handler(EventHandler[kind]):  # type: ignore[valid-type]  # a variable
            async def handle(self, event: Any) -> None:
                got.append(event)

        mediator = Mediator()
        mediator.bind(kind, Handler)
        event = kind(name="it")
        await mediator.event_emitter.emit(event)

        assert len(got) == 1
        assert got[0] is event

    @pytest.mark.parametrize("marker", [Event, DomainEvent, EventHandler])
    def test_markers_take_no_room(self, marker: type[Any]):
        """Markers have no slots of their own, so that slotted events stay so."""
        assert marker.__slots__ == ()
        assert not any("__dict__" in vars(base) for base in marker.__mro__[:-1])

    @pytest.mark.parametrize("kind", [Slotted, Struct, Attrs])
    def test_slotted_events_have_no_dict(self, kind: type[Any]):
        """A slotted class that is an event has no `__dict__`."""
        assert not hasattr(kind(name="x"), "__dict__")

    def test_markers_have_no_metaclass(self):
        """Markers are plain classes, and combine with any metaclass."""
        assert type(Event) is type
        assert type(DomainEvent) is type


@pytest.mark.parametrize("kind", [Notified, Carried])
class TestOutboundEvent:
    def test_id(self, kind: type[Any]):
        """Each event for other processes has a random id of its own."""
        first, second = kind(name="a"), kind(name="a")

        assert isinstance(first.event_id, UUID)
        assert first.event_id.version == 4
        assert first.event_id != second.event_id

    def test_timestamp(self, kind: type[Any]):
        """It says when it happened, in UTC, by a time that knows its zone."""
        before = datetime.now(UTC)
        event = kind(name="a")
        after = datetime.now(UTC)

        assert before <= event.event_timestamp <= after
        assert event.event_timestamp.utcoffset() == timedelta(0)

    def test_fields(self, kind: type[Any]):
        """Its own fields come first, and are given by keyword alone."""
        names = [field.name for field in dataclasses.fields(kind)]

        assert names == ["event_id", "event_timestamp", "name"]
        with pytest.raises(TypeError):
            kind("a")

    def test_frozen(self, kind: type[Any]):
        """It cannot be changed."""
        with pytest.raises(dataclasses.FrozenInstanceError):
            kind(name="a").name = "b"

    def test_given_id(self, kind: type[Any]):
        """An event that is restored keeps its id and its time."""
        event = kind(name="a")

        assert dataclasses.replace(event) == event

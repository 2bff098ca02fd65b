"""Messages that go between processes, as tests of the wire know them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import attrs
import msgspec
import pydantic

from diator import Command, ECSTEvent, NotificationEvent
from diator.messages.registry import MessageRegistry

EVENT_ID = UUID("9f62e977-73f7-462b-92cb-8ea658d3bcb5")
EVENT_TIMESTAMP = datetime(2026, 3, 7, 9, 26, 2, 588855, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    event_id: UUID = EVENT_ID
    event_timestamp: datetime = EVENT_TIMESTAMP
    meeting_id: int
    user_id: int


class Level(Enum):
    LOW = "low"


@dataclass(frozen=True)
class Item:
    name: str
    price: Decimal
    best_before: date | None = None


@dataclass(frozen=True, kw_only=True)
class StockChanged(ECSTEvent):
    event_id: UUID = EVENT_ID
    event_timestamp: datetime = EVENT_TIMESTAMP
    level: Level = Level.LOW
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class OpenRoom(Command):
    name: str
    seats: dict[str, int] = field(default_factory=dict)


@dataclass
class CountRooms(Command[int]):
    at_least: int = 0


class StructCommand(msgspec.Struct, Command):
    name: str


@attrs.frozen
class AttrsCommand(Command):
    name: str


class Seat(pydantic.BaseModel):
    number: int
    holder: UUID | None = None


class PydanticCommand(pydantic.BaseModel, Command):
    seats: list[Seat]
    since: datetime


@dataclass(frozen=True)
class MixedCommand(Command):
    seat: Seat


USER_JOINED = UserJoined(meeting_id=1, user_id=7)
STOCK_CHANGED = StockChanged(
    items=[Item("Käse", Decimal("3.90"), date(2026, 4, 1)), Item("tea", Decimal(2))]
)
OPEN_ROOM = OpenRoom(name="attic", seats={"window": 2})


def make_registry() -> MessageRegistry:
    registry = MessageRegistry()
    registry.add(
        UserJoined, name="user.joined.v1", key=lambda event: str(event.user_id)
    )
    registry.add(StockChanged)
    for command_type in (
        *(OpenRoom, CountRooms, StructCommand),
        *(AttrsCommand, PydanticCommand, MixedCommand),
    ):
        registry.add(command_type)
    return registry

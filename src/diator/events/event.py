"""What happened: events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4


class Event:
    """
    Something that happened, told to every handler bound to its type or a base of it.

    A mere marker without fields, like `Request`.
    """

    __slots__ = ()


class DomainEvent(Event):
    """An event for the handlers in this process."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class NotificationEvent(Event):
    """
    An event that other processes are told of through the message broker.

    Attributes:
        event_id: Identifies the event, also to those who receive it twice.
        event_timestamp: When it happened, in UTC.

    """

    event_id: UUID = field(default_factory=uuid4)
    event_timestamp: datetime = field(default_factory=partial(datetime.now, UTC))


@dataclass(frozen=True, kw_only=True)
class ECSTEvent(Event):
    """
    An event that carries state to other processes (event-carried state transfer).

    Attributes:
        event_id: Identifies the event, also to those who receive it twice.
        event_timestamp: When it happened, in UTC.

    """

    event_id: UUID = field(default_factory=uuid4)
    event_timestamp: datetime = field(default_factory=partial(datetime.now, UTC))


@dataclass(frozen=True, kw_only=True)
class CommandPosted(Event):
    """
    A command that was posted, to be handled by whoever consumes it.

    Attributes:
        command: The command.
        command_id: Identifies it, also to those who receive it twice.

    """

    command: Any
    command_id: UUID = field(default_factory=uuid4)

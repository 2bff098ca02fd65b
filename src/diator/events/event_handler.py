"""What handles an event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from diator.events.collector import raised_events

if TYPE_CHECKING:
    from diator.events.event import Event

E_contra = TypeVar("E_contra", contravariant=True)


class EventHandler(ABC, Generic[E_contra]):
    """
    Handles the events of one type, and of those derived from it.

    The container builds a new one for every event.

    Attributes:
        events: Append an event here to raise it; it is emitted after those that are
            waiting already.

    """

    __slots__ = ()

    # Read-only for type checkers, so that a read-only property may override it.
    if TYPE_CHECKING:

        @property
        def events(self) -> list[Event]:
            """Append an event here to raise it."""
            ...

    else:
        events = raised_events

    @abstractmethod
    async def handle(self, event: E_contra) -> None:
        """
        Handle an event.

        Args:
            event: The event; it is shared with all its other handlers.

        """

"""Handlers that keep their events in themselves, as those of diator 0.1 do."""

from __future__ import annotations

import inspect
from collections import UserList
from typing import TYPE_CHECKING, Any, Self

from diator.events.collector import collecting, raised_events
from diator.events.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def keeps_events(handler_type: type) -> bool:
    """Tell whether the `events` of a class are not those of diator."""
    return inspect.getattr_static(handler_type, "events", None) is not raised_events


async def handle_with_own_events(handler: Any, message: Any) -> Any:
    """
    Have a message handled, and raise what the handler then has among its events.

    A handler may live as long as the process, and handle messages concurrently. If its
    `events` is a list that it holds, that list is replaced by that of the attempt. If
    not, what it gives before is told from what it gives afterwards.
    """
    take_over_list(handler)
    # Kept here, for what is new is told by identity.
    before = list(_events_of(handler))
    known = {id(event) for event in before}
    try:
        response = await handler.handle(message)
        raised = [event for event in _events_of(handler) if id(event) not in known]
    finally:
        own: Any = getattr(handler, "events", None)
        if isinstance(own, list):
            # The next message that it handles must not raise them again.
            own[:] = before
    if raised:
        _raise(raised)
    return response


def take_over_list(handler: Any) -> None:
    """Replace the list that a handler keeps its events in by that of the attempt."""
    own: Any = getattr(handler, "events", None)
    events: Any = own
    if not isinstance(own, list):
        return
    for name, value in _attributes(handler):
        if value is events:
            # A handler that was built for this message may have raised some already.
            if events:
                _raise(events)
            # The class may be a frozen one.
            object.__setattr__(handler, name, _EventsOfAttempt())
            break


def _raise(events: Iterable[Event]) -> None:
    collecting().raised().extend(events)


def _events_of(handler: Any) -> Iterable[Event]:
    own: Any = getattr(handler, "events", None)
    return () if own is None or isinstance(own, _EventsOfAttempt) else own


def _attributes(handler: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(handler, "__dict__", {}).items())
    for ancestor in type(handler).__mro__:
        for name, member in vars(ancestor).items():
            if inspect.ismemberdescriptor(member) and hasattr(handler, name):
                yield name, getattr(handler, name)


class _EventsOfAttempt(UserList[Event]):
    """
    Stands in for a handler's own list, and is the list of whatever attempt runs.

    What is made of it, such as a slice, is a list like any other.
    """

    def __new__(cls, events: Iterable[Event] | None = None) -> Any:
        """Give a plain list where one is made of what this one has."""
        return super().__new__(cls) if events is None else list(events)

    def __init__(self, events: Iterable[Event] | None = None) -> None:
        """Leave `data` to the property."""

    @property
    def data(self) -> list[Event]:  # type: ignore[override]  # an attribute there
        return collecting().raised()

    def __copy__(self) -> list[Event]:  # type: ignore[override]  # see the class
        """Give a plain list."""
        return list(self.data)

    def __iadd__(self, events: Iterable[Event]) -> Self:
        """Raise further events."""
        self.data.extend(events)
        return self

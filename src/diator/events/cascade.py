"""Events that are raised by the handlers of events, and where that has to end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from diator.exceptions import CascadeError, EventError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diator.events.event import Event

Line = tuple[type, "Line | None"]
"""The type of an event, and the line of the event whose handler raised it."""

RECURRENCES = 10_000
"""
How many events may follow from others of their type, in all lines of one cascade.

A handler that raises several events of its type makes so many lines of them that each
may well be short; a folder whose deletion deletes its folders may have some thousands.
"""


class Cascade:
    """
    The lines of events in one emission.

    Args:
        limit: How often a type of event may occur in a line before an event of it.

    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # The events are kept by who emits them, so that no two have the same identity.
        self._lines: dict[int, Line] = {}
        self._recurrences: Counter[type] = Counter()

    def follow(
        self, cause: Event, raised: Iterable[Event], waiting: list[Event]
    ) -> tuple[EventError, ...]:
        """
        Let events wait for their turn, but for those that turn in a circle.

        Args:
            cause: The event whose handlers raised them.
            raised: These events.
            waiting: Is given those that are to be emitted.

        Returns:
            A `CascadeError` for each of the others.

        """
        line = (type(cause), self._lines.get(id(cause)))
        failures: list[EventError] = []
        for event in raised:
            cycle = self._cycle(event, line)
            if cycle:
                failures.append(CascadeError(event, cycle))
            else:
                self._lines[id(event)] = line
                waiting.append(event)
        return tuple(failures)

    def _cycle(self, event: Event, line: Line) -> list[type]:
        """Give the types since the last event of this type, if there were too many."""
        event_type = type(event)
        path = [event_type]
        cycle: list[type] = []
        occurrences = 0
        ancestor: Line | None = line
        while ancestor is not None:
            ancestor_type, ancestor = ancestor
            path.append(ancestor_type)
            if ancestor_type is event_type:
                cycle = cycle or path[::-1]
                occurrences += 1
        if not occurrences:
            return []
        self._recurrences[event_type] += 1
        endless = (
            occurrences >= self._limit or self._recurrences[event_type] > RECURRENCES
        )
        return cycle if endless else []

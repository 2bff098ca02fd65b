"""The map of events to their handlers."""

from __future__ import annotations

from typing import Any

import pytest

from diator import Event, EventHandler, EventMap
from diator.events.map import EventBinding
from diator.exceptions import BindingError, InUseError
from tests.unit.fakes import Do, Happened


class HappenedHandler(EventHandler[Happened]):
    async def handle(self, event: Happened) -> None: ...


class AnyHandler(EventHandler[Event]):
    async def handle(self, event: Event) -> None: ...


async def note(event: Event) -> None: ...


class TestEventMap:
    def test_bind(self):
        """Any number of handlers can be bound, and are given in their order."""
        event_map = EventMap()
        event_map.bind(Happened, HappenedHandler)
        event_map.bind(Event, AnyHandler, concurrent=True)
        event_map.handles(Happened)(note)

        bindings = event_map.get(Happened)

        assert bindings == [
            EventBinding(Happened, HappenedHandler, concurrent=False),
            EventBinding(Event, AnyHandler, concurrent=True),
            EventBinding(Happened, note, concurrent=False),
        ]
        assert list(event_map) == bindings

    def test_handles_leaves_function_alone(self):
        """A decorated function stays what it was, and can be concurrent."""
        event_map = EventMap()

        assert event_map.handles(Happened, concurrent=True)(note) is note
        assert event_map.get(Happened) == [
            EventBinding(Happened, note, concurrent=True)
        ]

    def test_unknown_type(self):
        """Asking for handlers of an unknown type gives none, and makes none."""
        event_map = EventMap()

        assert event_map.get(Happened) == []
        assert list(event_map) == []

    def test_other_types(self):
        """Handlers of a derived type are not for events of its base."""
        event_map = EventMap()
        event_map.bind(Happened, HappenedHandler)

        assert event_map.get(Event) == []

    def test_bound_twice(self):
        """Binding a handler to a type twice is a mistake."""
        event_map = EventMap()
        event_map.bind(Happened, HappenedHandler)

        with pytest.raises(BindingError, match="bound to Happened already"):
            event_map.bind(Happened, HappenedHandler)

    @pytest.mark.parametrize("thing", [Do, int, None, Happened("it")])
    def test_no_event(self, thing: Any):
        """Only types of event are bound."""
        with pytest.raises(BindingError, match=r"derives from diator\.Event"):
            EventMap().bind(thing, AnyHandler)

    def test_frozen(self):
        """A map in use is not changed any more."""
        event_map = EventMap()
        event_map.freeze()

        with pytest.raises(InUseError, match="Happened"):
            event_map.bind(Happened, HappenedHandler)

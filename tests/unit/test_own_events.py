"""Handlers that keep their events in themselves."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import pytest

from diator import Event, RequestHandler
from tests.unit.fakes import Do, Happened, Listening


class InConstructor(RequestHandler[Do, None]):
    """Raises its first event while it is built."""

    def __init__(self) -> None:
        self._events: list[Event] = [Happened("built")]

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: Do) -> None:
        self._events += [Happened("added")]
        assert copy.copy(self._events) == self._events[:] == self._events * 1


@dataclass(frozen=True)
class Frozen:
    """Cannot be changed, but for its list."""

    events: list[Event] = field(default_factory=list)

    async def handle(self, request: Do) -> None:
        self.events.append(Happened("built"))
        self.events.append(Happened("added"))


class Nothing:
    """Has no events at all."""

    async def handle(self, request: Do) -> None: ...


class TestOwnEvents:
    @pytest.mark.parametrize("handler", [InConstructor, Frozen])
    async def test_raised(self, handler: type):
        """Events are raised, whatever way they came into the list."""
        listening = Listening()
        listening.mediator.bind(Do, handler)

        await listening.mediator.send(Do())
        await listening.mediator.send(Do())

        assert listening.heard == ["built", "added"] * 2

    async def test_without(self):
        """A handler need not have any."""
        listening = Listening()
        listening.mediator.bind(Do, Nothing)

        await listening.mediator.send(Do())

        assert listening.heard == []

"""How handlers are built and called."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from diator import DomainEvent, Event, RequestHandler
from diator.exceptions import UnresolvableError
from tests.unit.fakes import Do, Happened, Listening


class Session:
    """A resource of a send."""


class Host:
    name = "localhost"


class OriginalInScope(RequestHandler[Do, str]):
    """Keeps its own events, and needs a resource of the send."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: Do) -> str:
        self._events.append(Happened("it"))
        return type(self.session).__name__


class Slotted:
    """Has nothing but what it handles with."""

    __slots__ = ("host",)

    def __init__(self, host: Host) -> None:
        self.host = host

    async def handle(self, request: Do) -> str:
        return self.host.name


class SlottedWithEvents:
    """Keeps its own events where they cannot be replaced."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[DomainEvent] = []

    async def handle(self, request: Do) -> str:
        self.events.append(Happened("it"))
        return "answer"


class TestInvocation:
    async def test_own_events_in_scope(self):
        """A handler of 0.1's kind may need what is scoped."""
        listening = Listening()

        async def session() -> AsyncGenerator[Session]:
            yield Session()

        listening.mediator.container.scoped(Session, session)
        listening.mediator.bind(Do, OriginalInScope)

        assert await listening.mediator.send(Do()) == "Session"
        assert listening.heard == ["it"]

    @pytest.mark.parametrize("handler", [Slotted, SlottedWithEvents])
    async def test_slots(self, handler: Any):
        """A handler may have slots, with events among them or not."""
        listening = Listening()
        listening.mediator.bind(Do, handler)

        answer = await listening.mediator.send(Do())

        assert answer == ("localhost" if handler is Slotted else "answer")
        assert listening.heard == ([] if handler is Slotted else ["it"])

    async def test_function_with_dependencies(self):
        """A function is given what its further parameters ask for."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do, host: Host, *, port: int = 80) -> str:
            return f"{host.name}:{port}"

        assert await listening.mediator.send(Do()) == "localhost:80"

    async def test_function_in_scope(self):
        """It may ask for what is scoped."""
        listening = Listening()

        async def session() -> AsyncGenerator[Session]:
            yield Session()

        listening.mediator.container.scoped(Session, session)

        @listening.mediator.handles(Do)
        async def handle(request: Do, session: Session) -> str:
            return type(session).__name__

        assert await listening.mediator.send(Do()) == "Session"

    async def test_parameter_without_annotation(self):
        """A parameter that does not say its type cannot be supplied."""
        listening = Listening()

        async def handle(request: Do, something) -> None: ...

        listening.mediator.handles(Do)(handle)

        with pytest.raises(
            UnresolvableError, match="'something': it has no annotation"
        ):
            await listening.mediator.send(Do())

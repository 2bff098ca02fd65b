"""Law 13: what is scoped is opened once per outermost send."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from diator import Mediator, Request, collect
from diator.container.scope import current_scope
from diator.middlewares.base import Handle
from tests.unit.fakes import Do, FailedError, Happened


class Session:
    """A resource of a send."""

    number: int


class Idle(Request[None]):
    """Needs no session."""


class Sessions:
    """A mediator whose sends have a session, and a log of what became of these."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.opened = 0
        self.mediator = Mediator()
        self.mediator.container.scoped(Session, self.session)

        @self.mediator.handles(Do)
        async def handle(request: Do, session: Session) -> int:
            self.log.append(f"{request.name} has {session.number}")
            if request.name == "outer":
                await self.mediator.send(Do("nested"))
                collect(Happened("a"))
                collect(Happened("b"))
            if request.name == "failing":
                raise FailedError
            return session.number

        @self.mediator.handles(Happened)
        async def hear(event: Happened, session: Session) -> None:
            self.log.append(f"event {event.name} has {session.number}")

    async def session(self) -> AsyncGenerator[Session]:
        self.opened += 1
        session = Session()
        session.number = self.opened
        self.log.append(f"open {session.number}")
        try:
            yield session
        except BaseException as error:
            self.log.append(f"close {session.number} on {type(error).__name__}")
            raise
        self.log.append(f"close {session.number}")


class TestLaw13Scope:
    async def test_shared(self):
        """Middleware, handler and nested sends share it; events get their own."""
        sessions = Sessions()

        async def look(request: Any, handle: Handle) -> Any:
            session = await current_scope().get(Session)
            sessions.log.append(f"middleware has {session.number}")
            return await handle(request)

        sessions.mediator.use(look)
        await sessions.mediator.send(Do("outer"))

        assert sessions.log == [
            "open 1",
            "middleware has 1",
            "outer has 1",
            "middleware has 1",
            "nested has 1",
            "close 1",
            "open 2",
            "event a has 2",
            "close 2",
            "open 3",
            "event b has 3",
            "close 3",
        ]

    async def test_told_of_failure(self):
        """It is told of the exception that the send fails with."""
        sessions = Sessions()
        with pytest.raises(FailedError):
            await sessions.mediator.send(Do("failing"))

        assert sessions.log == ["open 1", "failing has 1", "close 1 on FailedError"]

    async def test_not_opened(self):
        """Nothing is opened for a send in which nobody asks for it."""
        sessions = Sessions()

        @sessions.mediator.handles(Idle)
        async def handle(request: Idle) -> None: ...

        await sessions.mediator.send(Idle())

        assert sessions.log == []

    async def test_every_send(self):
        """Two sends after each other have two."""
        sessions = Sessions()

        assert await sessions.mediator.send(Do()) == 1
        assert await sessions.mediator.send(Do()) == 2

    async def test_independent(self):
        """A send of the independent view has its own, also inside another send."""
        sessions = Sessions()

        @sessions.mediator.handles(Idle)
        async def handle(request: Idle, session: Session) -> None:
            sessions.log.append(f"outer has {session.number}")
            await sessions.mediator.independent().send(Do("own"))

        await sessions.mediator.send(Idle())

        assert sessions.log == [
            "open 1",
            "outer has 1",
            "open 2",
            "own has 2",
            "close 2",
            "close 1",
        ]

    async def test_closing_fails(self):
        """What cannot be closed fails the send, which then emits nothing."""
        mediator = Mediator()
        heard: list[Happened] = []

        async def session() -> AsyncGenerator[Session]:
            yield Session()
            raise FailedError

        mediator.container.scoped(Session, session)

        @mediator.handles(Do)
        async def handle(request: Do, session: Session) -> None:
            collect(Happened("event"))

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            heard.append(event)

        with pytest.raises(FailedError):
            await mediator.send(Do())

        assert heard == []

"""Law 4: the handler is built innermost, anew for every attempt."""

from __future__ import annotations

from typing import Any

import pytest

from diator import EventHandler, Mediator, RequestHandler
from diator.middlewares.base import Handle
from tests.unit.fakes import Do, FailedError, Happened, Retrying


class Log(list[str]):
    """What happened, shared through the container."""


class LoggingHandler(RequestHandler[Do, None]):
    def __init__(self, log: Log) -> None:
        self.log = log
        self.calls = 0
        log.append("built")

    async def handle(self, request: Do) -> None:
        self.calls += 1
        self.log.append(f"call {self.calls}")
        if self.log.count("call 1") <= request.name.count("fail"):
            raise FailedError


class LoggingEventHandler(EventHandler[Happened]):
    def __init__(self, log: Log) -> None:
        self.log = log
        log.append(f"built {len(log)}")

    async def handle(self, event: Happened) -> None:
        self.log.append(event.name)


def logging_mediator(*middlewares: Any) -> tuple[Mediator, Log]:
    mediator = Mediator()
    mediator.container[Log] = log = Log()
    for middleware in middlewares:
        mediator.use(middleware)
    mediator.bind(Do, LoggingHandler)
    mediator.bind(Happened, LoggingEventHandler)
    return mediator, log


class TestLaw04BuiltInnermost:
    async def test_after_middlewares(self):
        """Nothing is built before the innermost middleware goes on."""
        mediator, log = logging_mediator()

        async def look(request: Any, handle: Handle) -> Any:
            log.append("middleware")
            return await handle(request)

        mediator.use(look)
        await mediator.send(Do())

        assert log == ["middleware", "built", "call 1"]

    async def test_refused(self):
        """A request that a middleware refuses builds nothing."""

        async def refuse(request: Any, handle: Handle) -> Any:
            raise PermissionError

        mediator, log = logging_mediator(refuse)
        with pytest.raises(PermissionError):
            await mediator.send(Do())

        assert log == []

    async def test_answered(self):
        """A request that a middleware answers builds nothing."""

        async def answer(request: Any, handle: Handle) -> str:
            return "cached"

        mediator, log = logging_mediator(answer)
        await mediator.send(Do())

        assert log == []

    async def test_retried(self):
        """Each attempt gets a fresh handler, which knows nothing of the one before."""
        mediator, log = logging_mediator(Retrying())
        await mediator.send(Do("fail"))

        assert log == ["built", "call 1"] * 2

    async def test_every_send(self):
        """Two sends get two handlers."""
        mediator, log = logging_mediator()
        await mediator.send(Do())
        await mediator.send(Do())

        assert log == ["built", "call 1"] * 2

    async def test_every_event(self):
        """Two events get two handlers."""
        mediator, log = logging_mediator()
        await mediator.event_emitter.emit(Happened("a"), Happened("b"))

        assert log == ["built 0", "a", "built 2", "b"]

    async def test_handler_that_cannot_be_built_fails_the_attempt(self):
        """What a constructor raises is a failure like any other, and can be retried."""
        mediator = Mediator()
        mediator.use(Retrying())
        built: list[int] = []

        class Fragile(RequestHandler[Do, str]):
            def __init__(self) -> None:
                built.append(1)
                if len(built) == 1:
                    raise FailedError

            async def handle(self, request: Do) -> str:
                return "answer"

        mediator.bind(Do, Fragile)

        assert await mediator.send(Do()) == "answer"

"""Law 1: middlewares run in the order in which they were added."""

from __future__ import annotations

from typing import Any

import pytest

from diator import Mediator, MiddlewareChain
from diator.middlewares.base import Handle, compose
from tests.unit.fakes import Do


class Around:
    """Writes down when it is entered and left."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    async def __call__(self, request: Any, handle: Handle) -> Any:
        self.log.append(f"{self.name} in")
        response = await handle(request)
        self.log.append(f"{self.name} out")
        return response


async def answer(request: Any) -> str:
    return f"answer to {request}"


class TestLaw01Order:
    async def test_first_is_outermost(self):
        """The middleware that was added first is entered first and left last."""
        log: list[str] = []
        mediator = Mediator()
        mediator.use(Around("first", log))
        mediator.use(Around("second", log))
        mediator.use(Around("third", log))

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            log.append("handler")

        await mediator.send(Do())

        assert log == [
            "first in",
            "second in",
            "third in",
            "handler",
            "third out",
            "second out",
            "first out",
        ]

    async def test_set_keeps_order(self):
        """A chain that is set as a whole runs in the order of its list."""
        log: list[str] = []
        chain = MiddlewareChain()
        chain.set([Around("first", log), Around("second", log)])

        await chain.wrap(answer)("request")

        assert log == ["first in", "second in", "second out", "first out"]

    def test_empty_chain_is_handler(self):
        """A chain without middlewares is the handler itself, and costs nothing."""
        assert compose([], answer) is answer
        assert MiddlewareChain().wrap(answer) is answer

    @pytest.mark.parametrize("inner", [0, 1, 2, 3])
    async def test_associative(self, inner: int):
        """A chain inside a chain is the same as one chain of all their middlewares."""
        log: list[str] = []
        middlewares = [Around(name, log) for name in ("a", "b", "c")]
        together = compose(middlewares, answer)
        nested = compose(middlewares[:inner], compose(middlewares[inner:], answer))

        answers = [await together("x")]
        log_together, log[:] = log.copy(), []
        answers.append(await nested("x"))

        assert answers == ["answer to x"] * 2
        assert log == log_together

    async def test_composing_leaves_input_alone(self):
        """Composing changes nothing: list and middlewares can be used again."""
        log: list[str] = []
        middlewares = [Around("a", log), Around("b", log)]
        kept = middlewares.copy()

        for _ in range(2):
            await compose(middlewares, answer)("x")

        assert middlewares == kept
        assert log == ["a in", "b in", "b out", "a out"] * 2

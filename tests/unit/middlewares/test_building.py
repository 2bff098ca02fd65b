"""How middlewares are built that were added as classes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from diator import Mediator
from diator.exceptions import UnresolvableError
from diator.middlewares.base import Handle
from tests.unit.fakes import Do


class Signing:
    """Answers with itself as well."""

    async def __call__(self, request: Any, handle: Handle) -> Any:
        return self, await handle(request)


class Unbuildable:
    def __init__(self, limit: float) -> None: ...

    async def __call__(self, request: Any, handle: Handle) -> Any: ...


async def answer(request: Do) -> str:
    return "answer"


class TestMiddlewareBuilder:
    async def test_built_once(self):
        """First sends at the same time share one instance."""
        mediator = Mediator()
        mediator.use(Signing)
        mediator.handles(Do)(answer)

        answers = await asyncio.gather(*(mediator.send(Do()) for _ in range(5)))

        assert len({id(middleware) for middleware, _ in answers}) == 1

    async def test_unbuildable(self):
        """A middleware that cannot be built fails the send, and names the parameter."""
        mediator = Mediator()
        mediator.use(Unbuildable)
        mediator.handles(Do)(answer)

        with pytest.raises(UnresolvableError, match="'limit'"):
            await mediator.send(Do())

    async def test_not_built_where_it_does_not_apply(self):
        """A middleware that is for other messages is not built."""
        mediator = Mediator()
        mediator.use(Unbuildable, only=int)
        mediator.handles(Do)(answer)

        assert await mediator.send(Do()) == "answer"

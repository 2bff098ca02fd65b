"""What the cases are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from diator import Handle, Mediator, Middleware, Request, RequestHandler


class Repo(dict[int, str]):
    """Stands in for a database."""


class Clock:
    """Tells the time, and as cheaply as can be."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now


repo = Repo()
clock = Clock()


@dataclass(frozen=True, kw_only=True)
class Echo(Request[int]):
    number: int


class EchoHandler(RequestHandler[Echo, int]):
    """Does next to nothing, so that what stands out is the way to it."""

    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    async def handle(self, request: Echo) -> int:
        return request.number


class PassOn:
    """The least that a middleware can do."""

    async def __call__(self, request: Any, handle: Handle) -> Any:
        return await handle(request)


def make_mediator(**options: Any) -> Mediator:
    mediator = Mediator(**options)
    mediator.container[Repo] = repo
    mediator.container[Clock] = clock
    return mediator


def wrap_by_hand(middlewares: Sequence[Middleware], innermost: Handle) -> Handle:
    inner = innermost
    for middleware in reversed(middlewares):
        inner = wrap_one_by_hand(middleware, inner)
    return inner


def wrap_one_by_hand(middleware: Middleware, inner: Handle) -> Handle:
    return lambda request: middleware(request, inner)

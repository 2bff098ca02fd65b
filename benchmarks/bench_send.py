"""A request on its way through middlewares to its handler."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from benchmarks.parts import (
    Echo,
    EchoHandler,
    PassOn,
    clock,
    make_mediator,
    repo,
    wrap_by_hand,
)
from diator import Handle, Middleware

pytestmark = pytest.mark.benchmark(timer=time.thread_time)

REQUEST = Echo(number=1)


async def send_by_hand(request: Echo) -> int:
    return await EchoHandler(repo, clock).handle(request)


def test_trivial(compare: Compare) -> None:
    mediator = make_mediator()
    mediator.bind(Echo, EchoHandler)

    compare(
        Case(
            name="trivial send",
            request=REQUEST,
            counted=[EchoHandler.__init__, EchoHandler.handle],
            target=2.0,
            reached=2.1,
        ),
        by_hand=send_by_hand,
        diator=mediator.send,
    )


@pytest.mark.parametrize("number, target", [(1, None), (4, 1.25), (8, 1.05)])
def test_middlewares(compare: Compare, number: int, target: float | None) -> None:
    middlewares = [PassOn() for _ in range(number)]
    mediator = make_mediator()
    mediator.bind(Echo, EchoHandler)
    for middleware in middlewares:
        mediator.use(middleware)

    compare(
        Case(
            name=f"{number} middleware{'s' if number > 1 else ''}",
            request=REQUEST,
            counted=[EchoHandler.__init__, EchoHandler.handle, PassOn.__call__],
            target=target,
        ),
        by_hand=wrap_by_hand(middlewares, send_by_hand),
        diator=mediator.send,
    )


class Retry:
    """May survive a failure, whose events then have to be dropped."""

    async def __call__(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except ConnectionError:
            return await handle(request)


def test_middleware_that_survives_failures(compare: Compare) -> None:
    middlewares: list[Middleware] = [PassOn(), Retry(), PassOn(), PassOn()]
    mediator = make_mediator()
    mediator.bind(Echo, EchoHandler)
    for middleware in middlewares:
        mediator.use(middleware)

    compare(
        Case(
            name="4 middlewares, one retries",
            request=REQUEST,
            counted=[EchoHandler.handle, PassOn.__call__, Retry.__call__],
        ),
        by_hand=wrap_by_hand(middlewares, send_by_hand),
        diator=mediator.send,
    )

"""What a send holds while it is on its way, and asks the allocator for."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest

from benchmarks.bench_send import REQUEST
from benchmarks.parts import Echo, PassOn, make_mediator

BLOCKS_OF_A_SEND = 5
"""Its coroutine, its collector, and the context variable's token, map and node."""

BYTES_OF_A_MIDDLEWARE = 216
"""What the coroutine of its function takes on Python 3.11; later ones need 8 less."""

SENDS = 5  # Of the first ones, the interpreter learns what code to adapt.


def blocks_held(number: int, runner: Any) -> int:
    """Count the blocks of memory that a send with so many middlewares holds."""
    return growth(number, runner, sys.getallocatedblocks)


def bytes_held(number: int, runner: Any) -> int:
    """Count the bytes that a send with so many middlewares holds."""
    tracemalloc.start()
    try:
        return growth(number, runner, lambda: tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()


def growth(number: int, runner: Any, measure: Callable[[], int]) -> int:
    """Tell how much more there is in a handler than before the send, at least."""
    mediator = make_mediator()
    for _ in range(number):
        mediator.use(PassOn())

    @mediator.handles(Echo)
    async def handle(_request: Echo) -> int:
        return measure()

    async def send() -> int:
        before = measure()
        return await mediator.send(REQUEST) - before

    async def call() -> int:
        before = measure()
        return await handle(REQUEST) - before

    # In a context of its own, a send has no predecessor whose memory it could take.
    sent = [runner.run(send(), context=Context()) for _ in range(SENDS)]
    called = [runner.run(call(), context=Context()) for _ in range(SENDS)]
    return min(sent) - min(called)


@pytest.mark.parametrize("number", [0, 1, 4, 8])
def test_blocks(runner: Any, number: int) -> None:
    assert blocks_held(number, runner) <= number + BLOCKS_OF_A_SEND


def test_bytes(runner: Any) -> None:
    few, many = (bytes_held(number, runner) for number in (4, 12))

    assert (many - few) / 8 <= BYTES_OF_A_MIDDLEWARE

"""A send that is logged, and one that could be."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import structlog
from structlog.contextvars import bind_contextvars, reset_contextvars

from benchmarks.bench_send import REQUEST, send_by_hand
from benchmarks.comparison import Case
from benchmarks.conftest import Compare
from benchmarks.parts import Echo, EchoHandler, make_mediator, wrap_by_hand
from diator import Handle
from diator.middlewares.logging import LoggingMiddleware

pytestmark = pytest.mark.benchmark(timer=time.thread_time)

VOLATILE = {"request_id", "correlation_id", "duration_ms"}


class Nowhere:
    """Takes lines, remembers the last one, and writes none."""

    def __init__(self) -> None:
        self.line = b""

    def write(self, line: bytes) -> None:
        self.line = line

    info = warning = write


@pytest.fixture
def nowhere() -> Iterator[Nowhere]:
    """Return where structlog writes, with processors that do little."""
    nowhere = Nowhere()
    encoder = msgspec.json.Encoder()

    def encode(event: Any, **_options: Any) -> bytes:
        return encoder.encode(event)

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.JSONRenderer(encode),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: nowhere,
        cache_logger_on_first_use=True,
    )
    yield nowhere
    structlog.reset_defaults()


def test_logging_on(compare: Compare, nowhere: Nowhere, runner: Any) -> None:
    log = structlog.get_logger()

    async def log_by_hand(request: Echo, handle: Handle) -> Any:
        request_id = str(uuid4())
        tokens = bind_contextvars(request_id=request_id, correlation_id=request_id)
        started = time.perf_counter()
        try:
            answer = await handle(request)
            log.info(
                "request answered",
                message_name=type(request).__name__,
                kind="request",
                outcome="answered",
                duration_ms=round((time.perf_counter() - started) * 1_000, 3),
            )
            return answer
        finally:
            reset_contextvars(**tokens)

    mediator = make_mediator()
    mediator.bind(Echo, EchoHandler)
    mediator.use(LoggingMiddleware())
    by_hand = wrap_by_hand([log_by_hand], send_by_hand)

    runner.run(by_hand(REQUEST))
    expected = msgspec.json.decode(nowhere.line)
    runner.run(mediator.send(REQUEST))
    logged = msgspec.json.decode(nowhere.line)
    assert logged.keys() == expected.keys()
    assert all(logged[key] == expected[key] for key in logged.keys() - VOLATILE)

    compare(
        Case(
            name="logging on",
            request=REQUEST,
            counted=[EchoHandler.handle, Nowhere.write],
            sends=100,
        ),
        by_hand=by_hand,
        diator=mediator.send,
    )


def test_logging_off(compare: Compare, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="diator")
    mediator = make_mediator()
    mediator.bind(Echo, EchoHandler)
    mediator.use(LoggingMiddleware())

    compare(
        Case(
            name="logging off, none by hand",
            request=REQUEST,
            counted=[EchoHandler.handle],
        ),
        by_hand=send_by_hand,
        diator=mediator.send,
    )

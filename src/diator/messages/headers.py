"""What travels with a message beside its body: ids to correlate by, a trace."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

CORRELATION_ID = "correlation_id"
CAUSATION_ID = "causation_id"
TRACEPARENT = "traceparent"
"""As in W3C Trace Context."""

_headers: ContextVar[dict[str, str] | None] = ContextVar("diator_headers", default=None)


def outgoing_headers() -> dict[str, str]:
    """Give the headers of the messages that are published from here."""
    return _headers.get() or {}


@contextmanager
def sending_headers(headers: Mapping[str, str]) -> Generator[None]:
    """
    Add headers to all messages that are published inside.

    Args:
        headers: They take the place of those of the same names outside.

    """
    token = _headers.set({**outgoing_headers(), **headers})
    try:
        yield
    finally:
        _headers.reset(token)

"""What travels with a message beside its body: ids to correlate by, a trace."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from diator.messages.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

CORRELATION_ID = "correlation_id"
CAUSATION_ID = "causation_id"
TRACEPARENT = "traceparent"
"""As in W3C Trace Context, https://www.w3.org/TR/trace-context."""
TRACESTATE = "tracestate"
"""Likewise: what vendors of tracing systems tell each other."""

_headers: ContextVar[dict[str, str] | None] = ContextVar("diator_headers", default=None)


def outgoing_headers() -> dict[str, str]:
    """Give the headers of the messages that are published from here."""
    return _headers.get() or {}


def sending_headers(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """
    Add headers to all messages that are published inside.

    Args:
        headers: They take the place of those of the same names outside.

    """
    return Setting(_headers, {**outgoing_headers(), **headers})

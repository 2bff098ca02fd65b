"""Which span a message belongs to, here and in other processes."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()

# The spans that raised the events which are waiting, by the identity of the events. One
# that goes away takes its entry along.
_origins: dict[int, tuple[SpanContext, weakref.ref[Any]]] = {}


def remember(event: Any, span: SpanContext) -> None:
    """
    Remember which span raised an event, unless one inside it is known already.

    Events without weak references (slotted dataclasses of a slotted base, Structs
    without `weakref=True`) cannot be known again.
    """
    key = id(event)
    known = origin_of(event)
    # In another trace it was raised once more.
    if known is not None and known.trace_id == span.trace_id:
        return
    try:
        reference = weakref.ref(event, lambda _: _origins.pop(key, None))
    except TypeError:
        return
    _origins[key] = span, reference


def origin_of(event: Any) -> SpanContext | None:
    """Give the span that raised an event, None if that is not known."""
    known = _origins.get(id(event))
    return None if known is None else known[0]


def context_of(span: SpanContext) -> Context:
    """Give the context in which spans begin that a span is the parent of."""
    return trace.set_span_in_context(trace.NonRecordingSpan(span), Context())


def headers_of(span: SpanContext) -> dict[str, str]:
    """Give the headers that tell others of a span: `traceparent` and `tracestate`."""
    headers: dict[str, str] = {}
    _propagator.inject(headers, context_of(span))
    return headers


def span_in(headers: Mapping[str, str]) -> SpanContext | None:
    """Give the span that headers tell of, None if they tell of none."""
    found = _propagator.extract(headers, Context())
    span = trace.get_current_span(found).get_span_context()
    return span if span.is_valid else None

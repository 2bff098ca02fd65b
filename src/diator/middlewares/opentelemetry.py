"""Trace and measure messages by OpenTelemetry."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from diator.events.collector import current
from diator.events.event import CommandPosted, Event
from diator.messages.headers import outgoing_headers, sending_headers
from diator.messages.received import received_message
from diator.messages.trace_context import (
    context_of,
    headers_of,
    origin_of,
    remember,
    span_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from diator.messages.received import Received
    from diator.middlewares.base import Handle

# Those that the semantic conventions advise for durations of requests and of messages.
BOUNDARIES = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25),
    *(0.5, 0.75, 1, 2.5, 5, 7.5, 10),
)


class OpenTelemetryMiddleware:
    """
    Make a span of each message, in either pipeline, and measure how long it takes.

    Around requests the span is `send <type>`, around events `handle <type>`, and around
    what came from a message broker `process <type>`, of the kind CONSUMER. The span of
    an event is a child of the one that raised it, though that has ended by then. The
    span of a received message is a child of the one in its headers, so that one trace
    goes through all processes, and has a link to it, by which the conventions tell
    where a message came from.

    Messages that are published, or written to an outbox, tell others of the span that
    raised them: those of an outbox if this is around the `OutboxMiddleware`, others if
    the broker is a `TracedBroker`.

    The histogram `diator.message.duration`, in seconds, has the attributes
    `diator.message.name`, `diator.message.kind` (`request` or `event`),
    `diator.outcome` (`answered`, `failed` or `cancelled`) and, where it failed,
    `error.type`. Spans have the same, and of what was received
    `messaging.message.id`, `messaging.consumer.group.name` and `diator.attempt`.

    Where the application has configured neither traces nor metrics, messages pass it
    by.

    Args:
        system: What kind of broker messages are received from, as `messaging.system` of
            their spans, such as `redis`; not told if left out.
        tracer_provider: Makes the spans; the global one if left out.
        meter_provider: Makes the histogram; the global one if left out.

    """

    def __init__(
        self,
        *,
        system: str | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._system = {} if system is None else {"messaging.system": system}
        self._is_busy = tracer_provider is not None or meter_provider is not None
        self._global_tracer_provider = _what_is_set(
            trace.get_tracer_provider, "_TRACER_PROVIDER"
        )
        self._global_meter_provider = _what_is_set(
            metrics.get_meter_provider, "_METER_PROVIDER"
        )
        # These ask the environment, too, which may name providers, once and for all.
        self._tracer = trace.get_tracer("diator", tracer_provider=tracer_provider)
        meter = metrics.get_meter("diator", meter_provider=meter_provider)
        self._duration = meter.create_histogram(
            "diator.message.duration",
            unit="s",
            description="How long it takes to handle a message.",
            explicit_bucket_boundaries_advisory=BOUNDARIES,
        )

    def is_idle(self) -> bool:
        """Tell whether nothing was configured that would take spans or durations."""
        # A global provider that was set stays for good.
        if self._is_busy:
            return False
        traces, metering = self._global_tracer_provider(), self._global_meter_provider()
        if traces is None and metering is None:
            return True
        self._is_busy = not (_is_of_the_api(traces) and _is_of_the_api(metering))
        return not self._is_busy

    async def __call__(self, message: Any, handle: Handle) -> Any:
        """Have the rest of the chain in a span; its failures pass as they are."""
        kind = "event" if isinstance(message, Event) else "request"
        name = type(message).__name__
        attributes = {"diator.message.name": name, "diator.message.kind": kind}
        started = perf_counter()
        outcome: dict[str, str] = {"diator.outcome": "answered"}
        with self._span(message, attributes) as span:
            try:
                with sending_headers(headers_of(span.get_span_context())):
                    answer = await handle(message)
            except BaseException as error:
                outcome = _outcome(error)
                if outcome["diator.outcome"] == "failed":
                    span.record_exception(error)
                    span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            else:
                _remember_events(span)
                return answer
            finally:
                span.set_attributes(outcome)
                self._duration.record(
                    perf_counter() - started, {**attributes, **outcome}
                )

    def _span(self, message: Any, attributes: dict[str, str]) -> Any:
        name = attributes["diator.message.name"]
        doing = "handle" if attributes["diator.message.kind"] == "event" else "send"
        received = received_message()
        if received is not None and received.message is message:
            return self._span_of_received(name, received, attributes)
        origin = origin_of(message)
        return self._tracer.start_as_current_span(
            f"{doing} {name}",
            # What is around an emission is the caller of the outermost send.
            context=None if origin is None else context_of(origin),
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )

    def _span_of_received(
        self, name: str, received: Received, attributes: dict[str, str]
    ) -> Any:
        sender = span_in(outgoing_headers())
        context: Context | None = None if sender is None else context_of(sender)
        return self._tracer.start_as_current_span(
            f"process {name}",
            context=context,
            kind=SpanKind.CONSUMER,
            links=[] if sender is None else [Link(sender)],
            attributes={
                **attributes,
                **self._system,
                "messaging.operation.type": "process",
                "messaging.message.id": received.message_id,
                "messaging.consumer.group.name": received.group,
                "diator.attempt": received.attempt,
            },
            record_exception=False,
            set_status_on_exception=False,
        )


def _remember_events(span: Span) -> None:
    collector = current.get()
    for event in (collector and collector.events) or ():
        remember(event, span.get_span_context())
        if isinstance(event, CommandPosted):
            # It is what will be published.
            remember(event.command, span.get_span_context())


def _outcome(error: BaseException) -> dict[str, str]:
    if isinstance(error, asyncio.CancelledError):
        return {"diator.outcome": "cancelled"}
    return {"diator.outcome": "failed", "error.type": type(error).__qualname__}


def _what_is_set(get: Callable[[], Any], name: str) -> Callable[[], Any]:
    """Have a global provider told quickly, as None while it is not set."""
    # While nothing is set the API's functions ask the environment each time, and take
    # longer than several sends. Where the API keeps it is not public: should that be
    # elsewhere one day, they are asked.
    kept: dict[str, Any] = getattr(get, "__globals__", {})
    return (lambda: kept[name]) if name in kept else get


def _is_of_the_api(provider: Any) -> bool:
    """Tell those that the API itself has, and which do nothing, or none."""
    module = type(provider).__module__
    return provider is None or module.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )

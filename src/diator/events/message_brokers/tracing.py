"""Trace what is published, by OpenTelemetry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from diator.events.message_brokers.protocol import Message, MessageBroker, checked
from diator.messages.trace_context import context_of, headers_of, origin_of, span_in

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext, TracerProvider


class TracedBroker:
    """
    Publish messages through another broker, and make a span of it.

    It stands in the place of the broker that it is given wherever something is
    published: in an `EventEmitter`, or in a relay. Each message then tells others of
    the span that raised it, as the `OpenTelemetryMiddleware` has remembered it, unless
    it has come from an outbox and tells of one already.

    The span is `publish <topic>`, of the kind PRODUCER. It is a child of the span that
    raised the messages, or has links to them if there are several.

    Args:
        broker: Takes the messages.
        system: What kind of broker it is, as `messaging.system`, such as `redis`.
        tracer_provider: Makes the spans; the global one if left out.

    """

    def __init__(
        self,
        broker: MessageBroker,
        *,
        system: str,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        self._broker = broker
        self._system = system
        self._tracer = trace.get_tracer("diator", tracer_provider=tracer_provider)

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        """Publish messages as the broker does, whose outcomes these are."""
        spans = [_span_of(message) for message in messages]
        origins = {
            (span.trace_id, span.span_id): span for span in spans if span is not None
        }
        topics = {message.topic for message in messages}
        with self._tracer.start_as_current_span(
            f"publish {topics.pop()}" if len(topics) == 1 else "publish",
            context=context_of(*origins.values()) if len(origins) == 1 else None,
            kind=SpanKind.PRODUCER,
            links=[Link(origin) for origin in origins.values()],
            attributes={
                "messaging.system": self._system,
                "messaging.operation.type": "send",
                "messaging.operation.name": "publish",
                "messaging.batch.message_count": len(messages),
            },
        ) as publishing:
            own = publishing.get_span_context()
            outcomes = await self._broker.publish(
                [
                    _telling_of(own if span is None else span, message)
                    for span, message in zip(spans, messages, strict=True)
                ]
            )
            failures = [each for each in outcomes if each is not None]
            if failures:
                publishing.set_attribute("error.type", type(failures[0]).__qualname__)
                publishing.set_status(
                    Status(StatusCode.ERROR, f"{len(failures)} were not taken")
                )
            return outcomes

    async def check(self) -> None:
        """
        Find out whether the broker answers, as it does itself.

        Raises:
            ConfigurationError: The broker has no way to be asked.
            Exception: It does not answer.

        """
        await checked(self._broker)


def _span_of(message: Message) -> SpanContext | None:
    # What has lain in an outbox tells of its span itself.
    return origin_of(message.payload) or span_in(message.headers)


def _telling_of(span: SpanContext, message: Message) -> Message:
    headers = {**message.headers, **headers_of(span)}
    return msgspec.structs.replace(message, headers=headers)

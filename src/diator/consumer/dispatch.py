"""Take a received message to the mediator, and tell whether it was handled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars

from diator.events.event import Event
from diator.exceptions import EventsError
from diator.logger import get_logger
from diator.messages.headers import (
    CAUSATION_ID,
    CORRELATION_ID,
    TRACEPARENT,
    TRACESTATE,
    sending_headers,
)
from diator.messages.received import Received, handling

if TYPE_CHECKING:
    from diator.events.message_brokers.subscription import Delivery
    from diator.mediator import Mediator
    from diator.messages.decoding import MessageDecoder


class Dispatch:
    """
    Has messages handled by a mediator: events are received, commands are sent.

    Args:
        mediator: The mediator.
        decoder: Makes events and commands of what was received.
        group: The consumer group that this is for.

    """

    def __init__(self, mediator: Mediator, decoder: MessageDecoder, group: str) -> None:
        self._mediator = mediator
        self._decoder = decoder
        self._group = group

    async def handle(self, delivery: Delivery, attempt: int) -> None:
        """
        Decode a message, and have it handled.

        It is to be called in a task of its own, because it leaves ids for logs in the
        context.

        Args:
            delivery: The message. It is decoded anew for each attempt, which may have
                changed what was made of it.
            attempt: Which attempt this is, counted from 1.

        Raises:
            UnknownMessageError: As the decoder does.
            DecodingError: As the decoder does.
            Exception: It was not handled, whatever the reason. If only events failed
                that its handlers raised, that is logged and not raised: to handle the
                message again would not be right.

        """
        incoming = self._decoder.decode(delivery)
        message, message_id = incoming.message, incoming.message_id
        headers = {
            CORRELATION_ID: incoming.headers.get(CORRELATION_ID) or message_id,
            CAUSATION_ID: message_id,
        }
        for name in (TRACEPARENT, TRACESTATE):
            if incoming.headers.get(name):
                headers[name] = incoming.headers[name]
        # The names that the `LoggingMiddleware` goes on from.
        bind_contextvars(correlation_id=headers[CORRELATION_ID], request_id=message_id)
        received = Received(
            message=message, message_id=message_id, group=self._group, attempt=attempt
        )
        with handling(received), sending_headers(headers):
            if isinstance(message, Event):
                await self._receive(message)
            else:
                await self._send(message)

    async def _receive(self, event: Event) -> None:
        try:
            await self._mediator.receive(event)
        except EventsError as error:
            if any(failure.event == event for failure in error.exceptions):  # type: ignore[union-attr]  # ours have no groups
                raise
            _log(error)

    async def _send(self, command: Any) -> None:
        try:
            await self._mediator.send(command)
        except EventsError as error:
            # Not what a handler let through of another send, nor what was rolled back.
            if error.request is not command:
                raise
            _log(error)


def _log(error: EventsError) -> None:
    get_logger().error("events of a received message failed", exc_info=error)

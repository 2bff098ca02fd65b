"""Hold the events that a request raises, or hand them on within its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diator.events.collector import Attempt

if TYPE_CHECKING:
    from diator.events.event_emitter import EventEmitter
    from diator.middlewares.base import Handle


class EventCollectionMiddleware:
    """
    Collect the events that are raised inside it.

    They count only if the rest of the chain succeeds, and leave when the outermost
    send has. Given an emitter, domain events are handled right here instead: inside
    a `TransactionMiddleware` their handlers share the transaction, and a handler that
    fails rolls it back. Events for the message broker leave with the send in any case.

    Args:
        emitter: Hands domain events to their handlers before the transaction ends.

    """

    def __init__(self, emitter: EventEmitter | None = None) -> None:
        self._emitter = emitter

    @property
    def emits_within(self) -> bool:
        """Whether domain events are handled here."""
        return self._emitter is not None

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Collect the events of the rest of the chain.

        Raises:
            EventsError: A domain event could not be handled here.

        """
        with Attempt() as attempt:
            response = await handle(request)
            if self._emitter is not None:
                await self._emitter.emit_within(attempt, response)
        return response

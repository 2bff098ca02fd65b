"""Write what leaves for other processes into the transaction that it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from diator.container.scope import current_scope
from diator.events.collector import collecting, enclosing
from diator.events.sinks import message_type
from diator.middlewares.roles import Injected
from diator.outbox.session import session_in_transaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from diator.container.scope import Scope
    from diator.events.collector import Collector
    from diator.middlewares.base import Handle
    from diator.outbox.outbox import Outbox


class OutboxMiddleware:
    """
    Put the events for other processes that are raised inside it into an outbox.

    They are written through the `AsyncSession` of the send, in its transaction, which
    they are rolled back with or committed, and go to the message broker by way of a
    relay alone. Neither are they given to handlers in this process: those are called
    where the events are consumed. Domain events pass on.

    Its place is right inside the `TransactionMiddleware`, outside of an
    `EventCollectionMiddleware`: what is raised outside of it, by handlers of domain
    events in the transaction, say, leaves without the outbox. In both pipelines, use
    the same instance: sends that are nested in others leave the writing to them.

    Args:
        outbox: Where the events are written.

    """

    needs_transaction = (object,)
    takes_outbound = True

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._running: dict[Collector, Scope] = {}

    def injected(self, _message_type: type) -> Iterable[Injected]:
        """Ask for the session of the send."""
        return [Injected(AsyncSession)]

    async def __call__(self, message: Any, handle: Handle) -> Any:
        """
        Write the outbound events of the rest of the chain.

        Raises:
            ConfigurationError: No transaction is running.
            EncodingError: An event has no form in JSON.

        """
        collector = collecting()
        scope = current_scope()
        if self._is_running(collector, scope):
            return await handle(message)
        session = await session_in_transaction(scope, self)
        before = len(collector.events or ())
        self._running[collector] = scope
        try:
            response = await handle(message)
        finally:
            del self._running[collector]
        if collector.events:
            raised = collector.events[before:]
            outbound = [
                event for event in raised if message_type(type(event)) is not None
            ]
            if outbound:
                await self._outbox.add(session, *outbound)
                collector.events[before:] = [
                    event for event in raised if message_type(type(event)) is None
                ]
        return response

    def _is_running(self, collector: Collector | None, scope: Scope) -> bool:
        """Tell whether a send around this one, in the same transaction, will write."""
        while collector is not None:
            if self._running.get(collector) is scope:
                return True
            collector = enclosing(collector.outer, collector.owner)
        return False

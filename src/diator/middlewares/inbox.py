"""Handle what comes from other processes once, however often it is delivered."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from diator.container.scope import current_scope
from diator.events.event import ECSTEvent, Event, NotificationEvent
from diator.exceptions import ConfigurationError
from diator.messages.received import received_message
from diator.middlewares.roles import Injected
from diator.outbox.session import session_in_transaction
from diator.outbox.tables import Tables, insert_of
from diator.requests.request import Command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from diator.messages.received import Received
    from diator.middlewares.base import Handle

RETENTION = timedelta(days=7)
"""
For how long the ids of handled messages are kept.

It has to be longer than a message can be on its way: than what waits in a broker while
its consumers are down over a weekend, or is replayed by somebody who looks into it.
"""

FORGETTING_EVERY = 1_000
"""After how many messages those are forgotten that were handled long ago."""

FORGOTTEN_AT_ONCE = 2 * FORGETTING_EVERY
"""
How many are forgotten at a time, at most.

More than come in between, so that what has gathered gets less; and not so many that the
message whose transaction it is would wait for long.
"""


class InboxMiddleware:
    """
    Pass over a message of another process that was handled already.

    Its id is written through the `AsyncSession` of the send, in the transaction of what
    is done about it, so that either both last or none. Who gets the same message at the
    same time waits for that transaction to end.

    Its place is inside the `TransactionMiddleware`, around events, and around requests
    where commands are received. What does not come from elsewhere passes. Middlewares
    outside of it may pass on a copy of an event, which has its id, but none of a
    command, which has no id.

    The ids of messages that the same consumer group has handled long ago are deleted,
    some at a time, in the transactions of others.

    Args:
        tables: Where the ids are kept; tables with the usual names if left out.
        retention: For how long they are kept. What is delivered again after that is
            handled again, and so is a dead letter that is replayed.

    Raises:
        ConfigurationError: `retention` is not above 0.

    """

    needs_transaction = (Command, NotificationEvent, ECSTEvent)
    takes_inbound = True

    def __init__(
        self, tables: Tables | None = None, *, retention: timedelta = RETENTION
    ) -> None:
        if retention <= timedelta(0):
            msg = f"retention must be above 0, not {retention}"
            raise ConfigurationError(msg)
        self._tables = Tables() if tables is None else tables
        self._retention = retention
        self._handled: defaultdict[str, Iterator[int]] = defaultdict(count)
        # What was written by transactions that are running still.
        self._written: WeakKeyDictionary[Any, set[tuple[str, str]]] = (
            WeakKeyDictionary()
        )
        # What has come here, so that others of its type are others.
        self._seen: WeakSet[Received] = WeakSet()

    def injected(self, message_type: type) -> Iterable[Injected]:
        """Ask for the session of what may come from elsewhere."""
        if issubclass(message_type, self.needs_transaction):
            yield Injected(AsyncSession)

    async def __call__(self, message: Any, handle: Handle) -> Any:
        """
        Pass on a message that was not handled yet, and answer None for others.

        Raises:
            ConfigurationError: No transaction is running, or a middleware outside of it
                has passed on another command.

        """
        received = received_message()
        if received is None or not self._is_received(message, received):
            return await handle(message)
        session = await session_in_transaction(current_scope(), self)
        if await self._is_handled(session, received):
            return None
        return await handle(message)

    async def purge(
        self, engine: AsyncEngine, *, older_than: timedelta | None = None
    ) -> int:
        """
        Forget all messages at once that were handled long ago, by any group.

        Args:
            engine: The database.
            older_than: How long ago; `retention`, if left out.

        Returns:
            How many there were.

        """
        inbox = self._tables.inbox
        retention = self._retention if older_than is None else older_than
        old = inbox.c.handled_at < datetime.now(UTC) - retention
        async with engine.begin() as connection:
            deleted = await connection.execute(delete(inbox).where(old))
        return deleted.rowcount

    def _is_received(self, message: Any, received: Received) -> bool:
        original = received.message
        if message is original:
            self._seen.add(received)
            return True
        if type(message) is not type(original):
            return False
        event_id = getattr(message, "event_id", None)
        if event_id is not None:
            return bool(event_id == original.event_id)
        # What is sent while the original is handled comes after it.
        if isinstance(message, Event) or received in self._seen:
            return False
        msg = (
            f"InboxMiddleware got another {type(message).__name__} than was received, "
            "and cannot tell whether it was handled: put middlewares that pass on or "
            "send another one inside it"
        )
        raise ConfigurationError(msg)

    async def _is_handled(self, session: AsyncSession, received: Received) -> bool:
        inbox = self._tables.inbox
        insert = insert_of(session.get_bind(clause=inbox).dialect.name)
        row = {
            "consumer": received.group,
            "message_id": received.message_id,
            "handled_at": datetime.now(UTC),
        }
        # A conflict that raised would abort the transaction. What was inserted is asked
        # for, because not all drivers count it.
        statement = insert(inbox).on_conflict_do_nothing()
        inserted = await session.scalar(statement.returning(inbox.c.message_id), row)
        # What a savepoint wrote is gone when it is rolled back.
        # Those of the session itself: of the proxies around them nobody need hold any.
        inner = session.sync_session
        transaction = inner.get_nested_transaction() or inner.get_transaction()
        written = self._written.setdefault(transaction, set())
        key = (received.group, received.message_id)
        if inserted is not None:
            written.add(key)
            if next(self._handled[received.group]) % FORGETTING_EVERY == 0:
                await self._forget(session, received.group)
            return False
        # A failure that was retried within the transaction has left its id there.
        return key not in written

    async def _forget(self, session: AsyncSession, group: str) -> None:
        inbox = self._tables.inbox
        key = (inbox.c.consumer, inbox.c.message_id)
        # Two that forget at the same time must not wait for each other.
        old = (
            select(*key)
            .where(
                inbox.c.consumer == group,
                inbox.c.handled_at < datetime.now(UTC) - self._retention,
            )
            .limit(FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)
            .cte("old")
        )
        forgetting = delete(inbox).where(tuple_(*key).in_(select(old)))
        await session.execute(
            forgetting, execution_options={"synchronize_session": False}
        )

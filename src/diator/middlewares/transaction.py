"""Have all that a request changes committed together, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from diator.container.scope import current_scope, own_scope
from diator.events.collector import Attempt
from diator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from diator.middlewares.base import Handle

    Begin = Callable[..., AbstractAsyncContextManager[Any]]


class TransactionMiddleware:
    """
    Run the rest of the chain in a transaction.

    It is committed when the rest of the chain succeeds, and rolled back on any
    exception, cancellation included. The events raised inside leave only if the commit
    succeeds.

    Args:
        begin: Begins a transaction: returns an async context manager that commits when
            left well and rolls back when left with an exception. Its parameters are
            injected by their types, from the scope of the send:
            `def begin(session: AsyncSession): return session.begin()`.
        nested: What a send does that is nested in one whose transaction is running:
            join it, take a savepoint in it, or begin a new one in a scope of its own.
        savepoint: Begins a savepoint, as `begin` does a transaction; for
            `nested="savepoint"`.

    Raises:
        ConfigurationError: `nested` and `savepoint` do not go together.

    """

    def __init__(
        self,
        begin: Begin,
        *,
        nested: Literal["join", "savepoint", "new"] = "join",
        savepoint: Begin | None = None,
    ) -> None:
        if nested not in ("join", "savepoint", "new"):
            msg = f"nested must be 'join', 'savepoint' or 'new', not {nested!r}"
            raise ConfigurationError(msg)
        if (nested == "savepoint") is (savepoint is None):
            msg = (
                "nested='savepoint' and savepoint= go together: for SQLAlchemy, "
                "a function that returns session.begin_nested()"
            )
            raise ConfigurationError(msg)
        self._begin = begin
        self._nested = nested
        self._savepoint = savepoint

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """Run the rest of the chain in a transaction."""
        if self not in current_scope().transactions:
            return await self._transact(self._begin, request, handle)
        if self._savepoint is not None:
            return await self._enter(self._savepoint, request, handle)
        if self._nested == "join":
            return await handle(request)
        async with own_scope():
            return await self._transact(self._begin, request, handle)

    async def _transact(self, begin: Begin, request: Any, handle: Handle) -> Any:
        running = current_scope().transactions
        running.add(self)
        try:
            return await self._enter(begin, request, handle)
        finally:
            running.discard(self)

    async def _enter(self, begin: Begin, request: Any, handle: Handle) -> Any:
        with Attempt():
            async with await current_scope().call(begin):
                return await handle(request)

"""Have all that a request changes committed together, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from diator.container.injection import as_opener
from diator.container.scope import current_scope, leave, own_scope
from diator.events.collector import Attempt, collecting, enclosing
from diator.exceptions import ConfigurationError
from diator.handler import is_async, qualified_name
from diator.middlewares.roles import Injected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from diator.events.collector import Collector
    from diator.middlewares.base import Handle

    Begin = Callable[..., AbstractAsyncContextManager[Any]]


class TransactionMiddleware:
    """
    Run the rest of the chain in a transaction.

    It is committed when the rest of the chain succeeds, and rolled back on any
    exception, cancellation included. The events raised inside leave only if the commit
    succeeds. In both pipelines, use the same instance: it knows what is running.

    Args:
        begin: Begins a transaction: returns an async context manager that commits when
            left well and rolls back when left with an exception, such as
            `session.begin()`; or an async generator function that yields between the
            two. Its parameters are injected by their types, from the scope of the
            send: `def begin(session: AsyncSession): ...`.
        nested: What a send does that is nested in one whose transaction is running:
            join it, take a savepoint in it, or begin a new one in a scope of its own.
        savepoint: Begins a savepoint, as `begin` does a transaction; for
            `nested="savepoint"`.

    Raises:
        ConfigurationError: `begin` is async or no function, or `nested` and
            `savepoint` do not go together.

    """

    begins_transaction = True

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
        self._begin = _opener(begin)
        self._nested = nested
        self._savepoint = None if savepoint is None else _opener(savepoint)
        self._running: set[Collector] = set()

    def injected(self, _message_type: type) -> Iterable[Injected]:
        """Ask for the parameters of what begins transactions."""
        openers = (self._begin, self._savepoint)
        return [Injected(opener) for opener in openers if opener is not None]

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """Run the rest of the chain in a transaction."""
        if not self._is_running():
            return await self._transact(self._begin, request, handle)
        if self._savepoint is not None:
            return await self._transact(self._savepoint, request, handle)
        if self._nested == "join":
            return await handle(request)
        async with own_scope():
            return await self._transact(self._begin, request, handle)

    def _is_running(self) -> bool:
        """Tell whether a send around this one has a transaction, not one beside it."""
        collector: Collector | None = collecting()
        while collector is not None:
            if collector in self._running:
                return True
            collector = enclosing(collector.outer, collector.owner)
        return False

    async def _transact(self, begin: Begin, request: Any, handle: Handle) -> Any:
        with Attempt() as attempt:
            scope = current_scope()
            transaction = await scope.call(begin)
            await transaction.__aenter__()
            self._running.add(attempt)
            scope.transactions += 1
            try:
                response = await handle(request)
            except BaseException as error:
                await leave([transaction], error)
                raise
            finally:
                self._running.discard(attempt)
                scope.transactions -= 1
            await leave([transaction], None)
        return response


def _opener(begin: Any) -> Begin:
    if not callable(begin) or is_async(begin):
        msg = (
            f"{qualified_name(begin)} cannot begin a transaction: pass a function that "
            "returns an async context manager, or an async generator function"
        )
        raise ConfigurationError(msg)
    return as_opener(begin)

"""The session whose transaction is running in a send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from diator.exceptions import ConfigurationError

if TYPE_CHECKING:
    from diator.container.scope import Scope


async def session_in_transaction(scope: Scope, needed_by: Any) -> AsyncSession:
    """
    Give the session of a scope, whose transaction others have begun and will end.

    Args:
        scope: Where the session belongs.
        needed_by: Who writes into it.

    Raises:
        ConfigurationError: No transaction was begun.
        UnresolvableError: The container has no `AsyncSession`.

    """
    session = await scope.get(AsyncSession)
    if not session.in_transaction():
        msg = (
            f"no transaction is running around the {type(needed_by).__name__}: put it "
            "inside a TransactionMiddleware that begins with session.begin()"
        )
        raise ConfigurationError(msg)
    return session

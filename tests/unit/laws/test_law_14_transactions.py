"""Law 14: a transaction commits on success and rolls back on any exception."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from diator import collect
from diator.middlewares.transaction import TransactionMiddleware
from tests.unit.fakes import (
    Do,
    FailedError,
    Happened,
    Listening,
    cancelled_after,
    pause,
)


class Transacting(Listening):
    """A mediator with a transaction around each request, in one log."""

    def __init__(self) -> None:
        super().__init__()
        self.mediator.use(TransactionMiddleware(self.begin))

        @self.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "outer":
                await self.mediator.send(Do("nested"))
            if request.name == "failing":
                raise FailedError
            await pause(3)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[None]:
        self.heard.append("begin")
        try:
            yield
        except BaseException as error:
            self.heard.append(f"rollback on {type(error).__name__}")
            raise
        self.heard.append("commit")


class TestLaw14Transactions:
    async def test_success(self):
        """A request that succeeds is committed, and then its events leave."""
        transacting = Transacting()
        await transacting.mediator.send(Do("it"))

        assert transacting.heard == ["begin", "commit", "it"]

    async def test_failure(self):
        """A request that fails is rolled back, and the failure passes."""
        transacting = Transacting()
        with pytest.raises(FailedError):
            await transacting.mediator.send(Do("failing"))

        assert transacting.heard == ["begin", "rollback on FailedError"]

    async def test_cancellation(self):
        """A request that is cancelled is rolled back as well."""
        transacting = Transacting()
        task = await cancelled_after(2, transacting.mediator.send(Do("it")))

        assert task.cancelled()
        assert transacting.heard == ["begin", "rollback on CancelledError"]

    async def test_nested(self):
        """By default a nested send joins the transaction that is running."""
        transacting = Transacting()
        await transacting.mediator.send(Do("outer"))

        assert transacting.heard == ["begin", "commit", "outer", "nested"]

    async def test_concurrent(self):
        """Sends beside each other have a transaction each."""
        transacting = Transacting()
        await asyncio.gather(*(transacting.mediator.send(Do("it")) for _ in range(3)))

        assert sorted(transacting.heard) == ["begin"] * 3 + ["commit"] * 3 + ["it"] * 3

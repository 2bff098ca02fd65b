"""Law 15: where event collection stands decides when domain events are handled."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from diator import Mediator, collect
from diator.exceptions import EventsError
from diator.middlewares.base import Handle
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from tests.unit.fakes import Announced, Do, FailedError, FakeBroker, Happened


class Shop:
    """
    A mediator with the chain of the card, and a log of what happened.

    Args:
        within: Whether domain events are handled inside the transaction.
        failing: The name of an event at which its handler fails.

    """

    def __init__(self, *, within: bool, failing: str = "") -> None:
        self.log: list[str] = []
        self.broker = FakeBroker()
        self.mediator = mediator = Mediator(message_broker=self.broker)
        mediator.use(self.logging)
        mediator.use(self.validation)
        mediator.use(TransactionMiddleware(self.begin))
        mediator.use(
            EventCollectionMiddleware(mediator.event_emitter)
            if within
            else EventCollectionMiddleware()
        )

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            self.log.append(f"handle {request.name}")
            collect(Happened(request.name))
            collect(Announced(name=f"{request.name} announced"))
            if request.name == "outer":
                await mediator.send(Do("nested"))
            return "answer"

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            self.log.append(f"event {event.name}")
            if event.name == failing:
                raise FailedError
            if event.name == "cause":
                collect(Happened("effect"))
                collect(Announced(name="effect announced"))

    async def logging(self, request: Any, handle: Handle) -> Any:
        self.log.append("logging")
        return await handle(request)

    async def validation(self, request: Any, handle: Handle) -> Any:
        self.log.append("validation")
        return await handle(request)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[None]:
        self.log.append("begin")
        try:
            yield
        except BaseException:
            self.log.append("rollback")
            raise
        self.log.append("commit")


class TestLaw15PlaceDecides:
    async def test_order_of_the_card(self):
        """Logging, validation, transaction, event collection, handler; then events."""
        shop = Shop(within=False)
        await shop.mediator.send(Do("it"))

        assert shop.log == [
            "logging",
            "validation",
            "begin",
            "handle it",
            "commit",
            "event it",
        ]
        assert shop.broker.names == ["it announced"]

    async def test_within(self):
        """Given an emitter, domain events are handled inside the transaction."""
        shop = Shop(within=True)
        await shop.mediator.send(Do("it"))

        assert shop.log == [
            "logging",
            "validation",
            "begin",
            "handle it",
            "event it",
            "commit",
        ]
        assert shop.broker.names == ["it announced"]

    async def test_failing_event_rolls_back(self):
        """A domain event that fails inside the transaction rolls it back."""
        shop = Shop(within=True, failing="it")
        with pytest.raises(EventsError):
            await shop.mediator.send(Do("it"))

        assert shop.log[2:] == ["begin", "handle it", "event it", "rollback"]
        assert shop.broker.names == []

    async def test_failing_event_after_commit(self):
        """A domain event that fails after the commit leaves it as it is."""
        shop = Shop(within=False, failing="it")
        with pytest.raises(EventsError):
            await shop.mediator.send(Do("it"))

        assert shop.log[2:] == ["begin", "handle it", "commit", "event it"]
        assert shop.broker.names == ["it announced"]

    async def test_cascade_within(self):
        """What handlers raise inside the transaction is handled inside it as well."""
        shop = Shop(within=True)
        await shop.mediator.send(Do("cause"))

        assert shop.log[2:] == [
            "begin",
            "handle cause",
            "event cause",
            "event effect",
            "commit",
        ]
        assert shop.broker.names == ["cause announced", "effect announced"]

    async def test_failing_cascade_within(self):
        """A failure further down the cascade rolls back, too."""
        shop = Shop(within=True, failing="effect")
        with pytest.raises(EventsError):
            await shop.mediator.send(Do("cause"))

        assert shop.log[-1] == "rollback"
        assert shop.broker.names == []

    async def test_nested_within(self):
        """The events of a nested send are handled in the transaction that it joins."""
        shop = Shop(within=True)
        await shop.mediator.send(Do("outer"))

        assert [line for line in shop.log if line not in ("logging", "validation")] == [
            "begin",
            "handle outer",
            "handle nested",
            "event nested",
            "event outer",
            "commit",
        ]
        assert shop.broker.names == ["outer announced", "nested announced"]

    async def test_handlers_of_announced_events_within(self):
        """An event for the broker leaves after the commit, for its handlers, too."""
        shop = Shop(within=True)

        @shop.mediator.handles(Announced)
        async def hear(event: Announced) -> None:
            shop.log.append(event.name)

        await shop.mediator.send(Do("it"))

        assert shop.log[-3:] == ["event it", "commit", "it announced"]

    async def test_handlers_within_share_the_transaction(self):
        """A send in the handler of an event inside the transaction joins it."""
        shop = Shop(within=True)

        @shop.mediator.handles(Happened)
        async def react(event: Happened) -> None:
            if event.name == "it":
                await shop.mediator.send(Do("reaction"))

        await shop.mediator.send(Do("it"))

        assert shop.log.count("begin") == 1
        assert shop.log[-2:] == ["event reaction", "commit"]
        assert shop.broker.names == ["it announced", "reaction announced"]

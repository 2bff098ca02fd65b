"""What an emitter and a transaction refuse, and what a broker may answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from diator import EventEmitter, Mediator, NotificationEvent, collect
from diator.events.message_brokers.protocol import Message
from diator.exceptions import ConfigurationError, EventsError
from diator.middlewares.transaction import TransactionMiddleware
from tests.unit.fakes import Announced, Do


class Curt:
    """Says nothing about the messages it is given."""

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        return []


class TestSettings:
    @pytest.mark.parametrize("setting", [{"failures": "ignore"}, {"cascade_limit": 0}])
    def test_refused(self, setting: dict[str, Any]):
        """A setting that cannot work is refused at once."""
        with pytest.raises(ConfigurationError, match=next(iter(setting))):
            EventEmitter(**setting)

    @pytest.mark.parametrize("begin", ["begin", Curt().publish])
    def test_begin(self, begin: Any):
        """A transaction is begun by a function that gives its context."""
        with pytest.raises(ConfigurationError, match="cannot begin a transaction"):
            TransactionMiddleware(begin)


class WithoutId(NotificationEvent):
    """Leaves out what a dataclass would have set."""

    def __init__(self) -> None: ...


class TestBroker:
    async def test_event_without_id(self):
        """An event that was built without an id costs nobody the answer."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(WithoutId())
            return "answer"

        try:
            answer = await mediator.send(Do())
        except EventsError as error:
            answer = error.response
        assert answer == "answer"

    async def test_told_in_repr(self):
        """The error shows what failed, also where only its repr is seen."""
        mediator = Mediator(message_broker=Curt())

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Announced(name="it"))

        with pytest.raises(EventsError) as caught:
            await mediator.send(Do())
        assert "EventPublishingError" in repr(caught.value)

    async def test_wrong_number_of_results(self):
        """A broker that does not tell of each message has taken none."""
        mediator = Mediator(message_broker=Curt())

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Announced(name="it"))
            return "answer"

        with pytest.raises(EventsError, match="not all") as caught:
            await mediator.send(Do())
        assert caught.value.response == "answer"

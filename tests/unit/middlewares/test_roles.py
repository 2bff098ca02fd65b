"""What middlewares tell of themselves."""

from __future__ import annotations

from diator import Command
from diator.events.event_emitter import EventEmitter
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.logging import LoggingMiddleware
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.roles import Injected, is_known, role
from diator.middlewares.transaction import TransactionMiddleware


class Silent:
    async def __call__(self, message, handle):
        return await handle(message)


class Wrapper(Silent):
    def __init__(self, wrapped):
        self.__wrapped__ = wrapped


class Proxy(Silent):
    def __getattr__(self, name):
        return True


def begin():
    pass


TRANSACTION = TransactionMiddleware(begin)


class TestRole:
    def test_attribute(self):
        """A class says as much as an instance by its attributes."""
        assert role(TRANSACTION, "begins_transaction") is True
        assert role(TransactionMiddleware, "begins_transaction") is True
        assert role(InboxMiddleware, "needs_transaction")[0] is Command
        assert role(OutboxMiddleware, "takes_outbound") is True
        assert role(InboxMiddleware, "takes_inbound") is True

    def test_property_and_method(self):
        """What depends on the instance, a class does not say."""
        collection = EventCollectionMiddleware(EventEmitter())

        assert role(collection, "emits_within") is True
        assert role(EventCollectionMiddleware(), "emits_within") is False
        assert role(EventCollectionMiddleware, "emits_within") is None
        assert role(TransactionMiddleware, "injected") is None

    def test_injected(self):
        """An instance says what it asks the container for."""
        nested = TransactionMiddleware(begin, nested="savepoint", savepoint=begin)

        assert role(TRANSACTION, "injected")(Command) == [Injected(begin)]
        assert role(nested, "injected")(Command) == [Injected(begin)] * 2

    def test_wrapped(self):
        """What is wrapped speaks for what wraps it."""
        assert role(Wrapper(Wrapper(TRANSACTION)), "begins_transaction") is True
        assert role(Wrapper(Silent()), "begins_transaction") is None

    def test_proxy(self):
        """What has every attribute that it is asked for says nothing."""
        assert role(Proxy(), "begins_transaction") is None


class TestIsKnown:
    def test_known(self):
        """Diator's own are known, and those that say anything of themselves."""
        assert is_known(LoggingMiddleware())
        assert is_known(Wrapper(LoggingMiddleware()))
        assert is_known(TransactionMiddleware)
        assert not is_known(Silent())
        assert not is_known(Proxy())

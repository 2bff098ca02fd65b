"""Looking for what would fail later."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import lagom
import pytest

from diator import EventEmitter, Mediator
from diator.exceptions import (
    ConfigurationError,
    HandlerNotFoundError,
    UnresolvableError,
    WiringError,
)
from tests.unit.fakes import FakeBroker

MESSAGES = """
from diator import *

class Bought(Command): ...
class Watched(StreamRequest[int]): ...
class Packed(DomainEvent): ...
class Shipped(NotificationEvent): ...

async def buy(request: Bought) -> None: ...
async def pack(event: Packed) -> None: ...
async def watch(request: Watched):
    yield 1
"""

# A module that only uses what another declares.
USERS = """
from diator import *
from messages_of_tests import Bought, Shipped, Watched

class Paid(Command): ...

async def pay(request: Paid) -> None: ...
"""


class Port(ABC):
    """A dependency that somebody has to register."""

    @abstractmethod
    def number(self) -> int: ...


class HttpPort(Port):
    def number(self) -> int:
        return 80


class NeedsPort:
    def __init__(self, port: Port) -> None: ...

    async def __call__(self, message: Any, handle: Any) -> Any: ...


@pytest.fixture
def messages() -> Iterator[Any]:
    yield from declared("messages_of_tests", MESSAGES)


@pytest.fixture
def users(messages: Any) -> Iterator[Any]:
    yield from declared("users_of_tests", USERS)


def declared(name: str, source: str) -> Iterator[ModuleType]:
    """Declare a module for as long as a test runs."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(source, module.__dict__)
    yield module
    del sys.modules[name]


def found(mediator: Mediator) -> list[tuple[type, str]]:
    with pytest.raises(WiringError) as caught:
        mediator.check()
    return [
        (type(error), str(error).split(" ")[0]) for error in caught.value.exceptions
    ]


class TestCheck:
    def test_nothing_bound(self):
        """A mediator without any handler is complete, for nothing says otherwise."""
        Mediator().check()

    def test_complete(self, messages: Any):
        """Where all is bound nothing is found."""
        mediator = Mediator(message_broker=FakeBroker())
        mediator.handles(messages.Bought)(messages.buy)
        mediator.handles(messages.Watched)(messages.watch)

        mediator.check()

    def test_missing_handlers(self, messages: Any):
        """Requests and streams beside a bound one need handlers, too."""
        mediator = Mediator(message_broker=FakeBroker())
        mediator.handles(messages.Bought)(messages.buy)

        assert found(mediator) == [(HandlerNotFoundError, "Watched")]

    def test_requests_beside_events(self, messages: Any):
        """Who only listens to events of a module does not handle its requests."""
        mediator = Mediator(message_broker=FakeBroker())
        mediator.handles(messages.Packed)(messages.pack)

        mediator.check()

    def test_imported_requests(self, users: Any):
        """What a module merely imports may be another mediator's."""
        mediator = Mediator(event_emitter=EventEmitter())
        mediator.handles(users.Paid)(users.pay)

        mediator.check()

    def test_base_classes(self, users: Any):
        """A class that others derive from is not taken for a request of its own."""
        exec("class Base(Command): ...\nclass Bought2(Base): ...", users.__dict__)
        mediator = Mediator()
        mediator.handles(users.Paid)(users.pay)

        assert found(mediator) == [(HandlerNotFoundError, "Bought2")]

    def test_missing_broker(self, messages: Any):
        """Events for other processes need a broker."""
        mediator = Mediator(event_emitter=EventEmitter())
        mediator.handles(messages.Bought)(messages.buy)
        mediator.handles(messages.Watched)(messages.watch)

        assert found(mediator) == [(ConfigurationError, "Shipped")]

    def test_module_that_is_gone(self, messages: Any):
        """Messages of a module that nobody finds any more are left alone."""
        mediator = Mediator(event_emitter=EventEmitter())
        mediator.handles(messages.Bought)(messages.buy)
        del sys.modules[messages.__name__]
        try:
            mediator.check()
        finally:
            sys.modules[messages.__name__] = messages

    def test_containers(self, messages: Any):
        """Each pipeline is checked against the container that builds for it."""
        knowing = lagom.Container()
        knowing[Port] = HttpPort()

        ignorant = EventEmitter(container=lagom.Container())
        for_requests = Mediator(event_emitter=ignorant, container=knowing)
        for_requests.use(NeedsPort)
        for_requests.event_emitter.use(NeedsPort)
        assert [error for error, _ in found(for_requests)] == [UnresolvableError]

        for_both = Mediator(event_emitter=EventEmitter(container=knowing))
        for_both.use(NeedsPort)
        for_both.event_emitter.use(NeedsPort)
        for_both.check()

    def test_check_leaves_everything_open(self, messages: Any):
        """Handlers can be bound after a check."""
        mediator = Mediator(message_broker=FakeBroker())
        mediator.handles(messages.Bought)(messages.buy)
        assert found(mediator)

        mediator.handles(messages.Watched)(messages.watch)
        mediator.check()

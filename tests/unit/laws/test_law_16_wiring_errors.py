"""Law 16: wiring errors come early, and name the type and the remedy."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from diator import (
    Command,
    DomainEvent,
    EventEmitter,
    EventHandler,
    Mediator,
    RequestHandler,
    StreamRequest,
)
from diator.exceptions import (
    BindingError,
    ConfigurationError,
    DiatorError,
    EventHandlingError,
    EventsError,
    HandlerNotFoundError,
    NotAMessageError,
    UnresolvableError,
    WiringError,
)
from tests.unit.fakes import Do, FakeBroker, Happened


class Other(Command):
    pass


@dataclass(frozen=True)
class Items(StreamRequest[int]):
    pass


class OtherHandler(RequestHandler[Other, None]):
    async def handle(self, request: Other) -> None: ...


class DoHandler(RequestHandler[Do, str]):
    async def handle(self, request: Do) -> str:
        return "answer"


class HappenedHandler(EventHandler[Happened]):
    async def handle(self, event: Happened) -> None: ...


class NotAsync(RequestHandler[Do, str]):
    def handle(self, request: Do) -> str:  # type: ignore[override]  # on purpose
        return "answer"


class Abstract(RequestHandler[Do, str]):
    pass


class Host(ABC):
    """A dependency that somebody has to register."""

    @abstractmethod
    def name(self) -> str: ...


class LocalHost(Host):
    def name(self) -> str:
        return "localhost"


class Unbuildable(RequestHandler[Do, str]):
    def __init__(self, host: Host) -> None:
        self.host = host

    async def handle(self, request: Do) -> str:
        return self.host.name()


class UnbuildableEventHandler(EventHandler[Happened]):
    def __init__(self, port: int) -> None: ...

    async def handle(self, event: Happened) -> None: ...


class UnbuildableMiddleware:
    def __init__(self, limit: float) -> None: ...

    async def __call__(self, request: Any, handle: Any) -> Any: ...


def not_async(request: Do) -> str:
    return "answer"


async def generator(request: Do) -> Any:
    yield "answer"


async def of_other(request: Other) -> None: ...


async def two_messages(request: Do, /, *, other: Do) -> None: ...


async def nothing() -> None: ...


SHOP = """
from dataclasses import dataclass
from diator import *

class Bought(Command): ...
class Base(Command): ...
class Forgotten(Base): ...
class Sold(Query[int]): ...
class Watched(StreamRequest[int]): ...
class Handled(Command): ...
class Packed(DomainEvent): ...
@dataclass(frozen=True, kw_only=True)
class Shipped(NotificationEvent): ...
@dataclass(frozen=True, kw_only=True)
class Stock(ECSTEvent): ...

class BoughtHandler(RequestHandler[Bought, None]):
    def __init__(self, host: str) -> None: ...
    async def handle(self, request: Bought) -> None: ...

async def handle_handled(request: Handled, port: int) -> None: ...

class PackedHandler(EventHandler[Packed]):
    def __init__(self, size: float) -> None: ...
    async def handle(self, event: Packed) -> None: ...
"""


@pytest.fixture
def shop() -> Iterator[Any]:
    """Give a module with messages and handlers."""
    module = ModuleType("shop_of_tests")
    sys.modules[module.__name__] = module
    exec(SHOP, module.__dict__)
    yield module
    del sys.modules[module.__name__]


class TestLaw16WiringErrors:
    def test_second_handler(self):
        """A request has one handler; a second one is refused, naming the first."""
        mediator = Mediator()
        mediator.bind(Do, DoHandler)

        with pytest.raises(BindingError, match="Do is handled by DoHandler already"):
            mediator.bind(Do, DoHandler)

    @pytest.mark.parametrize(
        "handler, reason",
        [
            (OtherHandler, "OtherHandler cannot handle Do: it is written for Other"),
            (of_other, "of_other cannot handle Do: it is written for Other"),
            (NotAsync, "it has to be `async def`"),
            (not_async, "it has to be `async def`"),
            (generator, "must not `yield`"),
            (Abstract, "it is abstract, for it lacks handle"),
            (two_messages, None),
            (nothing, "it is called with the message alone"),
            (object, "bind a class that derives from RequestHandler"),
            (None, "bind a class that derives from RequestHandler"),
            (DoHandler.handle, None),
        ],
    )
    def test_unfit_handler(self, handler: Any, reason: str | None):
        """What cannot handle a request is refused by `bind`, which says why."""
        mediator = Mediator()
        if reason is None:
            # Its further parameters may be injected, for all that one can tell.
            mediator.bind(Do, handler)
        else:
            with pytest.raises(BindingError, match=reason):
                mediator.bind(Do, handler)
            assert Do not in mediator.request_map

    @pytest.mark.parametrize("thing", [None, int, Do(), "Do", StreamRequest[int]])
    def test_no_message(self, thing: Any):
        """What is no type of message cannot be bound."""
        with pytest.raises(BindingError, match="is not a type of request"):
            Mediator().bind(thing, DoHandler)

    @pytest.mark.parametrize(
        "handler, reason",
        [
            (HappenedHandler, "it is written for Happened"),
            (not_async, "it has to be `async def`"),
            (object, "bind a class that derives from EventHandler"),
        ],
    )
    def test_unfit_event_handler(self, handler: Any, reason: str):
        """What cannot handle an event is refused by `bind` as well."""
        with pytest.raises(BindingError, match=reason):
            Mediator().bind(DomainEvent, handler)

    async def test_unregistered(self):
        """A request without a handler is refused by the send, which says the remedy."""
        with pytest.raises(HandlerNotFoundError, match=r"mediator\.bind\(Do, \.\.\.\)"):
            await Mediator().send(Do())

    @pytest.mark.parametrize(
        "thing, remedy",
        [
            (None, "send an instance of a class that derives from diator.Request"),
            (Do, r"send Do\(...\)"),
            (Happened(""), "is not a request"),
            (Items(), r"mediator\.stream"),
            (object(), "is not a request"),
        ],
    )
    async def test_no_request(self, thing: Any, remedy: str):
        """What is no request is refused by the send, which says what to send."""
        with pytest.raises(NotAMessageError, match=remedy):
            await Mediator().send(thing)

    async def test_unbuildable(self):
        """At the latest the first send names the parameter and the remedy."""
        mediator = Mediator()
        mediator.bind(Do, Unbuildable)

        with pytest.raises(
            UnresolvableError,
            match=r"Unbuildable .* 'host': .* container\[Host\] = ...",
        ):
            await mediator.send(Do())

    async def test_unbuildable_function(self):
        """The same holds for the parameters of a function."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do, host: Host) -> None: ...

        with pytest.raises(
            UnresolvableError, match=r"handle cannot be called: .*'host'"
        ):
            await mediator.send(Do())

    def test_parameters_for_type_checkers_alone(self):
        """A parameter whose type is not there is told of by `check()`."""

        async def handle(request: Do, session: OnlyForTypeCheckers) -> None: ...  # noqa: F821  # it is the point

        mediator = Mediator()
        mediator.handles(Do)(handle)

        with pytest.raises(WiringError) as caught:
            mediator.check()

        [error] = caught.value.exceptions
        assert "OnlyForTypeCheckers" in str(error)

    async def test_unbuildable_can_be_mended(self):
        """A dependency that was missing at one send can be there at the next."""
        mediator = Mediator()
        mediator.bind(Do, Unbuildable)
        with pytest.raises(UnresolvableError):
            await mediator.send(Do())

        mediator.container[Host] = LocalHost()

        assert await mediator.send(Do()) == "localhost"

    async def test_unbuildable_event_handler(self):
        """A handler of events that cannot be built is named by the failure."""
        mediator = Mediator()
        mediator.bind(Happened, UnbuildableEventHandler)

        with pytest.raises(EventsError) as caught:
            await mediator.event_emitter.emit(Happened(""))

        [failure] = caught.value.exceptions
        assert isinstance(failure, EventHandlingError)
        assert failure.handler is UnbuildableEventHandler
        assert "'port'" in str(failure.__cause__)

    @pytest.mark.parametrize("entering", [False, True])
    async def test_all_at_once(self, shop: Any, entering: bool):
        """`check()`, and entering the mediator, tell all that is wrong together."""
        mediator = Mediator(event_emitter=EventEmitter())
        mediator.use(UnbuildableMiddleware)
        mediator.bind(shop.Bought, shop.BoughtHandler)
        mediator.bind(shop.Handled, shop.handle_handled)
        mediator.bind(shop.Packed, shop.PackedHandler)

        async def enter() -> None:
            async with mediator:
                pytest.fail("it was entered")

        with pytest.raises(WiringError) as caught:
            await enter() if entering else mediator.check()

        told = [f"{type(error).__name__}: {error}" for error in caught.value.exceptions]
        assert [line.split(" ")[1] for line in told] == [
            "Forgotten",
            "Sold",
            "Watched",
            "UnbuildableMiddleware",
            "BoughtHandler",
            "handle_handled",
            "PackedHandler",
            "Shipped",
            "Stock",
        ]
        assert [type(error) for error in caught.value.exceptions] == [
            *[HandlerNotFoundError] * 3,
            *[UnresolvableError] * 4,
            *[ConfigurationError] * 2,
        ]
        for parameter in ("limit", "host", "port", "size"):
            assert any(f"'{parameter}'" in line for line in told)

    async def test_complete(self):
        """Entering a mediator that is wired completely just gives it."""
        mediator = Mediator(message_broker=FakeBroker())

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            return "answer"

        async with mediator as entered:
            assert entered is mediator
            assert await entered.send(Do()) == "answer"

    def test_nothing_is_built(self):
        """`check()` builds neither handlers nor what they need."""
        built: list[Host] = []
        mediator = Mediator()

        def build() -> Host:
            built.append(LocalHost())
            return built[-1]

        mediator.container[Host] = build
        mediator.bind(Do, Unbuildable)

        mediator.check()

        assert built == []

    def test_errors_are_of_one_family(self):
        """All of them can be caught as errors of diator."""
        for error_type in (
            BindingError,
            HandlerNotFoundError,
            NotAMessageError,
            UnresolvableError,
            WiringError,
        ):
            assert issubclass(error_type, DiatorError)

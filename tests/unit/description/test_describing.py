"""What a description says of a mediator."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated
from unittest.mock import Mock

import pytest
import rodi
from msgspec import Meta

from diator import Command, DomainEvent, Mediator, RequestHandler
from diator.consumer.consumer import Consumer
from diator.container.rodi import RodiContainer
from diator.description.describing import describe
from diator.description.model import (
    Description,
    Event,
    Field,
    Reception,
    Request,
    Wire,
)
from diator.description.source import Sources
from tests.unit.consumer.fake_broker import FakeBroker
from tests.unit.description import shop

HERE = "tests.unit.description.shop"


@pytest.fixture
def described() -> Description:
    return describe(shop.make_mediator())


def request(described: Description, name: str) -> Request:
    [found] = [each for each in described.requests if each.name == name]
    return found


def event(described: Description, name: str) -> Event:
    [found] = [each for each in described.events if each.name == name]
    return found


class TestRequests:
    def test_all(self, described):
        """Bound requests are told, and those that handlers send, by their names."""
        assert [each.name for each in described.requests] == [
            "PlaceOrder",
            "ReadOrders",
            "SendInvoice",
            "WatchOrders",
        ]

    def test_what_it_is(self, described):
        """A request tells where it is, what it is for, and what it is answered with."""
        found = request(described, "PlaceOrder")

        assert found.id == f"{HERE}:PlaceOrder"
        assert found.place.file == "tests/unit/description/shop.py"
        assert found.summary == "Order something."
        assert (found.kind, found.answer) == ("command", "int")
        assert found.fields == (
            Field(name="item", type="str", required=True),
            Field(name="quantity", type="int | None", required=False),
        )
        assert found.wire is None

    @pytest.mark.parametrize(
        "name, kind, answer",
        [
            ("ReadOrders", "query", "list[int]"),
            ("WatchOrders", "stream", "int"),
            ("SendInvoice", "command", "None"),
        ],
    )
    def test_kinds(self, described, name, kind, answer):
        """Each kind says what it is answered with."""
        found = request(described, name)

        assert (found.kind, found.answer) == (kind, answer)
        assert found.summary == ""

    def test_handled_elsewhere(self, described):
        """What is posted, and not handled here, has its name on the wire."""
        found = request(described, "SendInvoice")

        assert found.handler is None
        assert found.wire == Wire(
            name="SendInvoice", topic="commands", keyed=False, registered=False
        )

    def test_middlewares(self, described):
        """All middlewares are told, with why each applies or does not."""
        layers = request(described, "PlaceOrder").middlewares

        assert [
            (each.name, each.applies, each.reason, each.built) for each in layers
        ] == [
            ("Timing", True, "it is for all messages", False),
            ("audit", True, "only=is_audited, which is True of PlaceOrder", False),
            (
                "Timing",
                False,
                "only=Query, StreamRequest, and PlaceOrder is none",
                True,
            ),
        ]

    def test_handler(self, described):
        """A handler tells where it is, and what it needs, down to the last class."""
        handler = request(described, "PlaceOrder").handler

        assert handler is not None
        assert (handler.name, handler.kind) == ("PlaceOrderHandler", "class")
        assert handler.summary == "Takes it from the shelf."
        assert [
            (each.parameter, each.type, each.building, each.built_as)
            for each in handler.needs
        ] == [
            ("stock", "Stock", "registered", "ShelfStock"),
            ("till", "Till", "class", None),
            ("attempts", "int", "default", None),
        ]
        assert [each.type for each in handler.needs[1].needs] == ["Prices"]

    def test_what_it_raises(self, described):
        """Its own source is sure, what it calls is a guess."""
        handler = request(described, "PlaceOrder").handler

        assert handler is not None
        assert [(each.event, each.certainty, each.via) for each in handler.raises] == [
            (f"{HERE}:OrderPlaced", "seen", "PlaceOrderHandler.handle"),
            (f"{HERE}:StockTaken", "guess", "ShelfStock.take"),
        ]


class TestEvents:
    def test_all(self, described):
        """Events are told that are bound, added to the registry, or raised."""
        assert [(each.name, each.kind) for each in described.events] == [
            ("DomainEvent", "domain"),
            ("OrderPlaced", "domain"),
            ("OrderShipped", "notification"),
            ("StockChanged", "ecst"),
            ("StockTaken", "domain"),
        ]

    def test_handlers(self, described):
        """Its handlers are told in order, those of its base types included."""
        found = event(described, "OrderPlaced")

        assert [
            (each.bound_to, each.concurrent, each.handler.name)
            for each in found.handlers
        ] == [
            (f"{HERE}:OrderPlaced", False, "Ship"),
            ("diator.events.event:DomainEvent", True, "count"),
        ]
        assert [each.name for each in found.middlewares if each.applies] == ["audit"]

    def test_what_handlers_do(self, described):
        """What the handlers raise and send in turn is told."""
        handler = event(described, "OrderPlaced").handlers[0].handler

        assert [each.event for each in handler.raises] == [f"{HERE}:OrderShipped"]
        assert [(each.request, each.how, each.certainty) for each in handler.sends] == [
            (f"{HERE}:SendInvoice", "post", "seen")
        ]

    def test_wire(self, described):
        """An event for other processes tells its name there, and where it goes."""
        found = event(described, "StockChanged")

        assert found.wire == Wire(
            name="stock.changed.v1", topic="stock", keyed=True, registered=True
        )
        assert found.delivery == ("broker",)
        assert event(described, "StockTaken").wire is None
        assert event(described, "StockTaken").delivery == ()


class Odd(Command):
    __signature__ = "none"


class NeedsMuch(RequestHandler[Odd, None]):
    def __init__(self, odd: Odd, later: Later, bare, *more: int) -> None: ...  # noqa: F821  # it is the point

    async def handle(self, request: Odd) -> None: ...


class StockOfPrices(shop.ShelfStock):
    def __init__(self, prices: shop.Prices) -> None: ...


class Circle:
    def __init__(self, circle: Circle | None = None) -> None: ...


class TestOddities:
    def test_bounds(self):
        """The bounds of fields are told, also where not all annotations are known."""

        class Bounded(Command):
            odd: Later  # noqa: F821  # it is the point
            amount: Annotated[int, Meta(gt=0)]

            def __init__(self, amount: int) -> None: ...

        async def handle(request: Command) -> None: ...

        mediator = Mediator()
        mediator.handles(Bounded)(handle)

        found = request(describe(mediator), "Bounded")
        assert found.fields == (Field(name="amount", type="int (gt=0)", required=True),)

    def test_signature(self):
        """What has no signature to be read has no fields and no needs."""
        mediator = Mediator()
        mediator.bind(Odd, NeedsMuch)

        [found] = describe(mediator).requests

        assert found.fields == ()
        assert found.handler is not None
        needs = {each.parameter: each for each in found.handler.needs}
        assert [(name, each.type, each.building) for name, each in needs.items()] == [
            ("odd", "Odd", "class"),
            ("later", "Later", "missing"),
            ("bare", "Any", "missing"),
        ]

    def test_optional_parameter(self):
        """A parameter for `T | None` is given `T` if that is registered."""
        container = rodi.Container()
        container.add_transient(shop.Prices)

        async def handle(
            request: Odd,
            prices: shop.Prices | None = None,
            till: shop.Till | None = None,
        ) -> None: ...

        mediator = Mediator(container=RodiContainer(container))
        mediator.handles(Odd)(handle)

        [found] = describe(mediator).requests
        assert found.handler is not None
        assert [(each.parameter, each.building) for each in found.handler.needs] == [
            ("prices", "registered"),
            ("till", "default"),
        ]

    def test_circle_of_needs(self):
        """Classes that need each other are told once."""
        mediator = Mediator()
        mediator.container[Circle] = Circle

        async def handle(request: Odd, circle: Circle) -> None: ...

        mediator.handles(Odd)(handle)

        [found] = describe(mediator).requests
        assert found.handler is not None
        [need] = found.handler.needs
        assert [each.needs for each in need.needs] == [()]

    def test_needs_of_what_is_there(self):
        """What is there already needs nothing, and what a class is built from does."""

        async def handle(request: Odd, till: shop.Till, stock: shop.Stock) -> None: ...

        mediator = Mediator()
        mediator.container[shop.Till] = shop.Till(shop.Prices())
        mediator.container[shop.Stock] = StockOfPrices
        mediator.handles(Odd)(handle)

        [found] = describe(mediator).requests
        assert found.handler is not None
        assert [
            (each.built_as, [inner.type for inner in each.needs])
            for each in found.handler.needs
        ] == [(None, []), ("StockOfPrices", ["Prices"])]

    def test_failing_predicate(self):
        """A predicate that fails selects nothing, and says so."""
        mediator = shop.make_mediator()
        mediator.use(shop.audit, only=lambda message: message.item)

        layer = describe(mediator).requests[0].middlewares[-1]

        assert not layer.applies
        assert "which fails with AttributeError" in layer.reason

    def test_wrapped(self):
        """A middleware that wraps another is told with it."""

        class Wrapping(shop.Timing):
            def __init__(self, wrapped):
                self.__wrapped__ = wrapped

        mediator = shop.make_mediator()
        mediator.use(Wrapping(Wrapping(shop.audit)))

        layer = describe(mediator).requests[0].middlewares[-1]

        assert layer.name.endswith("Wrapping)(audit))") or "(audit))" in layer.name

    def test_elsewhere(self):
        """What is not below here is told by the folders of its module."""
        place = Sources().place(Mediator)

        assert place.file is not None
        assert place.file.endswith("diator/mediator.py")
        assert Sources().place(json).file is None
        assert Sources().place(json.dumps).file == "json/__init__.py"

    def test_mocks(self):
        """A middleware that answers to everything is not taken at its word."""

        class Proxy(shop.Timing):
            def __getattr__(self, name):
                return Mock()

        mediator = shop.make_mediator()
        mediator.use(Proxy())

        mediator.check()

        assert describe(mediator).requests[0].middlewares[-1].roles == ()


async def act(command: shop.SendInvoice, number: int) -> None: ...


async def observe(event: DomainEvent, number: int) -> None: ...


class TestFindings:
    def test_sound(self, described):
        """Where nothing is wrong, there is nothing to tell."""
        assert described.findings == ()
        assert described.not_judged == ()

    def test_about(self):
        """What is wrong is told with the messages that it is about, and its number."""
        mediator = shop.make_mediator()
        mediator.handles(shop.SendInvoice)(act)
        mediator.event_emitter.event_map.bind(DomainEvent, observe)

        described = describe(mediator)

        invoice = request(described, "SendInvoice")
        [(number, finding)] = described.findings_about(invoice)
        assert described.findings[number - 1] is finding
        assert finding.text.startswith("act cannot be called: its parameter 'number'")
        assert finding.messages == (invoice.id,)
        assert described.findings_about(request(described, "ReadOrders")) == []

    def test_derived(self):
        """What is wrong with a handler of a base is wrong with all derived events."""
        mediator = shop.make_mediator()
        mediator.event_emitter.event_map.bind(DomainEvent, observe)

        described = describe(mediator)

        for name in ("DomainEvent", "OrderPlaced", "StockTaken"):
            assert described.findings_about(event(described, name))
        assert not described.findings_about(event(described, "OrderShipped"))

    def test_without_handler(self):
        """A request that is missed is told, though it is bound nowhere."""
        mediator = Mediator()
        mediator.handles(shop.ReadOrders)(shop.read_orders)

        described = describe(mediator)

        assert "PlaceOrder" in [each.name for each in described.requests]
        assert described.findings_about(request(described, "PlaceOrder"))

    def test_not_judged(self):
        """So is a request of which nobody knows whether it was forgotten."""
        mediator = Mediator()
        mediator.handles(shop.ReadOrders)(shop.read_orders)
        mediator.event_emitter.registry.add(shop.StockChanged)

        described = describe(mediator)

        assert described.findings == ()
        assert f"{HERE}:PlaceOrder" in described.not_judged


class TestReception:
    def test_consumer(self):
        """Of a consumer it is told what it receives, and from where."""
        mediator = shop.make_mediator()
        consumer = Consumer(mediator, FakeBroker(), group="mails", topics=["stock"])

        described = describe(mediator, consumer)

        assert described.reception == Reception(
            broker="FakeBroker",
            group="mails",
            topics=("stock",),
            messages=(f"{HERE}:StockChanged",),
        )
        received = event(described, "StockChanged")
        assert described.received(received) is described.reception
        assert described.received(event(described, "OrderShipped")) is None
        assert received.delivery == ()

    def test_none(self, described):
        """Without a consumer, nothing is received."""
        assert described.reception is None
        assert described.received(event(described, "StockChanged")) is None


class TestDescription:
    @pytest.mark.parametrize("broker, stays", [(None, True), (FakeBroker(), False)])
    def test_in_memory(self, broker, stays):
        """It is told whether the broker keeps everything in this process."""
        assert describe(Mediator(message_broker=broker)).in_memory is stays

    def test_mediator(self, described):
        """The container and the broker are told."""
        assert (described.container, described.broker) == (
            "LagomContainer",
            "FakeBroker",
        )

    def test_who(self, described):
        """It is told who raises an event, and who sends a request."""
        raisers = described.raisers(event(described, "OrderPlaced"))
        senders = described.senders(request(described, "SendInvoice"))

        assert [(each.name, how.certainty) for each, how in raisers] == [
            ("PlaceOrder", "seen")
        ]
        assert [(each.name, how.how) for each, how in senders] == [
            ("OrderPlaced", "post")
        ]

    def test_json(self, described):
        """It is plain data."""
        assert json.loads(json.dumps(asdict(described)))["broker"] == "FakeBroker"

    def test_same(self):
        """Two descriptions of the same wiring are equal."""
        assert describe(shop.make_mediator()) == describe(shop.make_mediator())

    def test_nothing_is_used(self):
        """Handlers can be bound after a description."""
        mediator = shop.make_mediator()

        describe(mediator)

        mediator.use(shop.audit)
        mediator.event_emitter.use(shop.audit)
        mediator.handles(shop.SendInvoice)(shop.send_invoice)
        mediator.handles(shop.OrderPlaced)(shop.count)

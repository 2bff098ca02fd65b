"""A little shop, to be described."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from diator import (
    Command,
    DomainEvent,
    ECSTEvent,
    EventEmitter,
    EventHandler,
    Handle,
    Mediator,
    NotificationEvent,
    Query,
    RequestHandler,
    StreamRequest,
    collect,
)
from tests.unit.fakes import FakeBroker


@dataclass(frozen=True, kw_only=True)
class PlaceOrder(Command[int]):
    """
    Order something.

    More is said below.
    """

    item: str
    quantity: int | None = None


@dataclass(frozen=True)
class ReadOrders(Query[list[int]]):
    pass


@dataclass(frozen=True)
class WatchOrders(StreamRequest[int]):
    pass


@dataclass(frozen=True)
class SendInvoice(Command):
    pass


class OrderPlaced(DomainEvent):
    """An order was placed."""


class StockTaken(DomainEvent):
    pass


class OrderShipped(NotificationEvent):
    pass


class StockChanged(ECSTEvent):
    pass


class Stock(ABC):
    @abstractmethod
    async def take(self, item: str) -> None: ...


class ShelfStock(Stock):
    async def take(self, item: str) -> None:
        collect(StockTaken())


class Prices:
    pass


class Till:
    def __init__(self, prices: Prices) -> None:
        self.prices = prices


class PlaceOrderHandler(RequestHandler[PlaceOrder, int]):
    """Takes it from the shelf."""

    def __init__(self, stock: Stock, till: Till, attempts: int = 3) -> None:
        self.stock = stock
        self.till = till

    async def handle(self, request: PlaceOrder) -> int:
        await self.stock.take(request.item)
        self.events.append(OrderPlaced())
        return 1


async def read_orders(query: ReadOrders) -> list[int]:
    return []


async def watch_orders(request: WatchOrders) -> AsyncIterator[int]:
    yield 1


class Ship(EventHandler[OrderPlaced]):
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def handle(self, event: OrderPlaced) -> None:
        self.events.append(OrderShipped())
        await self.mediator.post(SendInvoice())


async def count(event: DomainEvent) -> None:
    pass


async def send_invoice(command: SendInvoice) -> None:
    pass


class Timing:
    async def __call__(self, message: object, handle: Handle) -> object:
        return await handle(message)


async def audit(message: object, handle: Handle) -> object:
    return await handle(message)


def is_audited(message_type: type) -> bool:
    return message_type is PlaceOrder


def make_mediator() -> Mediator:
    mediator = Mediator(event_emitter=EventEmitter(message_broker=FakeBroker()))
    mediator.container[Stock] = ShelfStock()
    mediator.container[Mediator] = mediator
    mediator.use(Timing())
    mediator.use(audit, only=is_audited)
    mediator.use(Timing, only=(Query, StreamRequest))
    mediator.event_emitter.use(audit, only=OrderPlaced)
    mediator.bind(PlaceOrder, PlaceOrderHandler)
    mediator.handles(ReadOrders)(read_orders)
    mediator.handles(WatchOrders)(watch_orders)
    mediator.bind(OrderPlaced, Ship)
    mediator.handles(DomainEvent, concurrent=True)(count)
    mediator.event_emitter.registry.add(
        StockChanged, name="stock.changed.v1", topic="stock", key=lambda event: "1"
    )
    return mediator

"""
A shop that keeps its orders in SQLite: what the examples of all frameworks share.

It knows nothing of any framework. They open it, and send it requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import msgspec
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    AsyncSessionTransaction,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from diator import (
    Command,
    DomainEvent,
    EventEmitter,
    Mediator,
    Query,
    StreamRequest,
    collect,
)
from diator.container.lagom import LagomContainer
from diator.middlewares.authorisation import AuthorisationMiddleware
from diator.middlewares.logging import LoggingMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.middlewares.validation import ValidationMiddleware

DATABASE = "sqlite+aiosqlite:///shop.db"

MOST = 100
"""How much of a product everybody may order at once."""

OrderId = Annotated[int, msgspec.Meta(gt=0, le=2**63 - 1)]  # SQLite's integers


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    order_id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]
    amount: Mapped[int]


@dataclass(frozen=True)
class PlaceOrder(Command[int]):  # is answered with the number of the order
    product: Annotated[str, msgspec.Meta(min_length=1)]
    amount: Annotated[int, msgspec.Meta(gt=0)] = 1


@dataclass(frozen=True)
class OrderView:
    order_id: int
    product: str
    amount: int


@dataclass(frozen=True)
class ReadOrder(Query[OrderView]):
    order_id: OrderId


@dataclass(frozen=True)
class FollowOrder(StreamRequest[str]):
    order_id: OrderId


@dataclass(frozen=True)
class OrderPlaced(DomainEvent):
    order_id: int


class OrderNotFoundError(LookupError):
    def __init__(self, order_id: int) -> None:
        super().__init__(f"there is no order {order_id}")


class Couriers:
    """Stands in for those who know where a parcel is."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def whereabouts(self) -> AsyncIterator[str]:
        try:
            for place in ("packed", "on its way"):
                yield place
            await asyncio.Event().wait()  # for the doorbell, which takes a while
        finally:
            self.left.set()


def is_little(command: PlaceOrder) -> bool | str:
    """Decide for everybody; in earnest, by who the caller is."""
    return command.amount <= MOST or f"at most {MOST} of a product are sold at once"


async def place_order(command: PlaceOrder, session: AsyncSession) -> int:
    order = Order(product=command.product, amount=command.amount)
    session.add(order)
    await session.flush()
    collect(OrderPlaced(order.order_id))
    return order.order_id


async def read_order(query: ReadOrder, session: AsyncSession) -> OrderView:
    order = await session.get(Order, query.order_id)
    if order is None:
        raise OrderNotFoundError(query.order_id)
    return OrderView(order.order_id, order.product, order.amount)


async def follow_order(
    request: FollowOrder, mediator: Mediator, couriers: Couriers
) -> AsyncIterator[str]:
    order = await mediator.send(ReadOrder(request.order_id))  # in the same scope
    async for place in couriers.whereabouts():
        yield f"{order.product} is {place}"


async def print_label(event: OrderPlaced) -> None:
    """Print a label, once the order is committed."""


def begin(session: AsyncSession) -> AsyncSessionTransaction:
    return session.begin()


@asynccontextmanager
async def mediator(database: str = DATABASE) -> AsyncGenerator[Mediator]:
    """Open the shop, for as long as an application runs."""
    engine = create_async_engine(database)
    container = LagomContainer()
    container.scoped(AsyncSession, async_sessionmaker(engine))
    container[Couriers] = Couriers()
    shop = Mediator(
        container=container,
        # An order that was placed is answered, whatever becomes of its label.
        event_emitter=EventEmitter(container=container, failures="log"),
    )
    container[Mediator] = shop
    authorisation = AuthorisationMiddleware()
    authorisation.bind(PlaceOrder, is_little)
    shop.use(LoggingMiddleware())
    shop.use(ValidationMiddleware())
    shop.use(authorisation, only=Command)
    shop.use(TransactionMiddleware(begin), only=Command)
    shop.handles(PlaceOrder)(place_order)
    shop.handles(ReadOrder)(read_order)
    shop.handles(FollowOrder)(follow_order)
    shop.handles(OrderPlaced)(print_label)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with shop:  # which finds what is wired wrongly
            yield shop
    finally:
        await engine.dispose()

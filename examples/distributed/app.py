"""
A shop whose parts run in several processes: what all of them share.

Two APIs take orders, relays publish what the orders raise, workers reserve the stock
and confirm the orders. `python -m examples.distributed` starts them all; one by one:

    uvicorn examples.distributed.app:api
    diator relay examples.distributed.app:relay
    WORKER=0 WORKERS=3 diator consume examples.distributed.app:worker
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    AsyncSessionTransaction,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from diator import Command, Mediator, NotificationEvent, Query, collect
from diator.consumer.consumer import Consumer
from diator.events.message_brokers.redis_streams import RedisStreamsBroker
from diator.messages.dead_letters import DeadLetters
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.middlewares.validation import ValidationMiddleware
from diator.outbox.outbox import Outbox
from diator.outbox.relay import Relay
from diator.outbox.tables import Tables

DATABASE = os.environ.get("DATABASE", "postgresql+psycopg://localhost/shop")
REDIS = os.environ.get("REDIS", "redis://localhost:6379/0")
# Each worker has its share of the partitions, and is the only one that has it.
WORKER = int(os.environ.get("WORKER", "0"))
WORKERS = int(os.environ.get("WORKERS", "1"))

TOPIC = "events"
PARTITIONS = 6
GROUP = "shop"


# --- Messages and tables --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PlaceOrder(Command):
    order_id: UUID
    item: str
    quantity: Annotated[int, msgspec.Meta(gt=0)]


@dataclass(frozen=True, kw_only=True)
class ReadStatus(Query[str]):
    order_id: UUID


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(NotificationEvent):
    order_id: UUID
    item: str
    quantity: int


@dataclass(frozen=True, kw_only=True)
class StockReserved(NotificationEvent):
    order_id: UUID
    item: str


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    item: Mapped[str]
    quantity: Mapped[int]
    status: Mapped[str]


class Stock(Base):
    __tablename__ = "stock"
    item: Mapped[str] = mapped_column(primary_key=True)
    left: Mapped[int]


tables = Tables(Base.metadata)


# --- Handlers -------------------------------------------------------------------------


async def place_order(command: PlaceOrder, session: AsyncSession) -> None:
    order = Order(
        order_id=command.order_id,
        item=command.item,
        quantity=command.quantity,
        status="placed",
    )
    session.add(order)
    collect(
        OrderPlaced(
            order_id=command.order_id, item=command.item, quantity=command.quantity
        )
    )


async def read_status(query: ReadStatus, session: AsyncSession) -> str:
    order = await session.get(Order, query.order_id)
    return "unknown" if order is None else order.status


async def reserve_stock(event: OrderPlaced, session: AsyncSession) -> None:
    await session.execute(
        update(Stock)
        .where(Stock.item == event.item)
        .values(left=Stock.left - event.quantity)
    )
    collect(StockReserved(order_id=event.order_id, item=event.item))


async def confirm_order(event: StockReserved, session: AsyncSession) -> None:
    order = await session.get_one(Order, event.order_id)
    order.status = "confirmed"


# --- The parts ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Shop:
    engine: AsyncEngine
    broker: RedisStreamsBroker
    mediator: Mediator
    outbox: Outbox


def begin(session: AsyncSession) -> AsyncSessionTransaction:
    return session.begin()


@asynccontextmanager
async def open_shop() -> AsyncGenerator[Shop]:
    engine = create_async_engine(DATABASE, pool_size=20)
    broker = RedisStreamsBroker(
        REDIS, partitions={TOPIC: PARTITIONS}, require_durable=True
    )
    mediator = Mediator(message_broker=broker)
    mediator.container.scoped(AsyncSession, async_sessionmaker(engine))
    emitter = mediator.event_emitter
    # What concerns the same item stays in order.
    for event_type, name in [
        (OrderPlaced, "order.placed.v1"),
        (StockReserved, "stock.reserved.v1"),
    ]:
        emitter.registry.add(event_type, name=name, key=lambda event: event.item)

    outbox = Outbox(engine, emitter.registry, tables=tables)
    transaction = TransactionMiddleware(begin)
    outboxing = OutboxMiddleware(outbox)
    mediator.use(ValidationMiddleware())
    mediator.use(transaction, only=Command)
    mediator.use(outboxing, only=Command)
    emitter.use(transaction)
    emitter.use(InboxMiddleware(tables))
    emitter.use(outboxing)

    mediator.handles(PlaceOrder)(place_order)
    mediator.handles(ReadStatus)(read_status)
    mediator.handles(OrderPlaced)(reserve_stock)
    mediator.handles(StockReserved)(confirm_order)
    try:
        yield Shop(engine=engine, broker=broker, mediator=mediator, outbox=outbox)
    finally:
        await broker.aclose()
        await engine.dispose()


# --- The processes --------------------------------------------------------------------


@asynccontextmanager
async def mediator() -> AsyncGenerator[Mediator]:
    """Give one to look at: `diator describe examples.distributed.app:mediator`."""
    async with open_shop() as shop:
        yield shop.mediator


@asynccontextmanager
async def relay() -> AsyncGenerator[Relay]:
    async with open_shop() as shop:
        yield Relay(shop.outbox, shop.broker, poll_seconds=0.1)


@asynccontextmanager
async def worker() -> AsyncGenerator[Consumer]:
    async with open_shop() as shop:
        yield Consumer(
            shop.mediator,
            shop.broker,
            group=GROUP,
            partitions=range(PARTITIONS)[WORKER::WORKERS],
        )


@asynccontextmanager
async def dead_letters() -> AsyncGenerator[DeadLetters]:
    async with open_shop() as shop:
        yield shop.broker.dead_letters(TOPIC, GROUP)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    async with open_shop() as shop:
        app.state.mediator = shop.mediator
        yield


async def post_order(request: Request) -> Response:
    body = await request.json()
    order_id = uuid4()
    command = PlaceOrder(
        order_id=order_id, item=body["item"], quantity=body["quantity"]
    )
    await request.app.state.mediator.send(command)
    return JSONResponse({"order_id": str(order_id)}, status_code=201)


async def get_order(request: Request) -> Response:
    order_id = UUID(request.path_params["order_id"])
    status = await request.app.state.mediator.send(ReadStatus(order_id=order_id))
    return JSONResponse({"status": status})


api = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/orders", post_order, methods=["POST"]),
        Route("/orders/{order_id:uuid}", get_order),
    ],
)

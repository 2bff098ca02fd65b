"""Wiring errors, each in a little application of its own, and what tells of each."""

from __future__ import annotations

from typing import NamedTuple


class Planted(NamedTuple):
    """
    An application with one thing wrong.

    Attributes:
        source: What it has beside `COMMON`.
        told: What the one finding has to say, in this order.

    """

    source: str
    told: tuple[str, ...]


COMMON = """
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from diator import *
from diator.messages.registry import MessageRegistry
from diator.middlewares.authorisation import AuthorisationMiddleware
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.inbox import InboxMiddleware
from diator.middlewares.logging import LoggingMiddleware
from diator.middlewares.outbox import OutboxMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.middlewares.validation import ValidationMiddleware
from diator.outbox.outbox import Outbox
from sqlalchemy.ext.asyncio import create_async_engine

class Port(ABC):
    @abstractmethod
    def number(self) -> int: ...

@dataclass(frozen=True)
class Buy(Command):
    item: str = "tea"

mediator = Mediator()
emitter = mediator.event_emitter
engine = create_async_engine("sqlite+aiosqlite://")

def begin(session: AsyncSession):
    return session.begin()

transaction = TransactionMiddleware(begin)
outboxing = OutboxMiddleware(Outbox(engine, emitter.registry))

def with_session():
    mediator.container.scoped(AsyncSession, async_sessionmaker(engine))

async def buy(command: Buy) -> None: ...
"""

PLANTED = {
    "a request that was forgotten": Planted(
        """
class Sell(Command): ...

mediator.handles(Buy)(buy)
""",
        ("Sell has no handler", "mediator.bind(Sell, ...)", "others of"),
    ),
    "a request that a handler sends": Planted(
        """
from tests.unit.fakes import Do

class BuyHandler(RequestHandler[Buy, None]):
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def handle(self, request: Buy) -> None:
        await self.mediator.send(Do())

mediator.container[Mediator] = mediator
mediator.bind(Buy, BuyHandler)
""",
        ("Do has no handler", "BuyHandler.handle sends it", ".py:"),
    ),
    "a handler that cannot be built": Planted(
        """
class BuyHandler(RequestHandler[Buy, None]):
    def __init__(self, port: Port) -> None: ...

    async def handle(self, request: Buy) -> None: ...

mediator.bind(Buy, BuyHandler)
""",
        ("BuyHandler cannot be built", "'port'", "container[Port] = ..."),
    ),
    "a function that cannot be called": Planted(
        """
@mediator.handles(Buy)
async def buy_for(command: Buy, price: float) -> None: ...
""",
        ("buy_for cannot be called", "'price'"),
    ),
    "a circle of needs": Planted(
        """
class Egg:
    def __init__(self, hen: "Hen") -> None: ...

class Hen:
    def __init__(self, egg: Egg) -> None: ...

@mediator.handles(Buy)
async def buy_from(command: Buy, hen: Hen) -> None: ...
""",
        ("buy_from", "depends on itself", "Hen → Egg → Hen"),
    ),
    "a singleton of what ends with the send": Planted(
        """
import lagom

class Orders:
    def __init__(self, session: AsyncSession) -> None: ...

with_session()
mediator.container[Orders] = lagom.Singleton(Orders)

@mediator.handles(Buy)
async def buy_from(command: Buy, orders: Orders) -> None: ...
""",
        ("buy_from", "Orders is a singleton and needs AsyncSession"),
    ),
    "an event handler that cannot be built": Planted(
        """
class Bought(DomainEvent): ...

@mediator.handles(Bought)
async def count(event: Bought, port: Port) -> None: ...
""",
        ("count cannot be called", "'port'"),
    ),
    "a middleware that cannot be built": Planted(
        """
class Limit:
    def __init__(self, number: int) -> None: ...

    async def __call__(self, message, handle): ...

mediator.use(Limit)
mediator.handles(Buy)(buy)
""",
        ("Limit cannot be built", "'number'"),
    ),
    "a predicate that fails": Planted(
        """
mediator.use(LoggingMiddleware(), only=lambda message: message.item == "tea")

class Sell(Command): ...

async def sell(command: Sell) -> None: ...

mediator.handles(Sell)(sell)
mediator.handles(Buy)(buy)
""",
        ("LoggingMiddleware", "fails at Sell with AttributeError", "with the type"),
    ),
    "a transaction without its session": Planted(
        """
mediator.use(transaction)
mediator.handles(Buy)(buy)
""",
        (
            "TransactionMiddleware cannot ask for what it needs",
            "begin cannot be called: its parameter 'session'",
            "container.scoped(AsyncSession, ...)",
        ),
    ),
    "a validator that cannot be called": Planted(
        """
validation = ValidationMiddleware()

@validation.validates(Buy)
def is_in_stock(command: Buy, port: Port): ...

mediator.use(validation)
mediator.handles(Buy)(buy)
""",
        ("ValidationMiddleware", "is_in_stock cannot be called", "'port'"),
    ),
    "bounds that cannot be checked": Planted(
        """
@dataclass(frozen=True)
class Book(Command):
    time: Annotated[datetime, msgspec.Meta(gt=0)]

@mediator.handles(Book)
async def book(command: Book) -> None: ...

mediator.handles(Buy)(buy)
mediator.use(ValidationMiddleware())
""",
        ("ValidationMiddleware refuses every Book", "Book.time cannot be checked"),
    ),
    "a policy that cannot be built": Planted(
        """
class OnlyMembers:
    def __init__(self, port: Port) -> None: ...

    def allows(self, command: Buy) -> bool: ...

authorisation = AuthorisationMiddleware()
authorisation.bind(Buy, OnlyMembers)
mediator.use(authorisation)
mediator.handles(Buy)(buy)
""",
        ("AuthorisationMiddleware", "OnlyMembers cannot be built", "'port'"),
    ),
    "a request without a policy": Planted(
        """
mediator.use(AuthorisationMiddleware())
mediator.handles(Buy)(buy)
""",
        ("AuthorisationMiddleware refuses every Buy", "no policy", "only="),
    ),
    "an event without a broker": Planted(
        """
class Bought(NotificationEvent): ...

mediator = Mediator(event_emitter=EventEmitter())

@mediator.handles(Buy)
async def buy_it(command: Buy) -> None:
    collect(Bought())
""",
        ("Bought is for other processes", "buy_it raises it", "message_broker"),
    ),
    "an event that nobody raises yet, without a broker": Planted(
        """
class Bought(NotificationEvent): ...

mediator = Mediator(event_emitter=EventEmitter())
mediator.handles(Buy)(buy)
""",
        ("Bought is for other processes, but", "message_broker"),
    ),
    "a posted command without a broker": Planted(
        """
class Pack(Command): ...

mediator = Mediator(event_emitter=EventEmitter())
mediator.container[Mediator] = mediator

@mediator.handles(Buy)
async def buy_it(command: Buy, mediator: Mediator) -> None:
    await mediator.post(Pack())
""",
        ("Pack is for other processes", "buy_it posts it", "message_broker"),
    ),
    "an outbox around its transaction": Planted(
        """
with_session()
mediator.use(outboxing)
mediator.use(transaction)
mediator.handles(Buy)(buy)
""",
        ("OutboxMiddleware needs a transaction around Buy", "it begins inside"),
    ),
    "an outbox around queries, which have no transaction": Planted(
        """
with_session()
mediator.use(transaction, only=Command)
mediator.use(outboxing)
mediator.handles(Buy)(buy)

for name in ("A", "B", "C", "D", "E"):
    async def read(query) -> int:
        return 1

    mediator.handles(type(f"Read{name}", (Query,), {}))(read)
""",
        (
            "OutboxMiddleware needs a transaction around ReadA, ReadB, ReadC, 2 more",
            "none begins",
            "only=",
        ),
    ),
    "an inbox without a transaction": Planted(
        """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

with_session()
emitter.use(InboxMiddleware())
""",
        ("InboxMiddleware needs a transaction around Bought", "chain of events"),
    ),
    "a middleware around requests where only events are handled": Planted(
        """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

with_session()
mediator.use(transaction, only=Command)
mediator.use(transaction, only=Query)
""",
        ("TransactionMiddleware does nothing here", "mediator.event_emitter.use"),
    ),
    "a wrapped middleware around requests where only events are handled": Planted(
        """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

class Timed:
    def __init__(self, middleware):
        self.__wrapped__ = middleware

    async def __call__(self, message, handle):
        return await self.__wrapped__(message, handle)

with_session()
mediator.use(Timed(transaction))
mediator.event_emitter.use(Timed(LoggingMiddleware()))
""",
        ("Timed does nothing here", "mediator.event_emitter.use"),
    ),
    "an inbox around requests where only events come from elsewhere": Planted(
        """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

emitter.registry.add(Bought)
emitter.registry.add(type("Sell", (Command,), {}))
with_session()
for chain in (mediator, emitter):
    chain.use(transaction)
mediator.use(InboxMiddleware())
mediator.handles(Buy)(buy)
""",
        ("InboxMiddleware does nothing here", "mediator.event_emitter.use"),
    ),
    "an event past the outbox": Planted(
        """
class Bought(DomainEvent): ...
class Shipped(NotificationEvent): ...

@mediator.handles(Buy)
async def buy_it(command: Buy) -> None:
    collect(Bought())

class Again(Command): ...

@mediator.handles(Again)
async def buy_again(command: Again) -> None:
    collect(Bought())

class Ship(EventHandler[Bought]):
    async def handle(self, event: Bought) -> None:
        self.events.append(Shipped())

with_session()
mediator.use(transaction)
mediator.use(outboxing)
mediator.bind(Bought, Ship)
""",
        ("Shipped leaves without the outbox", "Ship raises it", "Bought after the"),
    ),
    "an event past the outbox, raised in the transaction": Planted(
        """
class Bought(DomainEvent): ...
class Counted(DomainEvent): ...
class Shipped(NotificationEvent): ...

@mediator.handles(Buy)
async def buy_it(command: Buy) -> None:
    collect(Bought())

@mediator.handles(Bought)
async def count(event: Bought) -> None:
    collect(Counted())
    collect(Bought())

@mediator.handles(Counted)
async def ship(event: Counted) -> None:
    collect(Shipped())

with_session()
mediator.use(transaction)
mediator.use(EventCollectionMiddleware(emitter))
mediator.use(outboxing)
""",
        ("Shipped leaves without the outbox", "ship raises it"),
    ),
    "a concurrent handler in a transaction": Planted(
        """
class Bought(DomainEvent): ...

@mediator.handles(Bought, concurrent=True)
async def count(event: Bought) -> None: ...

with_session()
emitter.use(transaction)
""",
        ("count is bound to Bought with concurrent=True", "bind it without"),
    ),
    "an older version that leads nowhere": Planted(
        """
mediator.handles(Buy)(buy)

@emitter.registry.upcasts("bought.v1", to="bought.v2")
def to_v2(payload):
    return payload
""",
        ("'bought.v1' is upcast to 'bought.v2'",),
    ),
}

SOUND = {
    "what other programs handle": """
class Pack(Command): ...
class Read(Query[int]): ...

emitter.registry.add(Pack)
mediator.handles(Buy)(buy)
""",
    "what is only posted": """
class Pack(Command): ...

class Packer:
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def order(self) -> None:
        await self.mediator.post(Pack())

mediator.container[Mediator] = mediator

@mediator.handles(Buy)
async def buy_it(command: Buy, packer: Packer) -> None:
    await packer.order()
""",
    "a request that may be sent": """
from tests.unit.fakes import Do

class Sender:
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def send(self) -> None:
        await self.mediator.send(Do())

mediator.container[Mediator] = mediator

@mediator.handles(Buy)
async def buy_it(command: Buy, sender: Sender) -> None:
    await sender.send()
""",
    "an event that may be raised, without a broker": """
from tests.unit.fakes import Announced

class Sender:
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def announce(self) -> None:
        collect(Announced(name="it"))
        await self.mediator.post(Buy())

mediator = Mediator(event_emitter=EventEmitter())
mediator.container[Mediator] = mediator

@mediator.handles(Buy)
async def buy_it(command: Buy, mediator: Mediator, sender: Sender) -> None:
    await sender.announce()
    await mediator.send(Buy())
""",
    "an outbox instead of a broker": """
class Bought(NotificationEvent): ...

mediator = Mediator(event_emitter=EventEmitter())
with_session()
mediator.use(transaction)
mediator.use(outboxing)

@mediator.handles(Buy)
async def buy_it(command: Buy) -> None:
    collect(Bought())
""",
    "an outbox inside what nobody knows": """
async def in_some_transaction(message, handle):
    return await handle(message)

with_session()
mediator.use(in_some_transaction)
mediator.use(outboxing)
mediator.handles(Buy)(buy)
""",
    "a transaction that another middleware wraps": """
class Timed:
    def __init__(self, middleware):
        self.__wrapped__ = middleware

    async def __call__(self, message, handle):
        return await self.__wrapped__(message, handle)

with_session()
mediator.use(Timed(transaction))
mediator.use(outboxing)
mediator.handles(Buy)(buy)
""",
    "domain events in the transaction": """
class Bought(DomainEvent): ...
class Shipped(NotificationEvent): ...

@mediator.handles(Buy)
async def buy_it(command: Buy) -> None:
    collect(Bought())

@mediator.handles(Bought)
async def ship(event: Bought) -> None:
    collect(Shipped())

with_session()
mediator.use(transaction)
mediator.use(outboxing)
mediator.use(EventCollectionMiddleware(emitter))
""",
    "an inbox around what never comes from elsewhere": """
class Bought(DomainEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

emitter.use(InboxMiddleware())
""",
    "the same around requests, of which none is bound, and around events": """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

async def time(message, handle):
    return await handle(message)

emitter.registry.add(Bought)
with_session()
for chain in (mediator, emitter):
    chain.use(time)
    chain.use(transaction)
    chain.use(InboxMiddleware())
mediator.use(LoggingMiddleware)
emitter.use(LoggingMiddleware())
""",
    "middlewares around requests where nothing is handled": """
mediator.use(LoggingMiddleware())
""",
    "middlewares around what a handler posts": """
class Bought(NotificationEvent): ...

class Sender:
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def order(self) -> None:
        await self.mediator.post(Buy())

@mediator.handles(Bought)
async def count(event: Bought, sender: Sender) -> None:
    await sender.order()

mediator.container[Mediator] = mediator
with_session()
mediator.use(transaction)
""",
    "middlewares around what is posted outside of handlers": """
from diator.requests.post import PostCommand

class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

with_session()
mediator.use(transaction, only=(PostCommand,))
""",
    "logging around requests where only events are handled": """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

mediator.use(LoggingMiddleware())
""",
    "an inbox around commands from elsewhere": """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

emitter.registry.add(Bought)
emitter.registry.add(Buy)
with_session()
mediator.use(transaction)
mediator.use(InboxMiddleware())
mediator.handles(Buy)(buy)
""",
    "an inbox around commands and events from elsewhere": """
class Bought(NotificationEvent): ...

@mediator.handles(Bought)
async def count(event: Bought) -> None: ...

emitter.registry.add(Bought)
with_session()
for chain in (mediator, emitter):
    chain.use(transaction)
    chain.use(InboxMiddleware())
mediator.handles(Buy)(buy)
""",
    "an inbox where nothing comes from elsewhere": """
with_session()
mediator.use(transaction)
mediator.use(InboxMiddleware())
mediator.handles(Buy)(buy)
""",
    "middlewares that are built": """
with_session()
mediator.container[OutboxMiddleware] = outboxing
mediator.use(transaction)
mediator.use(OutboxMiddleware)
mediator.handles(Buy)(buy)
""",
}

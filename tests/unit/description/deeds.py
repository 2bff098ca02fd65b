"""Handlers that raise and send in many ways, whose source is to be read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Optional, TypeVar

import diator
from diator import DomainEvent, EventHandler, Mediator, RequestHandler, collect
from diator.requests.request import Command, Query, StreamRequest


class A(DomainEvent):
    pass


class B(DomainEvent):
    pass


class C(DomainEvent):
    pass


T = TypeVar("T")


class Boxed(DomainEvent, Generic[T]):
    pass


class Do(Command):
    pass


class Ask(Query[int]):
    pass


class Watch(StreamRequest[int]):
    pass


# --- Plainly --------------------------------------------------------------------------


class Appends(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        self.events.append(A())


class AppendsVariable(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        event = A()
        if request:
            event = B()
        self.events.append(event)


class Extends(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        self.events.extend([A(), *[B()]])
        self.events += (C() for _ in range(2))


class Inserts(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        self.events.insert(0, A() if request else B())


class Keeps(RequestHandler[Do, None]):
    """As those of diator 0.1 do."""

    def __init__(self) -> None:
        self._events: list[diator.Event] = []

    @property
    def events(self) -> list[diator.Event]:
        return self._events

    async def handle(self, request: Do) -> None:
        self._events = [A()]


class Delegates(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        self._raise()

    def _raise(self) -> None:
        self.events.append(A())


class MakesFirst(Delegates):
    async def handle(self, request: Do) -> None:
        made = [A()]
        self._raise()
        made.clear()


class Nothing(Delegates):
    async def handle(self, request: Do) -> None:
        super().other()  # type: ignore[misc]


class Inherits(Delegates):
    async def handle(self, request: Do) -> None:
        await super().handle(request)
        self.events.append(B())


async def collects(request: Do) -> None:
    collect(A())
    diator.collect(B())


async def collects_local(request: Do) -> None:
    import diator as library  # it is the point
    from diator import collect as gather  # it is the point

    library.collect(A())
    gather(B())


async def annotates(request: Do, event: A, anything: Any) -> None:
    collect(event)
    found: B = anything
    collect(found)
    collect(last := C())
    collect(last)


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any) -> Any:
        return await function(*args)

    return wrapper


@decorated
async def below_decorator(request: Do) -> None:
    collect(A())


def make_closure() -> Any:
    class_of_event = A

    async def closure(request: Do) -> None:
        collect(class_of_event())
        collect(later())

    if not class_of_event:
        later = B
    return closure


closure = make_closure()


# --- By what is called ----------------------------------------------------------------


class Aggregate:
    def __init__(self) -> None:
        collect(A())

    def close(self) -> list[diator.Event]:
        return [B()]

    @classmethod
    def open(cls) -> Aggregate:
        collect(C())
        return cls()


@dataclass
class Recorded:
    name: str

    def __post_init__(self) -> None:
        collect(A())


class Repository:
    aggregate: Aggregate

    def __init__(self, other: Aggregate | None = None) -> None:
        self.other = other
        self.made = Aggregate()
        self.told: Annotated[Aggregate, "it"] = self.made
        self.first = self.second = self.last = other

    @property
    def current(self) -> Aggregate:
        return self.made

    async def get(self) -> Optional[Aggregate]:  # noqa: UP045  # as older code has it
        return self.made


class Shared:
    made: Aggregate


SHARED = Shared()


def helper(repository: Repository) -> None:
    repository.aggregate.close()
    helper(repository)


class ByAttribute(RequestHandler[Do, None]):
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def handle(self, request: Do) -> None:
        self.events.extend(self._repository.aggregate.close())


@dataclass
class ByField(RequestHandler[Do, None]):
    repository: Repository

    async def handle(self, request: Do) -> None:
        (await self.repository.get()).close()  # type: ignore[union-attr]


async def by_parameter(request: Do, repository: Repository) -> None:
    repository.other.close()  # type: ignore[union-attr]


async def by_property(request: Do, repository: "Repository") -> None:  # noqa: UP037
    repository.current.close()


async def by_annotation(request: Do, repository: Optional[Repository]) -> None:  # noqa: UP045
    repository.told.close()  # type: ignore[union-attr]


async def by_chain(request: Do, repository: Annotated[Repository, 1]) -> None:
    aggregate = (repository if request else None) or repository
    found = repository.last if request else None
    found.close()  # type: ignore[union-attr]
    aggregate.unknown.close()  # type: ignore[attr-defined]


async def by_function(request: Do, repository: Repository) -> None:
    helper(repository)


async def by_class(request: Do) -> None:
    Aggregate.open()


async def by_construction(request: Do) -> None:
    Recorded("it")


async def by_shared_object(request: Do) -> None:
    SHARED.made.close()


async def made_only(request: Do) -> None:
    made = [A()]
    made.clear()


# --- Unknown --------------------------------------------------------------------------


async def unclear(request: Do, maker: Any) -> None:
    collect(maker())


async def too_general(request: Do, event: DomainEvent) -> None:
    collect(event)


async def circular(request: Do) -> None:
    event = request
    event = event  # noqa: PLW0127  # it is the point
    collect(event)


# --- Sending --------------------------------------------------------------------------


class Sends(EventHandler[A]):
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def handle(self, event: A) -> None:
        command = Do()
        await self.mediator.send(command)
        await self.mediator.send(Ask())
        await self.mediator.send(Ask())
        await self.mediator.post(command)
        async for _ in self.mediator.stream(Watch()):
            pass


class Sender:
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def ask(self) -> None:
        await self.mediator.send(Ask())


async def sends_by_need(event: A, sender: Sender, mediator: Mediator) -> None:
    await sender.ask()
    await mediator.send(Do())


async def sends_first_by_need(event: A, sender: Sender, mediator: Mediator) -> None:
    await sender.ask()


async def sends_unclear(event: A, mediator: Mediator, other: Any) -> None:
    await mediator.send(other)
    other.send(other)
    other.send()
    send = print
    send(other)


async def nested_send(event: A, mediator: Mediator) -> None:
    async def later() -> None:
        await mediator.send(Do())

    await later()

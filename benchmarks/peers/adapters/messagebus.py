"""
messagebus: commands and their events within a unit of work.

Handlers are functions. Events are those of the models that a command has changed. What
is injected takes part in the transaction, and is made for each command.
"""

from asyncio import Future
from typing import Any

from messagebus import (
    AsyncAbstractRepository,
    AsyncAbstractUnitOfWork,
    AsyncMessageBus,
    Command,
    Event,
    Field,
    Metadata,
    Model,
)

from benchmarks.peers.work import (
    NO_MIDDLEWARES,
    Work,
    event_handler,
    handler,
)

CANNOT = {
    "factory": "takes functions, and nothing to build",
    "container": "injects into functions, and only what takes part in the transaction",
    "middlewares": NO_MIDDLEWARES,
    "fan_out": "has no events but those of a command",
    "realistic": NO_MIDDLEWARES,
}
NOTES = {"prebuilt": "a unit of work is begun and committed around it"}


def named(name: str) -> Any:
    return Field(default=Metadata(name=name, schema_version=1))


class Echo(Command):
    number: int
    metadata: Metadata = named("echo")


class Meeting(Model):
    pass


class Meetings(AsyncAbstractRepository[Meeting]):
    pass


class UnitOfWork(AsyncAbstractUnitOfWork[Any, Any, Any]):
    def __init__(self) -> None:
        self.meetings = Meetings()

    async def commit(self) -> None:
        pass

    async def rollback(self) -> None:
        pass


def make_send(bus: AsyncMessageBus[UnitOfWork]) -> Any:
    async def send(command: Command) -> Any:
        async with UnitOfWork() as transaction:
            answer = await bus.handle(command, transaction)
            await transaction.commit()
        return answer

    return send


@handler
async def echo(command: Echo, uow: UnitOfWork) -> int:
    return command.number


def prebuilt() -> Work:
    bus: AsyncMessageBus[UnitOfWork] = AsyncMessageBus()
    bus.add_listener(Echo, echo)
    return Work(make_send(bus), Echo(number=1), answer=1)


class OpenAndClose(Command):
    metadata: Metadata = named("open-and-close")


class Opened(Event):
    metadata: Metadata = named("opened")


class Closed(Event):
    metadata: Metadata = named("closed")


@handler
async def open_and_close(command: OpenAndClose, uow: UnitOfWork) -> None:
    meeting = Meeting()
    uow.meetings.seen.append(meeting)
    meeting.messages.append(Opened())
    meeting.messages.append(Closed())


@event_handler
async def on_opened(event: Opened, uow: UnitOfWork) -> None:
    pass


@event_handler
async def on_closed(event: Closed, uow: UnitOfWork) -> None:
    pass


def two_events() -> Work:
    bus: AsyncMessageBus[UnitOfWork] = AsyncMessageBus()
    bus.add_listener(OpenAndClose, open_and_close)
    bus.add_listener(Opened, on_opened)
    bus.add_listener(Closed, on_closed)
    return Work(make_send(bus), OpenAndClose())


def waiting(future: Future[None]) -> Work:
    async def wait(command: Echo, uow: UnitOfWork) -> None:
        await future

    bus: AsyncMessageBus[UnitOfWork] = AsyncMessageBus()
    bus.add_listener(Echo, wait)
    return Work(make_send(bus), Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    bus: AsyncMessageBus[UnitOfWork] = AsyncMessageBus()
    for kind in kinds:
        bus.add_listener(kind, echo)
    return Work(make_send(bus), None, answer=1)

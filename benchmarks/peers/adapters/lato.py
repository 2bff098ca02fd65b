"""
lato: an application of functions, into which dependencies are injected by type.

Each send is a transaction with a copy of the dependencies. Its middlewares stand around
handlers of events, too, so that those of the realistic command have to look.
"""

from asyncio import Future
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from lato import Application, Command, Event, TransactionContext

from benchmarks.peers.behaviours import BEHAVIOURS_THEN_NEXT
from benchmarks.peers.parts import EVENT_ID, Broker, Clock, Repo, clock, repo
from benchmarks.peers.work import (
    HANDLER_PUBLISHES,
    PUBLISHES_BY_HAND,
    Work,
    event_handler,
    handler,
    injected,
    middleware,
)

CANNOT = {"factory": "takes functions, and nothing to build"}
NOTES = {"container": "injects into functions, so that no handler is built"}
LACKS = {
    "two_events": HANDLER_PUBLISHES,
    "realistic": PUBLISHES_BY_HAND,
}


class Echo(Command):
    number: int


def make_application() -> Application:
    return Application("peer", repo=repo, clock=clock)


def prebuilt() -> Work:
    return middlewares(0)


def container() -> Work:
    application = make_application()

    @application.handler(Echo)
    @injected
    async def echo(command: Echo, repo: Repo, clock: Clock) -> int:
        return command.number

    return Work(application.execute_async, Echo(number=1), answer=1)


@handler
async def echo(command: Echo) -> int:
    return command.number


def middlewares(number: int) -> Work:
    application = make_application()
    application.handler(Echo)(echo)
    for _ in range(number):

        @application.transaction_middleware
        @middleware
        async def pass_on(ctx: TransactionContext, call_next: Callable[[], Any]) -> Any:
            return await call_next()

    return Work(application.execute_async, Echo(number=1), answer=1)


class Happened(Event):
    pass


def fan_out(number: int) -> Work:
    application = make_application()
    for _ in range(number):

        @application.handler(Happened)
        @event_handler
        async def on_happened(event: Happened) -> None:
            pass

    return Work(application.publish_async, Happened())


class OpenAndClose(Command):
    pass


class Opened(Event):
    pass


class Closed(Event):
    pass


def two_events() -> Work:
    application = make_application()

    @application.handler(OpenAndClose)
    @handler
    async def open_and_close(command: OpenAndClose, ctx: TransactionContext) -> None:
        await ctx.publish_async(Opened())
        await ctx.publish_async(Closed())

    @application.handler(Opened)
    @event_handler
    async def on_opened(event: Opened) -> None:
        pass

    @application.handler(Closed)
    @event_handler
    async def on_closed(event: Closed) -> None:
        pass

    return Work(application.execute_async, OpenAndClose())


class JoinMeeting(Command):
    meeting_id: int
    user: str


class MeetingFilled(Event):
    meeting_id: int


class UserJoined(Event):
    event_id: UUID
    event_timestamp: datetime
    meeting_id: int
    user: str


def realistic() -> Work:
    broker = Broker()
    application = Application("peer", repo=repo, clock=clock, broker=broker)

    @application.handler(JoinMeeting)
    @handler
    async def join(
        command: JoinMeeting, repo: Repo, clock: Clock, ctx: TransactionContext
    ) -> None:
        repo[command.meeting_id] = command.user
        await ctx.publish_async(MeetingFilled(meeting_id=command.meeting_id))
        await ctx.publish_async(
            UserJoined(
                event_id=EVENT_ID,
                event_timestamp=clock.now(),
                meeting_id=command.meeting_id,
                user=command.user,
            )
        )

    @application.handler(MeetingFilled)
    @event_handler
    async def on_meeting_filled(event: MeetingFilled, repo: Repo) -> None:
        repo.get(event.meeting_id)

    @application.handler(UserJoined)
    async def on_user_joined(event: UserJoined, broker: Broker) -> None:
        broker.publish_json(type(event).__name__, event.model_dump_json().encode())

    for behaviour in BEHAVIOURS_THEN_NEXT:
        application.transaction_middleware(for_commands(behaviour()))
    message = JoinMeeting(meeting_id=1, user="Ada")
    return Work(application.execute_async, message, bodies=broker.bodies)


def for_commands(behaviour: Any) -> Any:
    async def behave(ctx: TransactionContext, call_next: Callable[[], Any]) -> Any:
        message = ctx.get_dependency("message")
        if not isinstance(message, Command):
            return await call_next()
        return await behaviour(message, call_next)

    return behave


def waiting(future: Future[None]) -> Work:
    application = make_application()

    @application.handler(Echo)
    async def wait(command: Echo) -> None:
        await future

    return Work(application.execute_async, Echo(number=1))


def registered(kinds: list[type[Echo]]) -> Work:
    application = make_application()
    for kind in kinds:
        application.handler(kind)(echo)
    return Work(application.execute_async, None, answer=1)

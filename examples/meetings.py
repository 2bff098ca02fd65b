"""
Show what requests and events pass through, step by step.

A user joins a meeting, asks who is there, sends what is refused, and finds the meeting
full. Each line is printed by the part that is at work at that moment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Generator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from diator import (
    Command,
    DomainEvent,
    EventHandler,
    Handle,
    Mediator,
    Middleware,
    NotificationEvent,
    Query,
    RequestHandler,
    collect,
)
from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.protocol import Message, MessageBroker
from diator.events.message_brokers.redis import RedisMessageBroker
from diator.exceptions import ValidationError
from diator.middlewares.event_collection import EventCollectionMiddleware
from diator.middlewares.logging import LoggingMiddleware
from diator.middlewares.transaction import TransactionMiddleware
from diator.middlewares.validation import ValidationMiddleware

INTRODUCTION = """\
Pipeline 1 takes a request through its middlewares to its one handler.
Pipeline 2 takes each event raised there to the event handlers and the broker.
In a middleware: > on the way in, < on the way out, ! on the way out with an error.
"""

SEATS = 2
CHANNELS = "python_diator_channel:*"
REDIS_SECONDS = 5


# --- The messages ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Meeting:
    users: list[int]


@dataclass(frozen=True, kw_only=True)
class ReadMeeting(Query[Meeting]):
    meeting_id: int


@dataclass(frozen=True, kw_only=True)
class JoinMeeting(Command):
    meeting_id: int
    user_id: Annotated[int, msgspec.Meta(gt=0)]


@dataclass(frozen=True, kw_only=True)
class SeatTaken(DomainEvent):
    seats_left: int


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    meeting_id: int
    user_id: int


# --- The application ------------------------------------------------------------------


class MeetingIsFullError(Exception):
    """The rule of the domain that the demo breaks."""


class Meetings:
    """Stands in for a database."""

    def __init__(self) -> None:
        self.users = {1: [3]}

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        show("database", "begin")
        before = deepcopy(self.users)
        try:
            yield
        except BaseException:
            self.users = before
            show("database", "roll back")
            raise
        show("database", "commit")

    def join(self, meeting_id: int, user_id: int) -> None:
        users = self.users.setdefault(meeting_id, [])
        users.append(user_id)
        collect(SeatTaken(seats_left=SEATS - len(users)))
        show("raised", "SeatTaken")
        if len(users) > SEATS:
            msg = f"meeting {meeting_id} has {SEATS} seats"
            raise MeetingIsFullError(msg)


class JoinMeetingHandler(RequestHandler[JoinMeeting, None]):
    def __init__(self, meetings: Meetings) -> None:
        self.meetings = meetings

    async def handle(self, request: JoinMeeting) -> None:
        show("handler", f"JoinMeetingHandler: user {request.user_id} joins")
        self.meetings.join(request.meeting_id, request.user_id)
        self.events.append(
            UserJoined(meeting_id=request.meeting_id, user_id=request.user_id)
        )
        show("raised", "UserJoined")


async def read_meeting(query: ReadMeeting, meetings: Meetings) -> Meeting:
    show("handler", "read_meeting")
    return Meeting(users=meetings.users.get(query.meeting_id, []))


class UpdateDoorSign(EventHandler[SeatTaken]):
    async def handle(self, event: SeatTaken) -> None:
        show("handler", f"UpdateDoorSign: seats left: {event.seats_left}")


async def count_seats(_event: SeatTaken) -> None:
    show("handler", "count_seats: one more")


async def welcome(event: UserJoined) -> None:
    show("handler", f"welcome: hello, user {event.user_id}")


def build_mediator(broker: MessageBroker) -> Mediator:
    mediator = Mediator(message_broker=broker)
    meetings = Meetings()
    mediator.container[Meetings] = meetings

    mediator.use(Shown("logging", LoggingMiddleware()))
    mediator.use(Shown("validation", ValidationMiddleware()))
    mediator.use(
        Shown("transaction", TransactionMiddleware(meetings.transaction)), only=Command
    )
    mediator.use(Shown("event collection", EventCollectionMiddleware()), only=Command)

    mediator.event_emitter.use(show_event)
    mediator.event_emitter.use(Shown("logging", LoggingMiddleware()))

    mediator.bind(JoinMeeting, JoinMeetingHandler)
    mediator.handles(ReadMeeting)(read_meeting)
    mediator.bind(SeatTaken, UpdateDoorSign)
    mediator.handles(SeatTaken)(count_seats)
    mediator.handles(UserJoined)(welcome)
    return mediator


def mediator() -> Mediator:
    """Make one to look at: `diator describe examples.meetings:mediator`."""
    return build_mediator(InMemoryMessageBroker())


# --- What makes it visible ------------------------------------------------------------

depth = 0
emitted: list[object] = []


def show(who: str, what: str) -> None:
    for line in what.splitlines():
        print(f"{who:<11} {'  ' * depth}{line}")
        who = ""


@contextmanager
def indented() -> Generator[None]:
    global depth  # noqa: PLW0603  # one program prints one thing after the other
    depth += 1
    try:
        yield
    finally:
        depth -= 1


class Shown:
    """Shows the way into a middleware and out of it."""

    def __init__(self, name: str, middleware: Middleware) -> None:
        self.name = name
        # By this name, `diator describe` knows what is inside.
        self.__wrapped__ = middleware

    async def __call__(self, message: Any, handle: Handle) -> Any:
        show("middleware", f"> {self.name}")
        try:
            with indented():
                answer = await self.__wrapped__(message, handle)
        except Exception as error:
            show("middleware", f"! {self.name}: {type(error).__name__}")
            raise
        show("middleware", f"< {self.name}")
        return answer


async def show_event(event: Any, handle: Handle) -> None:
    emitted.append(event)
    show("pipeline 2", brief(event))
    with indented():
        await handle(event)


def show_log(_logger: Any, _level: str, entry: MutableMapping[str, Any]) -> NoReturn:
    """Show what is logged, as structlog's last processor."""
    show("log", "{event}: {message_name}, {duration_ms} ms".format(**entry))
    raise structlog.DropEvent


class ShownBroker:
    """Shows what is handed to a broker."""

    def __init__(self, broker: MessageBroker) -> None:
        self.broker = broker
        self.published = 0

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        for message in messages:
            show("broker", f"{type(self.broker).__name__}: {message.message_name}")
            with indented():
                show("", pretty(encode(message)))
        self.published += len(messages)
        return await self.broker.publish(messages)


def brief(message: object) -> str:
    """Give a message without the id and the time that every notification has."""
    fields = {
        name: value
        for name, value in vars(message).items()
        if name not in ("event_id", "event_timestamp")
    }
    told = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return f"{type(message).__name__}({told})"


def pretty(body: bytes) -> str:
    return json.dumps(json.loads(body), indent=2)


# --- The story ------------------------------------------------------------------------


async def tell(mediator: Mediator) -> None:
    print(INTRODUCTION)
    title("A command, and the events that it raises")
    await send(mediator, JoinMeeting(meeting_id=1, user_id=7))

    title("A query, which the transaction is not for")
    await send(mediator, ReadMeeting(meeting_id=1))

    title("A command that breaks its own rules, and reaches no handler")
    await send(mediator, JoinMeeting(meeting_id=1, user_id=0))

    title("A command that breaks a rule of the domain, and is rolled back")
    await send(mediator, JoinMeeting(meeting_id=1, user_id=9))
    await send(mediator, ReadMeeting(meeting_id=1))


def title(text: str) -> None:
    print(f"{text}\n{'-' * len(text)}")


async def send(mediator: Mediator, request: Command | Query[Any]) -> None:
    emitted.clear()
    show("pipeline 1", brief(request))
    try:
        with indented():
            answer = await mediator.send(request)
    except (ValidationError, MeetingIsFullError) as error:
        show("error", f"{type(error).__name__}: {error}")
    else:
        show("answer", repr(answer))
    show("emitted", ", ".join(type(event).__name__ for event in emitted) or "nothing")
    print()


async def tell_with_redis(client: Redis) -> None:
    async with client, client.pubsub() as subscriber:
        await subscriber.psubscribe(CHANNELS)
        # Only what is published after Redis has confirmed this is received.
        await subscriber.get_message(timeout=REDIS_SECONDS)
        broker = ShownBroker(RedisMessageBroker(client))
        await tell(build_mediator(broker))

        title("What a subscriber has received from Redis")
        for _ in range(broker.published):
            message: Any = await subscriber.get_message(timeout=REDIS_SECONDS)
            if message is None:
                show("received", "nothing more")
                break
            show("channel", message["channel"].decode())
            show("received", pretty(message["data"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Show two pipelines at work.")
    parser.add_argument("--redis", metavar="URL", help="publish on this Redis")
    url = parser.parse_args().redis
    structlog.configure(processors=[show_log])
    if hasattr(signal, "SIGPIPE"):
        # End quietly when the reader, `head` for one, has seen enough.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if url is None:
        asyncio.run(tell(build_mediator(ShownBroker(InMemoryMessageBroker()))))
        return
    try:
        client = Redis.from_url(url, socket_connect_timeout=REDIS_SECONDS)
    except ValueError as error:
        sys.exit(f"This is no URL of a Redis: {error}")
    try:
        asyncio.run(tell_with_redis(client))
    except RedisError as error:
        sys.exit(f"Redis cannot be reached: {error}")


if __name__ == "__main__":
    main()

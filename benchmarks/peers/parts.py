"""The messages and the handlers that every peer has to take from one to the other."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from benchmarks.peers.work import built, event_handler, handler

KEPT = 1_000
EVENT_ID = UUID("0b8f9d5e-6a1c-4c1e-9b57-5a3f0d3c2e11")
"""A new id would cost as much as all the rest, everywhere."""

Publish = Callable[[Any], Awaitable[Any]]


class Repo(dict[int, str]):
    """Stands in for a database."""


class Clock:
    """Tells the time, and as cheaply as can be."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now


repo = Repo()
clock = Clock()


@dataclass(frozen=True, kw_only=True)
class Echo:
    number: int


class Happened:
    """An event."""


class OpenAndClose:
    """A command."""


class Opened:
    """An event. With fields it would cost all the same, and hide what is measured."""


class Closed:
    """Another."""


@dataclass(frozen=True, kw_only=True)
class JoinMeeting:
    meeting_id: int
    user: str


@dataclass(frozen=True, kw_only=True)
class MeetingFilled:
    meeting_id: int


@dataclass(frozen=True, kw_only=True)
class UserJoined:
    """An event for other processes."""

    event_id: UUID
    event_timestamp: datetime
    meeting_id: int
    user: str


class EchoHandler:
    """Does next to nothing, so that what stands out is the way to it."""

    @built
    def __init__(self, repo: Repo, clock: Clock) -> None:
        self.repo = repo
        self.clock = clock

    @handler
    async def handle(self, request: Echo) -> int:
        return request.number

    __call__ = handle


class WaitingHandler:
    def __init__(self, future: Awaitable[None]) -> None:
        self.future = future

    async def handle(self, request: Echo) -> None:
        await self.future

    __call__ = handle


@event_handler
async def on_happened(event: Happened) -> None:
    pass


@event_handler
async def on_opened(event: Opened) -> None:
    pass


@event_handler
async def on_closed(event: Closed) -> None:
    pass


class HappenedHandler:
    @event_handler
    async def handle(self, event: Happened) -> None:
        pass

    __call__ = handle


class OpenedHandler:
    @event_handler
    async def handle(self, event: Opened) -> None:
        pass

    __call__ = handle


class ClosedHandler:
    @event_handler
    async def handle(self, event: Closed) -> None:
        pass

    __call__ = handle


class OpenAndClosePublishing:
    """Publishes its events while it runs, where a peer does not collect them."""

    # Where events have to be of certain types, adapters have types of their own.
    opened: type = Opened
    closed: type = Closed

    def __init__(self, publish: Publish) -> None:
        self.publish = publish

    @handler
    async def handle(self, request: OpenAndClose) -> None:
        await self.publish(self.opened())
        await self.publish(self.closed())

    __call__ = handle


class JoinMeetingPublishing:
    """Publishes its events while it runs, where a peer does not collect them."""

    # As above.
    meeting_filled: Callable[..., Any] = MeetingFilled
    user_joined: Callable[..., Any] = UserJoined

    def __init__(self, repo: Repo, clock: Clock, publish: Publish) -> None:
        self.repo = repo
        self.clock = clock
        self.publish = publish

    @handler
    async def handle(self, request: JoinMeeting) -> None:
        self.repo[request.meeting_id] = request.user
        await self.publish(self.meeting_filled(meeting_id=request.meeting_id))
        await self.publish(
            self.user_joined(
                event_id=EVENT_ID,
                event_timestamp=self.clock.now(),
                meeting_id=request.meeting_id,
                user=request.user,
            )
        )

    __call__ = handle


class MeetingFilledHandler:
    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    @event_handler
    async def handle(self, event: MeetingFilled) -> None:
        self.repo.get(event.meeting_id)

    __call__ = handle


class Envelope(msgspec.Struct, frozen=True, gc=False):
    message_type: str
    message_name: str
    message_id: UUID
    payload: Any


class Broker:
    """What is written by hand where a peer knows no message broker."""

    def __init__(self) -> None:
        # As diator's does, it remembers what was published, encoded and not.
        self.published: deque[tuple[Envelope, bytes]] = deque(maxlen=KEPT)
        self._encode = msgspec.json.Encoder().encode

    def publish(self, event: Any) -> None:
        name = type(event).__name__
        envelope = Envelope("notification_event", name, event.event_id, event)
        self.published.append((envelope, self._encode(envelope)))

    def publish_json(self, name: str, payload: bytes) -> None:
        """Publish an event that has been encoded in a way of its own."""
        envelope = Envelope("notification_event", name, EVENT_ID, msgspec.Raw(payload))
        self.published.append((envelope, self._encode(envelope)))

    def bodies(self) -> Sequence[bytes]:
        return [body for _, body in self.published]


class UserJoinedHandler:
    """Publishes what it gets to the broker, where a peer does not do so by itself."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def handle(self, event: UserJoined) -> None:
        self.broker.publish(event)

    __call__ = handle

"""Messages and fakes that many tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from diator import DomainEvent, Mediator, NotificationEvent, Request
from diator.events.message_brokers.protocol import Message
from diator.middlewares.base import Handle


@dataclass(frozen=True)
class Do(Request[Any]):
    """A request, told apart by its name."""

    name: str = "it"


@dataclass(frozen=True)
class Happened(DomainEvent):
    """An event for this process."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Announced(NotificationEvent):
    """An event for other processes."""

    name: str


class FailedError(Exception):
    """What fakes raise when they are told to fail."""


class FakeBroker:
    """
    Remembers the names of the events it has taken, in batches.

    Args:
        refused: Events of these names are not taken.

    """

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.batches: list[list[str]] = []

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        names = [message.payload.name for message in messages]
        self.batches.append([name for name in names if name not in self.refused])
        return [FailedError(name) if name in self.refused else None for name in names]


class Listening:
    """
    A mediator and the names of what was emitted by it, in this order.

    Events for the broker appear as `broker: <name>`.

    Args:
        options: For the mediator.

    """

    def __init__(self, **options: Any) -> None:
        self.heard: list[str] = []
        self.mediator = Mediator(message_broker=self, **options)

        @self.mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            self.heard.append(event.name)

    async def publish(
        self, messages: Sequence[Message], /
    ) -> Sequence[Exception | None]:
        self.heard += [f"broker: {message.payload.name}" for message in messages]
        return [None for _ in messages]


class Retrying:
    """Tries once more when a request fails."""

    async def __call__(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except FailedError:
            return await handle(request)


class Swallowing:
    """Answers by itself when a request fails."""

    async def __call__(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except FailedError:
            return "swallowed"


async def pause(steps: int = 1) -> None:
    """Let other tasks run, for a number of steps of the event loop."""
    for _ in range(steps):
        await asyncio.sleep(0)


async def cancelled_after(
    steps: int, coroutine: Coroutine[Any, Any, Any]
) -> asyncio.Task[Any]:
    """Cancel a coroutine after some steps of the event loop, and wait for its end."""
    task = asyncio.create_task(coroutine)
    await pause(steps)
    task.cancel()
    await asyncio.wait([task])
    return task

"""
Where events wait until what raised them has succeeded.

Each attempt (a send, a try again within it, the handling of an event) has a
`Collector` of its own, held in the one context variable while it runs. What succeeds
hands its events outwards; what fails takes them with it. Who asks for `current` in a
child task finds the collector of the attempt that the task was started in.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from diator.events.event import Event
from diator.exceptions import NoSendError, NotAMessageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from contextvars import Token
    from types import TracebackType

    from diator.container.protocol import Owner
    from diator.container.scope import Scope

current: ContextVar[Collector | None] = ContextVar("diator_collector", default=None)


class Collector(list[Event]):
    """
    The events raised in one attempt, in the order of their raising.

    It is a list with four attributes, and without an `__init__`, because every send
    makes one: whoever makes it sets them.

    Attributes:
        owner: The mediator or emitter that the attempt belongs to; None once it is
            over, when raising an event would lose it.
        outer: The collector of the same owner that this one's events join.
        beyond: The collector, of another owner, that an outermost one runs in.
        scope: What the attempt shares with those inside it, once somebody asked.

    """

    __slots__ = ("beyond", "outer", "owner", "scope")

    owner: Owner | None
    outer: Collector | None
    beyond: Collector | None
    scope: Scope | None


def collect(event: Event) -> None:
    """
    Raise an event, from anywhere below a send.

    It is emitted after the outermost send has succeeded, exactly as if the handler
    had appended it to its `events`.

    Args:
        event: The event to raise.

    Raises:
        NoSendError: No send is running here, or it has ended already.
        NotAMessageError: It is no instance of `Event`.

    """
    if not isinstance(event, Event):
        msg = (
            f"{event!r} is not an event: raise an instance of a class "
            "that derives from diator.Event"
        )
        raise NotAMessageError(msg)
    collecting().append(event)


def collecting() -> Collector:
    """
    Give the collector of the attempt that is running here.

    Raises:
        NoSendError: No send is running here, or it has ended already.

    """
    collector = current.get()
    if collector is None:
        msg = (
            "no send is running here, so that an event could not leave: "
            "raise events in a handler, or in what a handler calls"
        )
        raise NoSendError(msg)
    if collector.owner is None:
        msg = (
            "the send that this task was started in has ended, so that an event "
            "could not leave any more: await the task in the handler, "
            "or let it send a request of its own"
        )
        raise NoSendError(msg)
    return collector


def enclosing(collector: Collector | None, owner: Owner) -> Collector | None:
    """Give the nearest open collector of an owner, from one on outwards."""
    while collector is not None and collector.owner is not None:
        if collector.owner is owner:
            return collector
        collector = collector.beyond if collector.outer is None else collector.outer
    return None


class RaisedEvents:
    """
    The `events` of a handler: those of the attempt that is running.

    They belong to the attempt and not to the handler, so that a handler which lives
    as long as the process shares nothing between sends. Assigning a list raises what
    is in it.
    """

    def __get__(self, handler: object | None, owner: type) -> Any:
        if handler is None:
            return self
        return collecting()

    def __set__(self, handler: object, events: Iterable[Event]) -> None:
        collector = current.get()
        # `self.events += [event]` assigns what it has extended already.
        if collector is not None and events is not collector:
            collector.extend(events)


class Attempt:
    """
    A context in which events only count when it is left without an exception.

    `with Attempt() as events:` gives the list that is being filled. It needs a send
    around it.
    """

    __slots__ = ("_events", "_outer", "_token")

    _token: Token[Collector | None]

    def __enter__(self) -> Collector:
        self._outer = outer = collecting()
        self._events = events = Collector()
        events.owner = outer.owner
        events.outer = outer
        events.beyond = None
        events.scope = None
        self._token = current.set(events)
        return events

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._events.owner = None
        current.reset(self._token)
        if error is None:
            self._outer.extend(self._events)


def attempt(handle: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """Drop the events of each call of `handle` that fails."""

    async def attempted(message: Any) -> Any:
        with Attempt():
            return await handle(message)

    return attempted

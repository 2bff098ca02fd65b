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


class Collector:
    """
    What an attempt that is running knows of itself.

    Every send makes one. It has no `__init__`, which would double what it costs:
    whoever makes one sets all its attributes but `passed`.

    Attributes:
        owner: The mediator or emitter that the attempt belongs to; None once it is
            over, when raising an event would lose it.
        outer: The collector around this one, whoever owns it.
        token: What making it the current one gave.
        emits: Whether its request was handled, and its events are being emitted.
        scope: What the attempt shares with those inside it, once somebody asked.
        events: What was raised, in the order of the raising; None if nothing was.
        passed: Whether an event that is emitted may pass to the broker.

    """

    __slots__ = ("emits", "events", "outer", "owner", "passed", "scope", "token")

    owner: Owner | None
    outer: Collector | None
    token: Token[Collector | None]
    emits: bool
    scope: Scope | None
    events: list[Event] | None
    passed: bool

    def raised(self) -> list[Event]:
        """Give the list of the events, to add to it."""
        if self.events is None:
            self.events = []
        return self.events


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
    if not isinstance(event, Event):  # pyright: ignore[reportUnnecessaryIsInstance]  # not everybody checks types
        msg = (
            f"{event!r} is not an event: raise an instance of a class "
            "that derives from diator.Event"
        )
        raise NotAMessageError(msg)
    collecting().raised().append(event)


def collecting() -> Collector:
    """
    Give the collector of the attempt that is running here.

    Raises:
        NoSendError: No send is running here, or it has ended already.

    """
    collector = current.get()
    if collector is None or collector.owner is None:
        msg = (
            "no send is running here, or it has ended, so that an event could not "
            "leave: raise events in a handler or in what it calls; a task that "
            "outlives the send it was started in has to send a request of its own"
        )
        raise NoSendError(msg)
    return collector


def enclosing(collector: Collector | None, owner: Owner | None) -> Collector | None:
    """
    Give the nearest open collector of an owner, from one on outwards.

    While a send emits its events, it is only there for the task that does so: a task
    that its handler left behind is on its own from then on.
    """
    while collector is not None and collector.owner is not None:
        if collector.emits and not _is_of_this_task(collector):
            return None
        if collector.owner is owner:
            return collector
        collector = collector.outer
    return None


def _is_of_this_task(collector: Collector) -> bool:
    """Tell the task that a collector was made in from those that were started in it."""
    here = current.get()
    try:
        # Only the context that a token was made in takes it back.
        current.reset(collector.token)
    except ValueError:
        return False
    collector.token = current.set(here)
    return True


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
        collector = current.get()
        if collector is None or collector.owner is None:
            collector = collecting()
        # As `raised()`, whose call would be a fifth of what this costs.
        if collector.events is None:
            collector.events = []
        return collector.events

    def __set__(self, handler: object, events: Iterable[Event]) -> None:
        collector = current.get()
        # `self.events += [event]` assigns what it has extended already.
        if collector is not None and events and events is not collector.events:
            collecting().raised().extend(events)


class Attempt:
    """
    A context in which events only count when it is left without an exception.

    `with Attempt() as attempt:` gives the collector. It needs a send around it.
    """

    __slots__ = ("_collector", "_outer")

    def __enter__(self) -> Collector:
        self._outer = outer = collecting()
        self._collector = collector = Collector()
        collector.owner = outer.owner
        collector.outer = outer
        collector.scope = collector.events = None
        collector.emits = False
        collector.token = current.set(collector)
        return collector

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        current.reset(self._collector.token)
        events = self._collector.events
        self._collector.owner = self._collector.events = None
        if events and error is None:
            self._outer.raised().extend(events)


def attempt(handle: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """Drop the events of each call of `handle` that fails."""

    async def attempted(message: Any) -> Any:
        with Attempt():
            return await handle(message)

    return attempted

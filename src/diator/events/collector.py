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

get_current, set_current = current.get, current.set
"""
Two methods of `current`, for where each call counts.

Of a method of an imported name, CPython makes an object for each call; both together
are a tenth of what a send costs.
"""


class Collector:
    """
    What an attempt that is running knows of itself.

    Every send makes one. It has no `__init__`, which would double what it costs:
    whoever makes one sets all its attributes.

    Attributes:
        owner: The mediator or emitter that the attempt belongs to; None once it is
            over, when raising an event would lose it.
        outer: The collector around this one, whoever owns it.
        scope: What the attempt shares with those inside it, once somebody asked.
        events: What was raised, in the order of the raising; None if nothing was.

    """

    __slots__ = ("events", "outer", "owner", "scope")

    owner: Owner | None
    outer: Collector | None
    scope: Scope | None
    events: list[Event] | None

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
    """Give the nearest open collector of an owner, from one on outwards."""
    while collector is not None and collector.owner is not None:
        if collector.owner is owner:
            return collector
        collector = collector.outer
    return None


def _raised_events(_handler: object) -> list[Event]:
    collector = current.get()
    if collector is None or collector.owner is None:
        collector = collecting()
    # As `raised()`, whose call would be a fifth of what this costs.
    if collector.events is None:
        collector.events = []
    return collector.events


def _raise_events(_handler: object, events: Iterable[Event]) -> None:
    collector = current.get()
    # A handler that is built outside a send may assign an empty list.
    if not events and (collector is None or collector.owner is None):
        return
    collector = collecting()
    if collector.events is None and isinstance(events, list):
        # Who keeps the list at hand may go on to append to it.
        collector.events = events
        return
    raised = collector.raised()
    known = {id(event) for event in raised}
    raised += [event for event in events if id(event) not in known]


raised_events: Any = property(_raised_events, _raise_events)
"""
The `events` of a handler: those of the attempt that is running.

They belong to the attempt and not to the handler, so that a handler which lives as long
as the process shares nothing between sends. Assigning a list raises what is in it and
was not raised yet. A property, because CPython is quick with those.
"""


class AttemptCollector(Collector):
    """The collector of a part of a send, which has no scope of its own."""

    __slots__ = ()


class EmissionCollector(Collector):
    """
    The collector of the events of a send, after the request was handled.

    Attributes:
        passed: The event that its chain let pass to the broker.

    """

    __slots__ = ("passed",)

    passed: Event | None


class Attempt:
    """
    A context in which events only count when it is left without an exception.

    `with Attempt() as attempt:` gives the collector. It needs a send around it.
    """

    __slots__ = ("_collector", "_outer", "_token")

    _token: Token[Collector | None]

    def __enter__(self) -> Collector:
        self._outer = outer = collecting()
        self._collector = collector = AttemptCollector()
        collector.owner = outer.owner
        collector.outer = outer
        collector.scope = collector.events = None
        self._token = current.set(collector)
        return collector

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        events = self._collector.events
        self._collector.owner = self._collector.outer = self._collector.events = None
        current.reset(self._token)
        if events and error is None:
            if self._outer.owner is None:
                msg = (
                    "the send has ended before this part of it, whose events are lost: "
                    "a middleware has to await what it starts"
                )
                raise NoSendError(msg)
            self._outer.raised().extend(events)


def attempt(handle: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """Drop the events of each call of `handle` that fails."""

    async def attempted(message: Any) -> Any:
        with Attempt():
            return await handle(message)

    return attempted

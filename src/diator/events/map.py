"""Which handlers an event goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from diator.events.event import Event
from diator.events.event_handler import EventHandler
from diator.exceptions import BindingError, InUseError
from diator.handler import Handler, check_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Concatenate, ParamSpec

    P = ParamSpec("P")

E = TypeVar("E", bound=Event)


class EventBinding(NamedTuple):
    """
    A handler and the type of event that it is bound to.

    Attributes:
        event_type: It gets the events of this type and of those derived from it.
        handler: Its class or function.
        concurrent: Whether it runs at the same time as its neighbours.

    """

    event_type: type[Event]
    handler: Handler
    concurrent: bool


class EventMap:
    """Any number of handlers for each type of event."""

    def __init__(self) -> None:
        self._bindings: list[EventBinding] = []
        self._in_use = False

    def bind(
        self,
        event_type: type[E],
        handler_type: type[EventHandler[E]]
        | Callable[Concatenate[E, P], Coroutine[Any, Any, None]],
        *,
        concurrent: bool = False,
    ) -> None:
        """
        Add a handler to those of a type of event.

        Args:
            event_type: A class that derives from `Event`; the handler gets the events
                of the types derived from it, too.
            handler_type: A class whose `handle` takes such an event, or an async
                function that does, as for `handles`.
            concurrent: Run it at the same time as the handlers bound right before and
                after it that are concurrent as well, in a scope of its own. Not for
                events that are handled in a transaction.

        Raises:
            BindingError: The type is no event, or the handler cannot handle it, or is
                bound to it already.
            InUseError: An event was emitted already.

        """
        _check_event_type(event_type)
        if self._in_use:
            msg = (
                f"a handler of {event_type.__name__} is bound too late: an event was "
                "emitted already; bind all handlers before the first send"
            )
            raise InUseError(msg)
        check_handler(handler_type, event_type, base=EventHandler)
        binding = EventBinding(event_type, handler_type, concurrent)
        for bound in self._bindings:
            if (bound.event_type, bound.handler) == (event_type, handler_type):
                msg = (
                    f"{handler_type.__qualname__} is bound to {event_type.__name__} "
                    "already, and gets each event once"
                )
                raise BindingError(msg)
        self._bindings.append(binding)

    def handles(
        self, event_type: type[E], *, concurrent: bool = False
    ) -> Callable[
        [Callable[Concatenate[E, P], Coroutine[Any, Any, None]]],
        Callable[Concatenate[E, P], Coroutine[Any, Any, None]],
    ]:
        """
        Make the decorated async function a handler of a type of event.

        It is called with the event; its other parameters are injected by their types.

        Args:
            event_type: As for `bind`.
            concurrent: As for `bind`.

        Raises:
            BindingError: As `bind` does.
            InUseError: As `bind` does.

        """
        _check_event_type(event_type)

        def bind(handler: Any) -> Any:
            self.bind(event_type, handler, concurrent=concurrent)
            return handler

        return bind

    def get(self, event_type: type[Event]) -> list[EventBinding]:
        """Give the handlers of a type and its bases, each once, in order of binding."""
        bindings: dict[Handler, EventBinding] = {}
        for binding in self._bindings:
            if issubclass(event_type, binding.event_type):
                bindings.setdefault(binding.handler, binding)
        return list(bindings.values())

    def freeze(self) -> None:
        """Refuse changes from here on, because somebody relies on what is there."""
        self._in_use = True

    def __iter__(self) -> Iterator[EventBinding]:
        return iter(self._bindings)


def _check_event_type(event_type: object) -> None:
    if isinstance(event_type, type) and issubclass(event_type, Event):
        return
    msg = (
        f"{event_type!r} is not a type of event: name a class that derives from "
        "diator.Event"
    )
    raise BindingError(msg)

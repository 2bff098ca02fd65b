"""What handles a request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from diator.events.collector import raised_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from diator.events.event import Event

Req_contra = TypeVar("Req_contra", contravariant=True)
Res_co = TypeVar("Res_co", covariant=True)
Item_co = TypeVar("Item_co", covariant=True)


class RequestHandler(ABC, Generic[Req_contra, Res_co]):
    """
    Handles the requests of one type.

    The container builds a new one for every try to handle a request, and passes what
    the parameters of its `__init__` ask for by their types.

    Attributes:
        events: Append an event here to raise it; it leaves once the outermost send
            has succeeded. A property of one's own may stand in its place.

    """

    __slots__ = ()

    # Read-only for type checkers, so that a read-only property may override it.
    if TYPE_CHECKING:

        @property
        def events(self) -> list[Event]:
            """Append an event here to raise it."""
            ...

    else:
        events = raised_events

    @abstractmethod
    async def handle(self, request: Req_contra) -> Res_co:
        """
        Handle a request.

        Args:
            request: The request, as the innermost middleware passed it on.

        Returns:
            The answer, which `Mediator.send` returns.

        """


class StreamHandler(ABC, Generic[Req_contra, Item_co]):
    """
    Handles the stream requests of one type.

    Attributes:
        events: As those of a `RequestHandler`; they leave when the stream has ended.

    """

    __slots__ = ()

    # Read-only for type checkers, so that a read-only property may override it.
    if TYPE_CHECKING:

        @property
        def events(self) -> list[Event]:
            """Append an event here to raise it."""
            ...

    else:
        events = raised_events

    @abstractmethod
    def handle(self, request: Req_contra) -> AsyncIterator[Item_co]:
        """
        Answer a request with items; most easily written as an async generator.

        Args:
            request: The request, as the innermost middleware passed it on.

        """

"""What is sent: a request, which says what it is answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol

# Only type checkers know defaults of type variables before Python 3.13.
if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import TypeVar

    # Covariant, so that a union of requests can be sent.
    Res_co = TypeVar("Res_co", covariant=True, default=Any)
    CommandRes_co = TypeVar("CommandRes_co", covariant=True, default=None)
else:
    from typing import TypeVar

    Res_co = TypeVar("Res_co", covariant=True)
    CommandRes_co = TypeVar("CommandRes_co", covariant=True)

QueryRes_co = TypeVar("QueryRes_co", covariant=True)
Item_co = TypeVar("Item_co", covariant=True)
AskedReq = TypeVar("AskedReq")
AskedRes = TypeVar("AskedRes")


class Request(Generic[Res_co]):
    """
    Anything that is sent to its one handler and answered by it.

    The type argument is the type of the answer: `Request[Meeting]` is answered with a
    `Meeting`. It is a mere marker without fields, so that dataclasses, attrs classes,
    `msgspec.Struct` and pydantic models can all be requests.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __asks__(self) -> Asked[Self, Res_co]: ...


class Command(Request[CommandRes_co]):
    """A request to change something, answered with None unless it says otherwise."""

    __slots__ = ()


class Query(Request[QueryRes_co]):
    """A request to read something: `Query[Meeting]` is answered with a `Meeting`."""

    __slots__ = ()


class StreamRequest(Generic[Item_co]):
    """A request that is answered with items, one after the other."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __streams__(self) -> Asked[Self, Item_co]: ...


class Asked(Generic[AskedReq, AskedRes]):
    """
    Ties a request to its answer, for type checkers alone.

    It is invariant on purpose: a covariant one would let a checker widen both to a
    union and accept the handler of another request.
    """


class Asking(Protocol[AskedReq, AskedRes]):
    """A `Request`, seen as what `bind` needs to know of it; for type checkers alone."""

    def __asks__(self) -> Asked[AskedReq, AskedRes]: ...


class Streaming(Protocol[AskedReq, AskedRes]):
    """A `StreamRequest`, seen as what `bind` needs to know of it."""

    def __streams__(self) -> Asked[AskedReq, AskedRes]: ...

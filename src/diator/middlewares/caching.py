"""Answer a query with what it was answered with a moment ago."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from diator.events.collector import Attempt, AttemptCollector, collecting, enclosing
from diator.exceptions import ConfigurationError
from diator.handler import qualified_name
from diator.requests.request import Query

if TYPE_CHECKING:
    from diator.middlewares.base import Handle

Key = Callable[[Any], Hashable | None]
"""Gives what an answer is found again by."""


def by_fields(query: Any) -> Hashable:
    """
    Have the answer found again by the type and the fields of the query.

    Raises:
        ConfigurationError: Queries of its type are only equal to themselves.

    """
    found: Any = query.__class__.__hash__
    if found is object.__hash__:
        raise ConfigurationError(_not_hashable(query, "it is equal to itself alone"))
    # If it is not hashable at all, hashing it says so.
    key: Hashable = query
    return key


class CachingMiddleware:
    """
    Keep the answers of queries for some time.

    It is for instances of `Query`; all other requests, streams and events pass. Place
    it inside of what asks who the caller is, for it answers everybody alike: an answer
    that depends on the caller needs a key that has them in it.

    - Answers are handed out as they are, again and again, so they must not be changed,
      nor need what ends with a send, such as a database session.
    - While a query is being handled, those that are equal wait for its answer, and get
      its failure, too. If it is cancelled, another of them takes its place.
    - Failures are not kept, nor is an answer for which events were raised: the next
      query raises its own.
    - Nested in another send, or in the handling of an event, a query goes to its
      handler, and its answer is not kept: it is to see what was changed around it and
      is not yet committed, and nobody else is. `mediator.independent().send(query)`
      asks for what is kept, wherever it is called.

    Args:
        ttl: How long an answer is kept, in seconds.
        key: Gives what the answer of a query is found again by, among those of its
            type; None for one whose answer is not kept. By its fields if left out, for
            which it has to be frozen.
        size: How many answers are kept at most. Those that were not asked for the
            longest go first.

    Raises:
        ConfigurationError: `ttl` or `size` is not above 0.

    """

    def __init__(self, ttl: float, *, key: Key = by_fields, size: int = 1024) -> None:
        if not (ttl > 0 and size > 0):
            msg = f"ttl and size must be above 0, not {ttl} and {size}"
            raise ConfigurationError(msg)
        self._ttl = ttl
        self._key = key
        self._size = size
        # In the order in which they were asked for, each with the time of its end.
        self._kept: OrderedDict[_Place, tuple[float, Any]] = OrderedDict()
        self._coming: dict[_Place, _Coming] = {}

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Answer a query with what is kept, or keep its answer.

        Raises:
            ConfigurationError: It is not hashable.

        """
        if not isinstance(request, Query) or _is_nested():
            return await handle(request)
        place = self._place(request)
        if place is None:
            return await handle(request)
        while True:
            if place in self._kept:
                end, answer = self._kept[place]
                if asyncio.get_running_loop().time() < end:
                    self._kept.move_to_end(place)
                    return answer
            coming = self._coming.get(place)
            if coming is None:
                return await self._handle(place, request, handle)
            # Unlike awaiting it, this does not cancel it for all.
            await asyncio.wait([coming])
            if not coming.cancelled():
                found = coming.result()
                return await handle(request) if found is None else found[0]

    def invalidate(self, query: Query[Any] | type[Query[Any]]) -> None:
        """
        Forget what is not true any more, such as in the handler of an event.

        An answer that is on its way is given to those who wait for it, but not kept.

        Args:
            query: A query, for the answer of its key; or a type, for the answers of
                all its queries and of those of types that derive from it.

        """
        if isinstance(query, type):
            for place in [*self._kept, *self._coming]:
                if issubclass(place[0], query):
                    self._forget(place)
        else:
            self._forget(self._place(query))

    async def _handle(self, place: _Place, request: Any, handle: Handle) -> Any:
        loop = asyncio.get_running_loop()
        coming: _Coming = loop.create_future()
        self._coming[place] = coming
        try:
            with Attempt() as attempt:
                answer = await handle(request)
                found = None if attempt.events else (answer,)
        except Exception as error:
            coming.set_exception(error)
            # Else asyncio reports it where nobody waits.
            coming.exception()
            raise
        except BaseException:
            coming.cancel()
            raise
        else:
            coming.set_result(found)
            if found is not None and self._coming.get(place) is coming:
                self._keep(place, loop.time() + self._ttl, answer)
            return answer
        finally:
            if self._coming.get(place) is coming:
                del self._coming[place]
            # The error that it may have refers to this frame.
            del coming

    def _keep(self, place: _Place, end: float, answer: Any) -> None:
        self._kept[place] = end, answer
        self._kept.move_to_end(place)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def _forget(self, place: _Place | None) -> None:
        if place is not None:
            self._kept.pop(place, None)
            # Who asks from now on is not to get what was read before.
            self._coming.pop(place, None)

    def _place(self, query: Any) -> _Place | None:
        key = self._key(query)
        if key is None:
            return None
        place = (query.__class__, key)
        try:
            hash(place)
        except TypeError as error:
            raise ConfigurationError(_not_hashable(query, str(error))) from error
        return place


_Place = tuple[type[Any], Hashable]

_Coming = asyncio.Future[tuple[Any] | None]
"""The answer in a tuple, None if it cannot be shared; cancelled, if it never comes."""


def _is_nested() -> bool:
    """Tell whether the send that is running here is a part of another, or of events."""
    collector: Any = collecting()
    while isinstance(collector, AttemptCollector):
        collector = collector.outer
    return enclosing(collector.outer, collector.owner) is not None


def _not_hashable(query: Any, reason: str) -> str:
    return (
        f"the answer of {qualified_name(query)} cannot be found again, for {reason}: "
        "make it a frozen dataclass whose fields are hashable, or pass key="
    )

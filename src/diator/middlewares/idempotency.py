"""Handle a request once, however often it is sent."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

import msgspec

from diator.exceptions import BindingError, ConfigurationError, IdempotencyError
from diator.requests.request import StreamRequest

if TYPE_CHECKING:
    from diator.middlewares.base import Handle

Key = Callable[[Any], str | None]
"""Gives what a request is known again by."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """
    What a request was answered with.

    Attributes:
        fingerprint: What the fields of the request are known again by.
        answer: The answer.

    """

    fingerprint: str
    answer: Any


class Claim(Protocol):
    """The right to handle the request of a key, held by one at a time."""

    @property
    def kept(self) -> KeptAnswer | None:
        """The answer that the key has, None if it has none."""

    async def keep(self, kept: KeptAnswer, /) -> None:
        """Give the key its answer."""


class IdempotencyStore(Protocol):
    """Where answers are kept by their keys."""

    def claim(
        self, request_type: type[Any], key: str, /
    ) -> AbstractAsyncContextManager[Claim]:
        """
        Wait until nobody else has the key, and claim it until the context is left.

        Left without an answer, by an exception or a crash, the key is free again.

        Args:
            request_type: The type of the request. Each has keys of its own.
            key: The key.

        """
        ...


class InMemoryIdempotencyStore:
    """
    Keeps answers in this process, for as long as it lives.

    Args:
        ttl: How long an answer is kept, in seconds: a day unless said.
        size: How many answers are kept at most. The oldest go first.

    Raises:
        ConfigurationError: One of them is not above 0.

    """

    def __init__(self, *, ttl: float = 86_400, size: int = 10_000) -> None:
        if not (ttl > 0 and size > 0):
            msg = f"ttl and size must be above 0, not {ttl} and {size}"
            raise ConfigurationError(msg)
        self._ttl = ttl
        self._size = size
        # In the order of their keeping, and so of their end.
        self._kept: dict[_Place, tuple[float, KeptAnswer]] = {}
        # There for as long as somebody has it, or waits for it.
        self._locks: WeakValueDictionary[_Place, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def claim(
        self, request_type: type[Any], key: str, /
    ) -> AsyncGenerator[Claim]:
        """Wait until nobody else has the key, and claim it."""
        place = (request_type, key)
        lock = self._locks.setdefault(place, asyncio.Lock())
        async with lock:
            self._drop_old()
            yield _ClaimInMemory(self, place)

    def get(self, place: _Place) -> KeptAnswer | None:
        """Give the answer of a key."""
        return self._kept[place][1] if place in self._kept else None

    def put(self, place: _Place, kept: KeptAnswer) -> None:
        """Give a key its answer."""
        end = asyncio.get_running_loop().time() + self._ttl
        self._kept[place] = end, kept
        if len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]

    def _drop_old(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._kept:
            place, (end, _) = next(iter(self._kept.items()))
            if end > now:
                break
            del self._kept[place]


class IdempotencyMiddleware:
    """
    Handle a request once for each key, and answer those that follow with the same.

    One that is sent while the first is being handled waits for its answer; should the
    first one fail or be cancelled, the next takes its place. Failures are not kept.
    The answer is that of the first, without its events, which have left already.

    Keys belong to a type of request. Where clients choose them, let them have the
    client in them (`lambda request: f"{request.user_id}:{request.key}"`), or one is
    answered with what another was. A request must not send one of its own type and
    key, for it would wait for itself.

    An answer is kept when the rest of the chain has succeeded: so it belongs outside
    of the `TransactionMiddleware`. In a send that is nested in a transaction, that is
    before the commit; what is rolled back then counts as handled, unless the store
    keeps its answers in that transaction. Around events it works, too: one that was
    handled already is let go. Streams cannot be answered again.

    Args:
        key: Gives the key of a request; None for one that is just handled.
        store: Where answers are kept; in memory if left out.

    """

    def __init__(self, key: Key, store: IdempotencyStore | None = None) -> None:
        self._key = key
        self._store = InMemoryIdempotencyStore() if store is None else store

    async def __call__(self, request: Any, handle: Handle) -> Any:
        """
        Pass a request on, unless its key has an answer.

        Raises:
            IdempotencyError: A request with other fields had the key.
            BindingError: It is a stream with a key.

        """
        key = self._key(request)
        if key is None:
            return await handle(request)
        request_type: type[Any] = request.__class__
        if isinstance(request, StreamRequest):
            msg = (
                f"{request_type.__qualname__} is answered with a stream, which nobody "
                "keeps: leave it out with only=, or give it no key"
            )
            raise BindingError(msg)
        # Before it is handled, which may change it.
        fingerprint = _fingerprint(request)
        async with self._store.claim(request_type, key) as claim:
            kept = claim.kept
            if kept is None:
                kept = KeptAnswer(fingerprint, await handle(request))
                await claim.keep(kept)
        if kept.fingerprint != fingerprint:
            raise IdempotencyError(request, key)
        return kept.answer


_Place = tuple[type[Any], str]


class _ClaimInMemory:
    def __init__(self, store: InMemoryIdempotencyStore, place: _Place) -> None:
        self._store = store
        self._place = place

    @property
    def kept(self) -> KeptAnswer | None:
        return self._store.get(self._place)

    async def keep(self, kept: KeptAnswer, /) -> None:
        self._store.put(self._place, kept)


def _fingerprint(request: Any) -> str:
    """Digest the fields of a request, so that they need not be kept themselves."""
    try:
        content = msgspec.json.encode(request, enc_hook=repr, order="deterministic")
    except (TypeError, ValueError):
        # A mapping, say, whose keys are no strings.
        content = repr(request).encode()
    return hashlib.sha256(content).hexdigest()

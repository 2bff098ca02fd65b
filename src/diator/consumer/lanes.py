"""Whose turn it is: what has the same key waits for what came before it."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """
    Items that wait for their turn.

    Those in the same lane have it one after the other, in their order. All others have
    it at once.
    """

    def __init__(self) -> None:
        self._ready: deque[T] = deque()
        # A lane is there for as long as an item of it has its turn, or waits for it.
        self._lanes: dict[Hashable, deque[T]] = {}

    def add(self, item: T, lane: Hashable | None) -> None:
        """Have an item wait, in a lane if there is one for it."""
        if lane is not None:
            if lane in self._lanes:
                self._lanes[lane].append(item)
                return
            self._lanes[lane] = deque()
        self._ready.append(item)

    def take(self) -> T | None:
        """Give the next item that has its turn, None if there is none."""
        return self._ready.popleft() if self._ready else None

    def again(self, item: T) -> None:
        """Have an item wait that had its turn, and keeps its lane."""
        self._ready.append(item)

    def leave(self, lane: Hashable | None) -> None:
        """Say that the item of a lane that had its turn has had it."""
        if lane is None:
            return
        if self._lanes[lane]:
            self._ready.append(self._lanes[lane].popleft())
        else:
            del self._lanes[lane]

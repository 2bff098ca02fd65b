"""Messages that were put aside, because they could not be handled or published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """
    A message that was put aside.

    Attributes:
        letter_id: What it is known by where it lies.
        topic: What it was published under.
        message_name: The name of its type, empty where nothing told it.
        message_id: Its id, likewise.
        key: Its key, if it has one.
        cause: Why it was put aside.
        attempts: How often it had been tried.
        died_at: When it was put aside, in UTC.
        headers: What travelled beside the body.
        body: Its body, or, of one that was not published, its payload.

    """

    letter_id: str
    topic: str
    message_name: str
    message_id: str
    key: str | None
    cause: str
    attempts: int
    died_at: datetime
    headers: dict[str, str] = field(default_factory=dict[str, str])
    # What it says is for who asks for it, and not for logs.
    body: bytes = field(repr=False)


class DeadLetters(Protocol):
    """Where dead letters lie."""

    async def list(
        self, limit: int = 100, *, after: DeadLetter | None = None
    ) -> Sequence[DeadLetter]:
        """
        Give the oldest ones.

        Args:
            limit: How many at most.
            after: The last one that was given before, to go on from there, also where
                it is gone; from the beginning, if left out.

        """
        ...

    async def get(self, letter_id: str) -> DeadLetter:
        """
        Give one.

        Raises:
            LookupError: There is none with this id.

        """
        ...

    async def replay(self, letter_ids: Sequence[str]) -> int:
        """
        Put some where they came from, to be tried again from the first attempt on.

        Returns:
            How many there were; the others are gone already.

        """
        ...

    async def drop(self, letter_ids: Sequence[str]) -> int:
        """
        Delete some for good.

        Returns:
            How many there were; the others are gone already.

        """
        ...

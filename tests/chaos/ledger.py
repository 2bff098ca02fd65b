"""What became of what was committed: lost, duplicated, stuck, out of order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Fact = tuple[str, int]
"""A key, and a number that counts upwards with the key's facts."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """
    What was committed, held against what was seen of it elsewhere.

    Attributes:
        committed: How many facts there are.
        lost: Those that were never seen.
        invented: Those that were seen and never committed.
        duplicated: How many were seen that had been seen before.
        reordered: Those that were seen first after a later one with the same key.

    """

    committed: int
    lost: frozenset[Fact]
    invented: frozenset[Fact]
    duplicated: int
    reordered: tuple[Fact, ...]

    def __str__(self) -> str:
        return (
            f"{self.committed:,} committed, {len(self.lost):,} lost, "
            f"{len(self.invented):,} invented, {self.duplicated:,} duplicated, "
            f"{len(self.reordered):,} out of order"
        )


def compare(committed: Iterable[Fact], seen: Iterable[Fact]) -> Ledger:
    """Hold what was committed against what was seen, in the order of seeing."""
    expected = set(committed)
    seen = list(seen)
    latest: dict[str, int] = {}
    reordered = []
    for key, number in dict.fromkeys(seen):
        if number < latest.get(key, number):
            reordered.append((key, number))
        else:
            latest[key] = number
    return Ledger(
        committed=len(expected),
        lost=frozenset(expected.difference(seen)),
        invented=frozenset(seen) - expected,
        duplicated=len(seen) - len(set(seen)),
        reordered=tuple(reordered),
    )

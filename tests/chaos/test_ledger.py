"""The ledger finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.chaos.ledger import compare

COMMITTED = [("a", 0), ("a", 1), ("b", 0)]


class TestCompare:
    @pytest.mark.parametrize(
        "seen",
        [
            [("a", 0), ("a", 1), ("b", 0)],
            [("b", 0), ("a", 0), ("a", 1)],
        ],
    )
    def test_all_is_well(self, seen):
        """What was seen once, in order for each key, is in order."""
        ledger = compare(COMMITTED, seen)

        assert ledger == compare(COMMITTED, COMMITTED)
        assert str(ledger) == (
            "3 committed, 0 lost, 0 invented, 0 duplicated, 0 out of order"
        )

    def test_lost(self):
        """What was not seen is lost."""
        assert compare(COMMITTED, COMMITTED[1:]).lost == {("a", 0)}

    def test_invented(self):
        """What was never committed is invented."""
        assert compare(COMMITTED, [*COMMITTED, ("c", 0)]).invented == {("c", 0)}

    def test_reordered(self):
        """What is seen after a later one with its key is out of order."""
        seen = [("a", 1), ("b", 0), ("a", 0)]

        assert compare(COMMITTED, seen).reordered == (("a", 0),)

    def test_duplicated(self):
        """What is seen again counts as a duplicate, and not as out of order."""
        ledger = compare(COMMITTED, [*COMMITTED, *COMMITTED])

        assert ledger.duplicated == 3
        assert ledger.reordered == ()

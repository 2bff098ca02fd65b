"""How long to wait before trying again."""

from __future__ import annotations

import pytest

from diator.backoff import Backoff


class TestBackoff:
    def test_doubling(self):
        """It doubles, up to the longest, less a random part of at most a half."""
        backoff = Backoff(first=1.0, longest=10.0)

        for failures, longest in [(1, 1), (2, 2), (4, 8), (5, 10), (10_000, 10)]:
            delays = {backoff.delay(failures) for _ in range(50)}
            assert all(longest / 2 <= delay <= longest for delay in delays)
            assert len(delays) > 1

    @pytest.mark.parametrize("first, longest", [(0, 1), (-1, 1), (2, 1)])
    def test_limits(self, first: float, longest: float):
        """It has to begin, and not to end before that."""
        with pytest.raises(ValueError, match="a backoff cannot begin with"):
            Backoff(first=first, longest=longest)

"""When to try again."""

from __future__ import annotations

import pytest

from diator.consumer.retry import (
    MAX_CAUSE_LENGTH,
    Backoff,
    causes,
    described,
    is_transient,
)
from diator.exceptions import (
    DecodingError,
    EventError,
    EventHandlingError,
    EventsError,
    ValidationError,
)
from tests.unit.fakes import Happened


def failed(cause: BaseException) -> EventHandlingError:
    error = EventHandlingError(Happened("it"), TestDescribed)
    error.__cause__ = cause
    return error


class WithoutTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


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


class TestIsTransient:
    def test_default(self):
        """Errors of diator come again, others may pass."""
        assert is_transient(ConnectionError())
        assert is_transient(KeyError())
        assert not is_transient(ValidationError("it", []))
        assert not is_transient(DecodingError())


class TestCauses:
    def test_groups_and_events(self):
        """What counts is what failed in the first place."""
        first, second, third = KeyError(), OSError(), EventError("it", "refused")
        error = EventsError(
            "", [failed(first), failed(ExceptionGroup("", [second])), third]
        )

        assert list(causes(error)) == [first, second, third]
        assert list(causes(first)) == [first]


class TestDescribed:
    def test_lines(self):
        """It says what failed, where and why."""
        error = EventsError("", [failed(KeyError("a")), failed(OSError())])

        assert described(error) == (
            "EventHandlingError: TestDescribed failed at Happened; KeyError: 'a'; "
            "EventHandlingError: TestDescribed failed at Happened; OSError"
        )

    def test_anything(self):
        """It is a text that any broker can keep, whatever the error is."""
        assert described(WithoutTextError()) == "WithoutTextError"
        assert described(ValueError("\ud800")) == r"ValueError: \ud800"
        assert len(described(ValueError("x" * 10_000))) == MAX_CAUSE_LENGTH

"""What an attempt failed by, and what is said of it."""

from __future__ import annotations

from diator.consumer.failures import MAX_CAUSE_LENGTH, causes, described
from diator.exceptions import EventError, EventHandlingError, EventsError
from tests.unit.fakes import Happened


def failed(cause: BaseException) -> EventHandlingError:
    error = EventHandlingError(Happened("it"), TestDescribed)
    error.__cause__ = cause
    return error


class WithoutTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


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

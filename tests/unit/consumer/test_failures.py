"""What an attempt failed by, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import structlog

from diator.consumer.failures import MAX_CAUSE_LENGTH, causes, described, place_of
from diator.exceptions import EventError, EventHandlingError, EventsError
from diator.messages.registry import MessageRegistry
from tests.unit.fakes import Happened


def failed(cause: BaseException) -> EventHandlingError:
    error = EventHandlingError(Happened("it"), TestDescribed)
    error.__cause__ = cause
    return error


def fail(text: str) -> None:
    raise ValueError(text)


LINE_OF_FAIL = fail.__code__.co_firstlineno + 1


def throw(error: Exception) -> None:
    raise error


def raised(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001  # whatever it raises
        # Without the frame of this function.
        return error.with_traceback(error.__traceback__.tb_next)
    pytest.fail("nothing was raised")


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
        errors = [ValueError("x" * 10_000)] * 3
        assert len(described(ExceptionGroup("", errors))) == MAX_CAUSE_LENGTH

    def test_places(self):
        """Behind each cause stands where it was raised, however long its text is."""
        cause = raised(lambda: fail("x" * 10_000))
        place = f"consumer/test_failures.py:{LINE_OF_FAIL} in fail"

        assert described(failed(cause)).endswith(f"xxx ({place})")
        assert described(failed(cause), places=False).endswith("xxx")

    def test_wrapped(self):
        """What is merely said of a cause has no place of its own."""
        error = raised(lambda: throw(failed(KeyError("a"))))

        assert described(error) == (
            "EventHandlingError: TestDescribed failed at Happened; KeyError: 'a'"
        )


class TestPlaceOf:
    def test_function(self):
        """A place is a file with its folder, a line, and a function."""
        place = f"consumer/test_failures.py:{LINE_OF_FAIL} in fail"

        assert place_of(raised(lambda: fail(""))) == place

    @pytest.mark.parametrize(
        "of_others",
        [
            lambda: json.loads("{"),
            lambda: structlog.stdlib.add_log_level_number(None, "none", {}),
            lambda: MessageRegistry().entry(int),
            lambda: exec("1 / 0", {}),  # as dataclasses do
        ],
        ids=["standard library", "site-packages", "diator", "generated"],
    )
    def test_code_of_others(self, of_others):
        """What is raised in the code of others is told where it was called."""
        place = place_of(raised(of_others))

        assert place.startswith("consumer/test_failures.py:")
        assert place.endswith("in TestPlaceOf.<lambda>")

    def test_dist_packages(self):
        """Packages of a distribution are those of others, too."""
        code = compile("def call(f): f()", "/usr/lib/dist-packages/a/b.py", "exec")
        names = {}
        exec(code, names)

        called = raised(lambda: names["call"](None))

        assert place_of(called).endswith(
            "in TestPlaceOf.test_dist_packages.<locals>.<lambda>"
        )

    def test_nothing_of_its_own(self):
        """Where all is code of others, it is the innermost of it."""
        error = raised(lambda: json.loads("{"))
        error.__traceback__ = error.__traceback__.tb_next.tb_next

        assert place_of(error).startswith("json/decoder.py:")

    def test_not_raised(self):
        """What was never raised has no place."""
        assert place_of(KeyError()) is None

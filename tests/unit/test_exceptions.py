"""Every error."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from diator import exceptions
from diator.exceptions import (
    AuthorisationError,
    CascadeError,
    ConcurrencyLimitError,
    DeadlineExceededError,
    DiatorError,
    EventError,
    EventHandlingError,
    EventPublishingError,
    EventsError,
    HandlerNotFoundError,
    IdempotencyError,
    ValidationError,
    WiringError,
)
from tests.unit.fakes import Do, FakeBroker, Happened

ERRORS = [
    error
    for error in vars(exceptions).values()
    if inspect.isclass(error) and issubclass(error, BaseException)
]


async def handle(event: Happened) -> None: ...


EVENT_ERRORS = [
    EventError(Happened("it"), "it failed"),
    EventHandlingError(Happened("it"), handle),
    EventHandlingError(Happened("it"), FakeBroker),
    EventPublishingError(Happened("it"), "broker", "it is full"),
    CascadeError(Happened("it"), [Happened, Do, Happened]),
]


def restored(error: Any) -> Any:
    return pickle.loads(pickle.dumps(error))


class TestErrors:
    @pytest.mark.parametrize("error", ERRORS)
    def test_family(self, error: type[BaseException]):
        """Every error is a DiatorError, and none is more than an Exception."""
        assert issubclass(error, DiatorError)
        assert issubclass(error, Exception)

    def test_builtin_bases(self):
        """Errors are also of the builtin kind that they are like."""
        assert issubclass(exceptions.BindingError, TypeError)
        assert issubclass(exceptions.ConfigurationError, ValueError)
        assert issubclass(exceptions.HandlerNotFoundError, LookupError)
        assert issubclass(exceptions.InUseError, RuntimeError)


class TestEventError:
    @pytest.mark.parametrize("error", EVENT_ERRORS)
    @pytest.mark.parametrize("copied", [restored, copy.copy])
    def test_copied(self, error: EventError, copied: Any):
        """An error of an event crosses processes with all that it knows."""
        other = copied(error)

        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)

    def test_cascade(self):
        """The error of a cascade names the cycle."""
        error = CascadeError(Happened("it"), [Happened, Do, Happened])

        assert error.cycle == (Happened, Do, Happened)
        assert str(error).endswith("Happened → Do → Happened")


class TestEventsError:
    def group(self) -> EventsError:
        error = EventsError("not all events", EVENT_ERRORS)
        error.response = "answer"
        return error

    def test_copied(self):
        """The group crosses processes with its answer."""
        error = restored(self.group())

        assert isinstance(error, EventsError)
        assert error.response == "answer"
        assert len(error.exceptions) == len(EVENT_ERRORS)

    def test_answer_of_parts(self):
        """Parts of a group have its answer."""
        good, bad = self.group().split(EventPublishingError)

        assert isinstance(good, EventsError)
        assert isinstance(bad, EventsError)
        assert good.response == bad.response == "answer"
        assert len(good.exceptions) == 1

    def test_no_answer(self):
        """Where there was no request, the answer is None."""
        assert EventsError("not all events", EVENT_ERRORS).response is None


class TestWiringError:
    def test_parts(self):
        """Parts of what a check found are of its type."""
        error = WiringError(
            "not wired", [HandlerNotFoundError("a"), EventError(1, "b")]
        )

        part = error.subgroup(HandlerNotFoundError)

        assert isinstance(part, WiringError)
        assert [str(member) for member in part.exceptions] == ["a"]


class TestValidationError:
    def error(self) -> ValidationError:
        return ValidationError(Do(), [("name", "is empty"), ("", "is of no use")])

    def test_message(self):
        """It tells every finding, with the path to the field."""
        assert str(self.error()) == "Do is not valid: name: is empty; is of no use"
        assert self.error().findings == (("name", "is empty"), ("", "is of no use"))

    def test_copied(self):
        """It crosses processes with all that it knows."""
        error = restored(self.error())

        assert isinstance(error, ValidationError)
        assert error.request == Do()
        assert error.findings == self.error().findings
        assert str(error) == str(self.error())


class TestDeadlineExceededError:
    def test_copied(self):
        """It crosses processes with all that it knows."""
        error = restored(DeadlineExceededError(Do(), 0.5))

        assert isinstance(error, DeadlineExceededError)
        assert isinstance(error, TimeoutError)
        assert (error.request, error.seconds) == (Do(), 0.5)
        assert str(error) == "Do took longer than 0.5 s"


class TestIdempotencyError:
    def test_copied(self):
        """It crosses processes with all that it knows."""
        error = restored(IdempotencyError(Do(), "k1"))

        assert isinstance(error, IdempotencyError)
        assert (error.request, error.key) == (Do(), "k1")
        assert "Do has the key 'k1' of an earlier one" in str(error)


class TestConcurrencyLimitError:
    def test_copied(self):
        """It crosses processes with all that it knows."""
        error = restored(ConcurrencyLimitError(Do(), 2, 3))

        assert isinstance(error, ConcurrencyLimitError)
        assert (error.request, error.limit, error.waiting) == (Do(), 2, 3)
        assert str(error).startswith("Do was refused: 2 are being handled and 3 are")


class TestAuthorisationError:
    def test_copied(self):
        """It crosses processes with all that it knows."""
        error = restored(AuthorisationError(Do(), "it is late"))

        assert isinstance(error, AuthorisationError)
        assert isinstance(error, PermissionError)
        assert (error.request, error.reason) == (Do(), "it is late")
        assert str(error) == "Do is not allowed: it is late"

"""What is worth another attempt."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError, ProgrammingError

from diator.consumer.retry import is_outage, is_transient
from diator.exceptions import DecodingError, EventsError, ValidationError


class TestIsTransient:
    def test_default(self):
        """Errors of diator come again, others may pass."""
        assert is_transient(ConnectionError())
        assert is_transient(KeyError())
        assert not is_transient(ValidationError("it", []))
        assert not is_transient(DecodingError())


class TestIsOutage:
    @pytest.mark.parametrize(
        "error",
        [
            ConnectionRefusedError(),
            OperationalError("", {}, Exception()),
            InterfaceError("", {}, Exception()),
            EventsError("", [KeyError(), ConnectionError()]),
        ],
    )
    def test_out_of_reach(self, error: BaseException):
        """Something that cannot be reached is an outage, also among other failures."""
        assert is_outage(error)

    @pytest.mark.parametrize(
        "error", [KeyError(), TimeoutError(), ProgrammingError("", {}, Exception())]
    )
    def test_others(self, error: BaseException):
        """Everything else may be about the message."""
        assert not is_outage(error)

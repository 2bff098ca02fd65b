"""What is worth another attempt."""

from __future__ import annotations

from diator.consumer.retry import is_transient
from diator.exceptions import DecodingError, ValidationError


class TestIsTransient:
    def test_default(self):
        """Errors of diator come again, others may pass."""
        assert is_transient(ConnectionError())
        assert is_transient(KeyError())
        assert not is_transient(ValidationError("it", []))
        assert not is_transient(DecodingError())

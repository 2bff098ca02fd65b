"""What errors are in HTTP: the problem details of RFC 9457."""

from __future__ import annotations

from typing import Any

import msgspec

from diator.exceptions import (
    AuthorisationError,
    ConcurrencyLimitError,
    DeadlineExceededError,
    ValidationError,
)
from examples.frameworks.shop import OrderNotFoundError

STATUS: dict[type[Exception], int] = {
    AuthorisationError: 403,
    OrderNotFoundError: 404,
    msgspec.DecodeError: 422,  # where a body is read as a request by msgspec
    ValidationError: 422,
    ConcurrencyLimitError: 503,
    DeadlineExceededError: 504,
}
"""All that is no fault of the program; anything else stays a 500."""


def problem(error: Exception) -> tuple[int, dict[str, Any]]:
    """Give the status of one of these errors, and the body that tells of it."""
    status = next(STATUS[each] for each in type(error).__mro__ if each in STATUS)
    body: dict[str, Any] = {"title": str(error), "status": status}
    if isinstance(error, ValidationError):
        body["errors"] = [
            {"field": path, "detail": finding} for path, finding in error.findings
        ]
    return status, body

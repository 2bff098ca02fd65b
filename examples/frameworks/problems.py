"""What errors are in HTTP: the problem details of RFC 9457."""

from __future__ import annotations

from collections.abc import Iterable
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
    # Where msgspec reads a body as a request: it is no JSON, or no such request.
    msgspec.DecodeError: 400,
    msgspec.ValidationError: 422,
    ValidationError: 422,
    ConcurrencyLimitError: 503,
    DeadlineExceededError: 504,
}
"""All that is no fault of the program; anything else stays a 500."""


def problem(error: Exception) -> tuple[int, dict[str, Any]]:
    """Give the status of one of these errors, and the body that tells of it."""
    status = next(STATUS[each] for each in type(error).__mro__ if each in STATUS)
    if isinstance(error, ValidationError):
        return status, invalid(str(error), error.findings)
    if isinstance(error, msgspec.ValidationError):
        # It tells of the first finding only, as "Expected … - at `$.path`".
        finding, _, path = str(error).partition(" - at `$")
        return status, invalid(str(error), [(path.strip(".`"), finding)])
    return status, {"title": str(error), "status": status}


def invalid(title: str, findings: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Make the body that tells of a request which breaks its own rules."""
    errors = [{"field": path, "detail": finding} for path, finding in findings]
    return {"title": title, "status": 422, "errors": errors}

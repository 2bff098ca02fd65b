"""What an attempt failed by, and what to say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from diator.exceptions import EventError

# What is put aside is for people to read, who need no more of it.
MAX_CAUSE_LENGTH = 2_000


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give what an error comes from: the members of groups, what failed at an event."""
    if isinstance(error, BaseExceptionGroup):
        for member in _members(error):
            yield from causes(member)
    elif isinstance(error, EventError) and error.__cause__ is not None:
        yield from causes(error.__cause__)
    else:
        yield error


def described(error: BaseException) -> str:
    """Say what an error is, in words that any broker can keep."""
    text = "; ".join(_sentences(error))[:MAX_CAUSE_LENGTH]
    return text.encode(errors="backslashreplace").decode()


def _sentences(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for member in _members(error):
            yield from _sentences(member)
        return
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # whatever its author did wrong
        text = ""
    yield f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, EventError) and error.__cause__ is not None:
        yield from _sentences(error.__cause__)


def _members(group: Any) -> tuple[BaseException, ...]:
    members: tuple[BaseException, ...] = group.exceptions
    return members

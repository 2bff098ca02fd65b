"""What an attempt failed by, and what to say of it."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from diator.exceptions import EventError

if TYPE_CHECKING:
    from types import FrameType

# What is put aside is for people to read, who need no more of it.
MAX_CAUSE_LENGTH = 2_000

# So that the place where it was raised is not cut off behind it.
MAX_TEXT_LENGTH = 1_000

# A name in angle brackets is that of code that was generated, or frozen.
_OTHERS = (
    "<",
    str(Path(__file__).parents[1]) + os.sep,
    sysconfig.get_path("stdlib") + os.sep,
)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Give what an error comes from: the members of groups, what failed at an event."""
    if isinstance(error, BaseExceptionGroup):
        for member in _members(error):
            yield from causes(member)
    elif isinstance(error, EventError) and error.__cause__ is not None:
        yield from causes(error.__cause__)
    else:
        yield error


def described(error: BaseException, *, places: bool = True) -> str:
    """
    Say what an error is, in words that any broker can keep.

    Args:
        error: The error.
        places: Whether to say where its causes were raised.

    """
    text = "; ".join(_sentences(error, places=places))[:MAX_CAUSE_LENGTH]
    return text.encode(errors="backslashreplace").decode()


def place_of(error: BaseException) -> str | None:
    """
    Say where an error was raised: the innermost line that is the application's own.

    Returns:
        Such as `mails/handlers.py:17 in write_mail`; a line of a library's or of
        diator's where there is no other, None where it was not raised at all.

    """
    last: tuple[FrameType, int] | None = None
    own: tuple[FrameType, int] | None = None
    for last in walk_tb(error.__traceback__):
        if _is_own(last[0].f_code.co_filename):
            own = last
    if last is None:
        return None
    frame, line = own or last
    path = Path(frame.f_code.co_filename)
    return f"{'/'.join(path.parts[-2:])}:{line} in {frame.f_code.co_qualname}"


def _is_own(filename: str) -> bool:
    return not filename.startswith(_OTHERS) and not (
        {"site-packages", "dist-packages"} & {*Path(filename).parts}
    )


def _sentences(error: BaseException, *, places: bool) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for member in _members(error):
            yield from _sentences(member, places=places)
        return
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # whatever its author did wrong
        text = ""
    name = type(error).__name__
    sentence = f"{name}: {text[:MAX_TEXT_LENGTH]}" if text else name
    if isinstance(error, EventError) and error.__cause__ is not None:
        yield sentence
        yield from _sentences(error.__cause__, places=places)
        return
    place = place_of(error) if places else None
    yield sentence if place is None else f"{sentence} ({place})"


def _members(group: Any) -> tuple[BaseException, ...]:
    members: tuple[BaseException, ...] = group.exceptions
    return members

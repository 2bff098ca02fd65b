"""What is made of Redis's answers, and of there being none."""

from __future__ import annotations

from typing import Any

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)

# Answers that say nothing about the message: Redis would refuse any other as well. For
# the last of them redis-py has no classes, and leaves their names in the text.
OF_THE_BROKER = (
    AskError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
OF_THE_BROKER_BY_NAME = ("MISCONF ", "NOREPLICAS ", "BUSY ", "UNKILLABLE ")


def outcome_of(reply: Any) -> Exception | None:
    """
    Make of a reply what is said of a message that was to be published.

    Args:
        reply: What `exchange` gave for it.

    Returns:
        None if Redis has taken it; a `ConnectionError` where Redis takes none for the
        time being; else Redis's own answer, which is about this message.

    """
    if not isinstance(reply, Exception):
        return None
    if isinstance(reply, NoPermissionError) and "to run the" not in str(reply):
        # It is about the key, and others may go to streams that are allowed.
        return reply
    if isinstance(reply, OF_THE_BROKER) or str(reply).startswith(OF_THE_BROKER_BY_NAME):
        return nothing_written(reply)
    return reply


def nothing_written(reason: Exception) -> ConnectionError:
    """Say that the broker takes no messages, for what reason."""
    failure = ConnectionError(f"nothing was written: {reason}")
    failure.__cause__ = without_frames(reason)
    return failure


def no_reply(told: str, lacking: str, error: Exception, seconds: float) -> Exception:
    """
    Say that there is no answer.

    Args:
        told: What that means for what was to be sent.
        lacking: What there is none of.
        error: The reason.
        seconds: How long it was waited for.

    """
    if isinstance(error, TimeoutError):
        return TimeoutError(f"{told}: Redis gave no {lacking} within {seconds:g} s")
    failure = ConnectionError(f"{told}: {str(error) or type(error).__name__}")
    failure.__cause__ = without_frames(error)
    return failure


def in_vain(error: Exception, seconds: float) -> ConnectionError:
    """Say that Redis was asked for something, and why there is no answer."""
    told = no_reply("Redis was asked in vain", "answer", error, seconds)
    return ConnectionError(str(told))


def without_frames(error: Exception) -> Exception:
    """Cut an error off from the frames that it came through."""
    # Its traceback leads to frames that hold what was made of the error: a cycle.
    return error.with_traceback(None)

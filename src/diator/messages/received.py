"""Which message of another process is being handled here."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diator.messages.setting import Setting

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


# Each is itself alone, so that who has to remember one can hold it weakly.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Received:
    """
    A message of another process that is being handled.

    Attributes:
        message: The event or command. Others, which are raised or sent while it is
            handled, come from here.
        message_id: Its id, the same however often it is delivered.
        group: The consumer group that handles it.
        attempt: How often it has been tried to handle it, this time included.

    """

    message: Any
    message_id: str
    group: str
    attempt: int = 1


_received: ContextVar[Received | None] = ContextVar("diator_received", default=None)


def received_message() -> Received | None:
    """Give what is being handled here, None if that comes from this process."""
    return _received.get()


def handling(received: Received) -> AbstractContextManager[None]:
    """Say what is being handled inside."""
    return Setting(_received, received)

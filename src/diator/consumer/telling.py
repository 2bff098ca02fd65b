"""What a consumer logs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from diator.consumer.failures import causes, place_of
from diator.logger import get_logger

if TYPE_CHECKING:
    from diator.consumer.held import Held

MAX_SHOWN = 200  # Names and ids in logs are no longer; others may be anything.


def tell_message(
    level: str,
    text: str,
    held: Held,
    *,
    group: str,
    failure: BaseException | None = None,
) -> None:
    """
    Log what happened to a message, and nothing of what it says.

    Args:
        level: The log level.
        text: What happened.
        held: The message.
        group: The consumer group.
        failure: Why.

    """
    delivery = held.delivery
    fields: dict[str, Any] = {
        "topic": delivery.topic,
        "message_name": delivery.message_name[:MAX_SHOWN],
        "message_id": delivery.message_id[:MAX_SHOWN],
        "group": group,
        "attempt": held.attempt,
    }
    if failure is not None:
        fields["causes"] = [_told(cause) for cause in causes(failure)]
    tell(level, text, **fields)


def tell(level: str, text: str, **fields: Any) -> None:
    """Log something; a processor of the application's must not end the consumer."""
    with suppress(Exception):
        getattr(get_logger(), level)(text, **fields)


def _told(cause: BaseException) -> str:
    place = place_of(cause)
    name = type(cause).__name__
    return name if place is None else f"{name} at {place}"

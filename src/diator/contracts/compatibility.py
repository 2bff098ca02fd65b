"""Whether others can go on reading, and writing, by an older contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from diator.contracts.comparison import Comparison
from diator.contracts.faults import at
from diator.exceptions import ConfigurationError


class BreakingChange(NamedTuple):
    """
    A change that programs of others may fail at.

    Attributes:
        message: The name of the message.
        path: Where in the message, such as `payload.items[].price`, or
            `payload.shape[kind='circle'].radius` for one class of a union; empty if it
            is all of it.
        reason: What it is.

    """

    message: str
    path: str
    reason: str

    def __str__(self) -> str:
        place = f", {self.path}" if self.path else ""
        return f"{self.message}{place}: {self.reason}"


def breaking_changes(older: Any, newer: Any) -> list[BreakingChange]:
    """
    Find what others can no longer rely on.

    What is sent must still be what they know how to read, and what they write must
    still be accepted. One field more that is sent, or one more message, breaks nothing;
    what cannot be compared counts as broken.

    Args:
        older: The AsyncAPI document that they go by, as `Contract.asyncapi` gave it.
        newer: The one of now.

    Raises:
        ConfigurationError: One of them is no such document.

    """
    try:
        return list(_changes(older, newer))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        msg = "this is no AsyncAPI document that a Contract has given"
        raise ConfigurationError(msg) from error


def _changes(older: Any, newer: Any) -> Iterator[BreakingChange]:
    comparisons = {
        "send": Comparison(older, newer, is_sent=True),
        "receive": Comparison(older, newer, is_sent=False),
    }
    before, now = _operations(older), _operations(newer)
    for (action, name), (topic, message) in before.items():
        if (action, name) not in now:
            verb = "sent" if action == "send" else "received"
            yield BreakingChange(name, "", f"is no longer {verb}")
            continue
        new_topic, new_message = now[action, name]
        if topic != new_topic:
            reason = f"has moved from the topic {topic!r} to {new_topic!r}"
            yield BreakingChange(name, "", reason)
        old_type, new_type = message["contentType"], new_message["contentType"]
        if old_type != new_type:
            yield BreakingChange(name, "", f"is {new_type} instead of {old_type}")
        for part, path in (("headers", "headers"), ("payload", "")):
            old, new = message[part], new_message[part]
            faults = comparisons[action].faults(old, new)
            for fault in at(path, faults):
                yield BreakingChange(name, *fault)


def _operations(document: Any) -> dict[tuple[str, str], tuple[str, Any]]:
    """Give the topic and the description of what is sent and received, by name."""
    operations: dict[tuple[str, str], tuple[str, Any]] = {}
    for operation in document["operations"].values():
        channel, name = operation["messages"][0]["$ref"].split("/")[2::2]
        topic = document["channels"][channel]["address"]
        message = document["components"]["messages"][name]
        operations[operation["action"], name] = topic, message
    return operations

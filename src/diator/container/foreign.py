"""What adapters do with the container of another library."""

from __future__ import annotations

from typing import Any

from diator.exceptions import ConfigurationError


def refuse_foreign(given: Any, expected: type, remedy: str) -> None:
    """
    Refuse what is no container of the library that an adapter is for.

    Not everybody checks types.

    Args:
        given: What the adapter was given.
        expected: The library's class.
        remedy: What to do.

    Raises:
        ConfigurationError: It is something else.

    """
    if not isinstance(given, expected):
        library = expected.__module__.partition(".")[0]
        msg = f"{given!r} is not a {library}.{expected.__name__}: {remedy}"
        raise ConfigurationError(msg)

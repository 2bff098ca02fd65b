"""One thing that is wrong with the wiring."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diator.exceptions import DiatorError


class Finding(NamedTuple):
    """
    One thing that is wrong with the wiring.

    Attributes:
        error: Says what, and how it is mended.
        messages: The types of requests and events that it is about.

    """

    error: DiatorError
    messages: Sequence[type]

"""What is measured, and what each case must have called before it is timed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MIDDLEWARES = (1, 4, 8)
FAN_OUTS = (1, 10, 100)
REGISTERED = (1, 1_000, 100_000)
IN_FLIGHT = 100_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    A case that is timed.

    Attributes:
        name: What it is called in the table.
        function: The adapters' function that sets it up.
        arguments: What that is called with.
        calls: How often each kind of function is called by one send. Kinds that are
            left out may be called as often as the peer likes.
        publishes: Whether a send publishes a message.

    """

    name: str
    function: str
    arguments: tuple[int, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict[str, int])
    publishes: bool = False


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


CASES = [
    Case(name="prebuilt", function="prebuilt", calls={"handler": 1, "built": 0}),
    Case(name="factory", function="factory", calls={"handler": 1, "built": 1}),
    Case(name="container", function="container", calls={"handler": 1, "built": 1}),
    *(
        Case(
            name=_some(number, "middleware"),
            function="middlewares",
            arguments=(number,),
            calls={"handler": 1, "middleware": number},
        )
        for number in MIDDLEWARES
    ),
    *(
        Case(
            name=f"event to {_some(number, 'handler')}",
            function="fan_out",
            arguments=(number,),
            calls={"event handler": number},
        )
        for number in FAN_OUTS
    ),
    Case(
        name="two events",
        function="two_events",
        calls={"handler": 1, "event handler": 2},
    ),
    Case(
        name="realistic",
        function="realistic",
        calls={"handler": 1, "middleware": 4, "event handler": 1},
        publishes=True,
    ),
]

FUNCTIONS = list(dict.fromkeys(case.function for case in CASES))
EXTRA_FUNCTIONS = ["waiting", "registered"]
"""What memory and growth are measured with."""

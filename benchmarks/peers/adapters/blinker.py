"""blinker: signals. It knows neither requests nor types of events."""

from typing import Any

from blinker import Signal

from benchmarks.peers.parts import Echo, Happened
from benchmarks.peers.work import EVENTS_ONLY, Work, event_handler

CANNOT = dict.fromkeys(
    [
        *("prebuilt", "factory", "container", "middlewares", "two_events", "realistic"),
        *("waiting", "registered"),
    ],
    EVENTS_ONLY,
)

__all__ = ["CANNOT", "Echo", "fan_out"]


def fan_out(number: int) -> Work:
    happened = Signal()
    for _ in range(number):

        @event_handler
        async def on_happened(event: Any) -> None:
            pass

        # It would forget a function that nothing else holds.
        happened.connect(on_happened, weak=False)
    return Work(happened.send_async, Happened())

"""
pyee: named events.

It starts a task for each handler and waits for none: the adapter does. It knows neither
requests nor types of events.
"""

from pyee.asyncio import AsyncIOEventEmitter

from benchmarks.peers.parts import Echo, Happened
from benchmarks.peers.work import EVENTS_ONLY, Work, event_handler

CANNOT = dict.fromkeys(
    [
        *("prebuilt", "factory", "container", "middlewares", "two_events", "realistic"),
        *("waiting", "registered"),
    ],
    EVENTS_ONLY,
)
LACKS = {"fan_out": "handlers run in tasks, which the adapter waits for"}

__all__ = ["CANNOT", "LACKS", "Echo", "fan_out"]


def fan_out(number: int) -> Work:
    emitter = AsyncIOEventEmitter()
    for _ in range(number):

        @emitter.on("happened")
        @event_handler
        async def on_happened(event: Happened) -> None:
            pass

    async def publish(event: Happened) -> None:
        emitter.emit("happened", event)
        await emitter.wait_for_complete()

    return Work(publish, Happened())

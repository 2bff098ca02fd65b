"""
The shop behind Taskiq, which does later, and elsewhere, what may take a while.

A worker runs `taskiq worker examples.frameworks.taskiq_app:broker`, with a broker that
other processes reach in the place of the one in memory. For commands that must not be
lost, see `Mediator.post` and the outbox.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated

from taskiq import Context, InMemoryBroker, TaskiqDepends, TaskiqEvents, TaskiqState

from diator import Mediator
from examples.frameworks import shop
from examples.frameworks.shop import PlaceOrder

broker = InMemoryBroker()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_shop(state: TaskiqState) -> None:
    state.stack = AsyncExitStack()
    state.mediator = await state.stack.enter_async_context(shop.mediator())


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_shop(state: TaskiqState) -> None:
    await state.stack.aclose()


def of_the_worker(context: Annotated[Context, TaskiqDepends()]) -> Mediator:
    mediator: Mediator = context.state.mediator
    return mediator


@broker.task
async def place_order(
    product: str,
    amount: int,
    mediator: Annotated[Mediator, TaskiqDepends(of_the_worker)],
) -> int:
    return await mediator.send(PlaceOrder(product, amount))

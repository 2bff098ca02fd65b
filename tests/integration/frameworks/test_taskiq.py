from __future__ import annotations

import pytest

from examples.frameworks import shop
from examples.frameworks.shop import ReadOrder
from examples.frameworks.taskiq_app import broker, place_order


@pytest.fixture
async def started():
    await broker.startup()
    yield
    await broker.shutdown()


@pytest.mark.usefixtures("started")
class TestTaskiq:
    async def test_command(self):
        """A task sends a command, and what it did is there for everybody."""
        task = await place_order.kiq("tea", 2)
        result = await task.wait_result(timeout=30)
        assert result.return_value == 1

        async with shop.mediator() as mediator:
            order = await mediator.send(ReadOrder(1))
        assert (order.product, order.amount) == ("tea", 2)

    async def test_invalid(self):
        """What a request refuses fails the task, with what was wrong."""
        task = await place_order.kiq("", 2)
        result = await task.wait_result(timeout=30)

        assert result.is_err
        assert "product" in str(result.error)

from __future__ import annotations

import asyncio

import pytest
from fastapi import Request

from diator import Mediator
from examples.frameworks.fastapi_app import app, of_the_app
from examples.frameworks.shop import Couriers
from tests.integration.frameworks.behaviour import OverHttp
from tests.integration.frameworks.conftest import served


@pytest.fixture
async def client():
    async with served(app) as client:
        yield client


@pytest.fixture
def mediators():
    """Give the mediators that views were given."""
    given: list[Mediator] = []

    async def remember(request: Request) -> Mediator:
        given.append(of_the_app(request))
        return given[-1]

    app.dependency_overrides[of_the_app] = remember
    yield given
    app.dependency_overrides.clear()


class TestFastapi(OverHttp):
    async def test_findings(self, client):
        """All that is wrong is told, field by field."""
        answer = await client.post("/orders", json={"product": "", "amount": 0})

        assert [each["field"] for each in answer.json()["errors"]] == [
            "product",
            "amount",
        ]

    async def test_stream(self, client, mediators):
        """A stream is sent as it comes, and ends when the client goes away."""
        await client.post("/orders", json={"product": "tea"})

        async with client.stream("GET", "/orders/1/progress") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            events = [await anext(lines) for _ in range(3)]
            couriers = mediators[-1].container[Couriers]
            assert not couriers.left.is_set()

        assert events == ['data: "tea is packed"', "", 'data: "tea is on its way"']
        async with asyncio.timeout(30):
            await couriers.left.wait()

    async def test_stream_refused(self, client):
        """What is refused before the first item has its own status."""
        absent = await client.get("/orders/7/progress")
        impossible = await client.get("/orders/0/progress")

        assert (absent.status_code, impossible.status_code) == (404, 422)

    async def test_lines(self, client):
        """A text of several lines is one event: nobody can make up others."""
        await client.post("/orders", json={"product": "tea\n\ndata: forged"})

        async with client.stream("GET", "/orders/1/progress") as answer:
            line = await anext(answer.aiter_lines())

        assert line == r'data: "tea\n\ndata: forged is packed"'

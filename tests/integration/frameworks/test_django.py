from __future__ import annotations

from typing import Protocol

import pytest

from diator import Mediator
from diator.exceptions import WiringError
from examples.frameworks import shop
from examples.frameworks.django_app import app
from examples.frameworks.shop import PlaceOrder
from tests.integration.frameworks.behaviour import OverHttp
from tests.integration.frameworks.conftest import served


@pytest.fixture
async def client():
    async with served(app) as client:
        yield client


class TestDjango(OverHttp):
    async def test_no_start(self, monkeypatch):
        """A server does not start with a shop that does not."""
        wrong = Mediator()

        @wrong.handles(PlaceOrder)
        async def place(command: PlaceOrder, unknown: Protocol) -> int: ...

        monkeypatch.setattr(shop, "mediator", lambda: wrong)
        sent: list[dict[str, str]] = []

        async def receive():
            return {"type": "lifespan.startup"}

        async def send(message):
            sent.append(message)

        with pytest.raises(WiringError):
            await app({"type": "lifespan", "state": {}}, receive, send)

        assert [each["type"] for each in sent] == ["lifespan.startup.failed"]
        assert "Protocol" in sent[0]["message"]

from __future__ import annotations

import httpx
import pytest
from aiohttp.test_utils import TestServer

from examples.frameworks.aiohttp_app import make_app
from tests.integration.frameworks.behaviour import OverHttp


@pytest.fixture
async def client():
    async with (
        TestServer(make_app()) as server,
        httpx.AsyncClient(base_url=str(server.make_url(""))) as client,
    ):
        yield client


class TestAiohttp(OverHttp):
    pass

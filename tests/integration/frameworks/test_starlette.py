from __future__ import annotations

import pytest

from examples.frameworks.starlette_app import app
from tests.integration.frameworks.behaviour import OverHttp
from tests.integration.frameworks.conftest import served


@pytest.fixture
async def client():
    async with served(app) as client:
        yield client


class TestStarlette(OverHttp):
    pass

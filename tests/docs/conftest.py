"""The README shows a real Redis at work."""

from tests.integration.conftest import redis_url

__all__ = ["redis_url"]

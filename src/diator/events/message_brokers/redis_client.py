"""Take a client of Redis, or make one of a URL."""

from __future__ import annotations

import math
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from diator.exceptions import ConfigurationError

# Who cannot connect in this time has time left to try again before the deadline.
CONNECT_TIMEOUT_SECONDS = 2.0


def make_client(client: Any) -> Redis:
    """
    Make a client of a URL, or take one that is there.

    Raises:
        ConfigurationError: It is neither, or the URL is not valid.

    """
    if isinstance(client, Redis):
        return client
    if not isinstance(client, str):
        msg = f"a redis.asyncio.Redis or a URL is needed, not {type(client).__name__}"
        raise ConfigurationError(msg)
    made = _client_of_url(client)
    if made is None:
        # It may hold a password, and so may the error of who could not read it.
        msg = (
            "the URL of Redis is not valid: it looks like redis://host:6379/0, and "
            "characters such as / and @ in a password are written as %2F and %40"
        )
        raise ConfigurationError(msg)
    return made


def _client_of_url(url: str) -> Redis | None:
    try:
        client = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, socket_connect_timeout=CONNECT_TIMEOUT_SECONDS
        )
        # Not before now are unknown options of the URL found.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, RedisError):
        return None
    return client


def check_timeout(timeout: Any) -> None:
    """Refuse what is no number of seconds, with a `ConfigurationError`."""
    if not (
        isinstance(timeout, int | float) and math.isfinite(timeout) and timeout > 0
    ):
        msg = f"timeout must be a number of seconds above 0, not {timeout!r}"
        raise ConfigurationError(msg)

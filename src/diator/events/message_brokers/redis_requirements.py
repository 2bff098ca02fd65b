"""What a Redis has to be for streams."""

from __future__ import annotations

OLDEST_VERSION = 7
"""Since then XAUTOCLAIM tells which entries it did not find any more."""


def problem_of(info: bytes, *, durable: bool) -> str | None:
    """
    Tell why a Redis will not do, None if it will.

    Args:
        info: Its answer to INFO.
        durable: Whether it must remember what it acknowledged.

    """
    lines = info.decode(errors="replace").splitlines()
    told = {name: value for name, _, value in (line.partition(":") for line in lines)}
    version = told.get("redis_version", "0")
    if int(version.partition(".")[0]) < OLDEST_VERSION:
        return f"Redis {OLDEST_VERSION}.0 or later is needed, and this is {version}"
    if durable and told.get("role") != "master":
        return "this Redis is a replica: give the address of its master"
    if durable and told.get("aof_enabled") != "1":
        return (
            "this Redis forgets in a crash what it acknowledged: set `appendonly yes`, "
            "or leave out require_durable=True"
        )
    return None

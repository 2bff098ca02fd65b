"""What a consumer was told, and what it has done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from diator.backoff import Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `Consumer` was told, in the same words."""

    group: str
    concurrency: int
    prefetch: int
    max_attempts: int
    backoff: Backoff
    is_transient: Callable[[Exception], bool]
    skips_unknown: bool
    heartbeat: float
    drain_timeout: float


@dataclass(slots=True)
class Counters:
    """What a consumer has done so far."""

    handled: int = 0
    retried: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    last_progress: datetime | None = None

"""The one logger of diator, which goes through structlog."""

from __future__ import annotations

import logging
from typing import Any

import structlog


def get_logger() -> Any:
    """
    Give a logger that writes where the application wants it.

    That is what the application has configured structlog to, or else the logger
    `diator` of the standard library, which is silent until the application gives it a
    handler. Nothing is configured here.
    """
    if structlog.is_configured():
        return structlog.get_logger("diator")
    logger = logging.getLogger("diator")
    return structlog.wrap_logger(
        logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.render_to_log_kwargs,
        ],
    )

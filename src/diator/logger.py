"""The one logger of diator, which goes through structlog."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict

_NAME = "diator"

_logger = logging.getLogger(_NAME)


def get_logger() -> Any:
    """
    Give a logger that writes where the application wants it.

    That is what the application has configured structlog to, or else the logger
    `diator` of the standard library, which is silent, at every level, until it or a
    logger above it has a handler. Nothing is configured here. Ask anew for every line,
    because the application may configure structlog at any time.
    """
    return _configured.bind() if structlog.is_configured() else _standard


def is_enabled(logger: Any, level: int) -> bool:
    """
    Tell whether a logger might write at a level.

    Asking first is cheaper than having a line dropped, and lets the work for it be left
    out.

    Args:
        logger: What `get_logger` gave.
        level: A level of the standard library, such as `logging.INFO`.

    """
    if logger is _standard:
        return _is_heard(level)
    # Of the class, because what an instance does not know becomes a line of its log.
    of_type: Any = logger.__class__
    ask = getattr(of_type, "isEnabledFor", None) or getattr(
        of_type, "is_enabled_for", None
    )
    if ask is None:
        return True
    try:
        return bool(ask(logger, level))
    except AttributeError:
        # structlog's wrapper for the standard library, around something else.
        return True


def is_silent() -> bool:
    """
    Tell whether it is plain that not even a warning would be written.

    It is so where the standard logger is silent and structlog not configured. Of what
    it is configured to, only a logger knows, and that is too dear to be asked twice.
    Asked anew for each message: `logging` does not tell when its levels change.
    """
    if structlog.is_configured():
        return False
    # As `_is_heard`, whose frame would be a third of what this costs.
    return not (_logger.isEnabledFor(logging.WARNING) and _logger.hasHandlers())


def _is_heard(level: int) -> bool:
    # Without a handler, the standard library prints warnings and errors to stderr.
    return _logger.isEnabledFor(level) and _logger.hasHandlers()


def _drop_unheard(_logger: Any, method: str, event: EventDict) -> EventDict:
    if not _is_heard(logging.getLevelNamesMapping()[method.upper()]):
        raise structlog.DropEvent
    return event


def _to_record(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """
    Make a line of text, which is all that most handlers show, and keep the fields.

    They stand in one attribute of the record, `diator`, since a field with the name of
    another attribute would be refused.
    """
    text = event.pop("event")
    error = event.pop("exc_info", None)
    fields = _key_values(None, "", event)
    return {
        "msg": f"{text} {fields}".rstrip(),
        "exc_info": error,
        "extra": {_NAME: event},
    }


_key_values = structlog.processors.KeyValueRenderer()

_configured = structlog.get_logger(_NAME)

_standard = structlog.wrap_logger(
    _logger,
    wrapper_class=structlog.stdlib.BoundLogger,
    context_class=dict,
    processors=[_drop_unheard, structlog.contextvars.merge_contextvars, _to_record],
).bind()

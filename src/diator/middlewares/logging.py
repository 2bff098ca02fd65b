"""Log what became of each message, and tell which messages belong together."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import weakref
from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from structlog.contextvars import bind_contextvars, reset_contextvars

from diator.events.collector import current
from diator.events.event import Event
from diator.exceptions import EventError
from diator.logger import get_logger, is_enabled, is_silent

if TYPE_CHECKING:
    from contextvars import Token

    from diator.middlewares.base import Handle

_REDACTED = "[redacted]"


class LoggingMiddleware:
    """
    Log each message when it has been handled, in either pipeline.

    The line has `message_name`, the name of the message's type; `kind`, which is
    `request` or `event`; `outcome`, which is `answered`, `failed` or `cancelled`; and
    `duration_ms`, in milliseconds. A failure is a warning, because who gets the
    exception decides whether it is an error, and adds the type of the exception as
    `error` and those of a group's members as `causes`: neither text nor traceback,
    which may hold what the message does. All else is logged as info.

    While a message is handled, these are bound as context variables of structlog, for
    all that is logged meanwhile, and what was bound before is restored afterwards:

    - `request_id`, new for each message;
    - `causation_id`, the `request_id` that was bound before, if any: that of the
      message which this one was sent by, or of the HTTP request. An event has that of
      the message which raised it;
    - `correlation_id`, the same for all that belongs together: the one that was bound
      before, or else that of the message which raised the event, or else the
      `causation_id`, or else the `request_id`.

    An event is handled after the message that raised it, and known again by being
    logged there, too. Events without weak references (slotted dataclasses of a slotted
    base, `msgspec.Struct` without `weakref=True`) are not: theirs are the ids that are
    bound around the outermost send.

    Where not even a warning would be written, nothing of all this is done.

    Args:
        payload: Whether to log the fields of messages as well, as they are after the
            handling. Those declared with `repr=False` (in dataclasses, attrs and
            pydantic) are redacted, in nested objects, too.

    """

    def __init__(self, *, payload: bool = False) -> None:
        self._payload = payload

    is_idle = staticmethod(is_silent)

    async def __call__(self, message: Any, handle: Handle) -> Any:
        """Log the rest of the chain, whose failures pass as they are."""
        logger = get_logger()
        if not is_enabled(logger, logging.WARNING):
            return await handle(message)
        ids, tokens = _bind_ids(message)
        started = perf_counter()
        try:
            answer = await handle(message)
        except BaseException as error:
            self._log(logger, message, started, error)
            raise
        else:
            self._log(logger, message, started)
            _remember_events(ids)
            return answer
        finally:
            reset_contextvars(**tokens)

    def _log(
        self,
        logger: Any,
        message: Any,
        started: float,
        error: BaseException | None = None,
    ) -> None:
        duration = perf_counter() - started
        outcome = _outcome(error)
        failed = outcome == "failed"
        if not is_enabled(logger, logging.WARNING if failed else logging.INFO):
            return
        kind = "event" if isinstance(message, Event) else "request"
        fields: dict[str, Any] = {
            "message_name": type(message).__name__,
            "kind": kind,
            "outcome": outcome,
            "duration_ms": round(duration * 1000, 3),
        }
        if failed:
            fields["error"] = type(error).__name__
            if isinstance(error, BaseExceptionGroup):
                fields["causes"] = _cause_names(error)
        if self._payload:
            fields["payload"] = _redacted(message)
        write = logger.warning if failed else logger.info
        write(f"{kind} {outcome}", **fields)


class _Ids(NamedTuple):
    correlation_id: Any
    request_id: Any


# What raised the events that are waiting, by their identity. An event that goes away
# takes its entry along.
_origins: dict[int, tuple[_Ids, weakref.ref[Any]]] = {}


def _bind_ids(message: Any) -> tuple[_Ids, dict[str, Token[Any]]]:
    request_id = str(uuid4())
    # What was bound is read off the tokens, because structlog offers no way to ask for
    # one variable that does not go through the whole context.
    tokens = dict(bind_contextvars(request_id=request_id, correlation_id=request_id))
    causation_id = _replaced(tokens["request_id"])
    correlation_id = _replaced(tokens["correlation_id"])
    origin = _origin(message)
    if origin is not None:
        causation_id = origin.request_id
        correlation_id = correlation_id or origin.correlation_id
    correlation_id = correlation_id or causation_id
    if causation_id is not None:
        tokens |= bind_contextvars(causation_id=causation_id)
    if correlation_id is None:
        return _Ids(request_id, request_id), tokens
    bind_contextvars(correlation_id=correlation_id)
    return _Ids(correlation_id, request_id), tokens


def _replaced(token: Token[Any]) -> Any:
    value = token.old_value
    # structlog marks what is not bound any more by an ellipsis.
    return None if value is token.MISSING or value is ... else value


def _origin(message: Any) -> _Ids | None:
    known = _origins.get(id(message))
    return None if known is None else known[0]


def _remember_events(ids: _Ids) -> None:
    collector = current.get()
    if collector is None or collector.events is None:
        return
    for event in collector.events:
        origin = _origin(event)
        # One of this correlation is that of a nested send, which is closer to it.
        if origin is None or origin.correlation_id != ids.correlation_id:
            _remember(event, ids)


def _remember(event: Event, ids: _Ids) -> None:
    key = id(event)
    try:
        reference = weakref.ref(event, lambda _: _origins.pop(key, None))
    except TypeError:
        return
    _origins[key] = ids, reference


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "answered"
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "failed"


def _cause_names(error: Any) -> list[str]:
    if issubclass(type(error), BaseExceptionGroup):
        return [name for member in error.exceptions for name in _cause_names(member)]
    # That an event was not dealt with is known; the question is why.
    wraps = isinstance(error, EventError) and error.__cause__ is not None
    return [type(error.__cause__ if wraps else error).__name__]


def _redacted(value: Any, around: frozenset[int] = frozenset()) -> Any:
    """Give what a log may show of a value, as plain dicts and lists where it can be."""
    if id(value) in around:
        return "..."
    around |= {id(value)}
    of_type: Any = value.__class__
    shown = _shown_fields(of_type)
    if shown is not None:
        return {
            name: _redacted_field(getattr(value, name), show, around)
            for name, show in shown.items()
            if hasattr(value, name)
        }
    if issubclass(of_type, Mapping):
        return {str(key): _redacted(item, around) for key, item in value.items()}
    if issubclass(of_type, (list, tuple, set, frozenset)):
        return [_redacted(item, around) for item in value]
    return value


def _redacted_field(value: Any, show: Any, around: frozenset[int]) -> Any:
    if not show:
        return _REDACTED
    # attrs lets a field bring a function that shows it.
    return show(value) if callable(show) else _redacted(value, around)


def _shown_fields(of_type: Any) -> dict[str, Any] | None:
    """Give the fields of a class and whether they are shown, None if it has none."""
    # All but the first are known by what they leave in a class, without an import.
    if dataclasses.is_dataclass(of_type):
        return {field.name: field.repr for field in dataclasses.fields(of_type)}
    if hasattr(of_type, "__attrs_attrs__"):
        return {field.name: field.repr for field in of_type.__attrs_attrs__}
    if hasattr(of_type, "__pydantic_fields__"):
        return {name: field.repr for name, field in of_type.__pydantic_fields__.items()}
    if hasattr(of_type, "__struct_fields__"):
        return dict.fromkeys(of_type.__struct_fields__, True)
    return None

"""What a message looks like on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from reprlib import repr as short_repr
from typing import Any, cast
from uuid import UUID

import msgspec

from diator.events.message_brokers.protocol import EVENTS, Message
from diator.exceptions import EncodingError

MAX_BODY_BYTES = 1_048_576
"""
The size of the largest body, 1 MiB.

Consumers refuse larger ones before they decode them, so as not to be flooded.
"""

MAX_PATH_STEPS = 32  # A longer path to a field helps nobody to find it.


class _Body(msgspec.Struct, frozen=True, gc=False):
    """What of a message stands in its body."""

    message_type: str
    message_name: str
    message_id: UUID
    payload: Any


def encode(message: Message) -> bytes:
    """
    Encode a message as JSON, with the fields of its payload in their order.

    Args:
        message: The message, whose payload consists of dataclasses, attrs classes,
            msgspec Structs, pydantic models and what JSON knows.

    Raises:
        EncodingError: A field has no form in JSON, or the body is too large.

    """
    body = message.body
    if body is None:
        # Fields that have their default are left out, so that a message with the first
        # four alone is a body already. To make one of it would take a twentieth longer.
        part: Message | _Body = message
        if message.headers or message.key is not None or message.topic != EVENTS:
            part = _Body(
                message.message_type,
                message.message_name,
                message.message_id,
                message.payload,
            )
        try:
            body = _encode(part)
        except Exception as error:
            raise EncodingError(_explain(message, error)) from error
    if len(body) > MAX_BODY_BYTES:
        raise _too_large(message, body)
    return body


def encode_payload(message: Message) -> bytes:
    """
    Encode nothing but the payload of a message.

    Raises:
        EncodingError: As `encode` does.

    """
    try:
        body = _encode(message.payload)
    except Exception as error:
        raise EncodingError(_explain(message, error)) from error
    if len(body) > MAX_BODY_BYTES:
        raise _too_large(message, body)
    return body


def _too_large(message: Message, body: bytes) -> EncodingError:
    return EncodingError(
        f"{message.message_name} takes {len(body):,} bytes as JSON, more than the "
        f"{MAX_BODY_BYTES:,} that a message may have; send a reference instead"
    )


def _encode_other(value: Any) -> msgspec.Raw:
    """Encode what msgspec does not know: pydantic's models, without importing it."""
    dump = getattr(value, "model_dump_json", None)
    if dump is not None:
        return msgspec.Raw(dump().encode())
    msg = f"{type(value).__name__} has no form in JSON; use str, numbers, dataclasses"
    raise TypeError(msg)


_encode = msgspec.json.Encoder(enc_hook=_encode_other).encode


def _explain(message: Message, error: Exception) -> str:
    """Say which value deep inside cannot be encoded, and why."""
    path = message.message_name
    value = message.payload
    ancestors: set[int] = set()
    for _ in range(MAX_PATH_STEPS):
        ancestors.add(id(value))
        failure = _first_failure(value)
        if failure is None:
            break
        step, value, error = failure
        path += step
        if id(value) in ancestors:
            return f"{path}: {type(value).__name__} contains itself"
    if isinstance(error, RecursionError):
        return f"{path}: {type(value).__name__} is nested too deeply"
    if isinstance(value, dict) and isinstance(error, TypeError):
        return f"{path}: a key has no form in JSON; use str or numbers"
    return f"{path}: {error}"


def _first_failure(value: Any) -> tuple[str, Any, Exception] | None:
    for step, part in _parts(value):
        try:
            _encode(part)
        except Exception as error:  # noqa: BLE001  # whatever it is, it will be told
            # Its traceback leads to the frame that is given it: a cycle.
            return step, part, error.with_traceback(None)
    return None


def _parts(value: Any) -> list[tuple[str, Any]]:
    """Give what a value consists of, each part after the step that leads to it."""
    if isinstance(value, dict):
        items = cast("Iterable[tuple[Any, Any]]", value.items())
        return [(f"[{short_repr(key)}]", part) for key, part in items]
    if isinstance(value, list | tuple | set | frozenset):
        parts = cast("Iterable[Any]", value)
        return [(f"[{index}]", part) for index, part in enumerate(parts)]
    return [(f".{name}", getattr(value, name, None)) for name in _field_names(value)]


def _field_names(value: Any) -> list[str]:
    if isinstance(value, type):
        return []
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    if isinstance(value, msgspec.Struct):
        return list(value.__struct_fields__)
    return [attribute.name for attribute in getattr(value, "__attrs_attrs__", ())]

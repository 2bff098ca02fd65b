"""The fields of messages, whatever these are made with."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def field_names(message_type: Any) -> list[str] | None:
    """Give the names of a class's fields, None if it declares none in a known way."""
    if is_dataclass(message_type):
        return [field.name for field in fields(message_type)]
    # The others are known by what they leave in a class, without an import.
    if hasattr(message_type, "__attrs_attrs__"):
        return [field.name for field in message_type.__attrs_attrs__]
    for declared in ("__struct_fields__", "__pydantic_fields__"):
        if hasattr(message_type, declared):
            return list(getattr(message_type, declared))
    return None

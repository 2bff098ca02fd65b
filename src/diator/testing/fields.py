"""The fields of messages, whatever these are made with."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def field_names(message_type: Any) -> list[str] | None:
    """Give the names of a class's fields, None if it declares none in a known way."""
    # They are known by what they leave in a class, without an import.
    if hasattr(message_type, "__struct_fields__"):
        return list(message_type.__struct_fields__)
    # Of the innermost: all derive from a dataclass, if they are `NotificationEvent`s.
    classes: tuple[type[Any], ...] = message_type.__mro__
    for declaring in classes:
        declared = vars(declaring)
        if "__pydantic_fields__" in declared:
            return list(declared["__pydantic_fields__"])
        if "__attrs_attrs__" in declared:
            return [field.name for field in declared["__attrs_attrs__"]]
        if "__dataclass_fields__" in declared:
            return [field.name for field in fields(declaring)]
    return None

"""What things are called in a description."""

from __future__ import annotations

import inspect
import types
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

from diator.handler import module_of, qualified_name

BOUNDS = (
    "gt",
    "ge",
    "lt",
    "le",
    "multiple_of",
    "min_length",
    "max_length",
    "pattern",
    "tz",
)
"""What `msgspec.Meta`, and others like it, call the bounds of a value."""


def identity(thing: Any) -> str:
    """Tell a class, a function, or the class of an instance from all others."""
    return f"{module_of(thing)}:{qualified_name(thing)}"


def summary_of(thing: Any) -> str:
    """Give the first line of what its own docstring says, which may be nothing."""
    # Dataclasses make one of their fields, which are told anyway.
    text = getattr(thing, "__doc__", None) or ""
    lines = inspect.cleandoc(text).splitlines()
    first = lines[0] if lines else ""
    is_generated = inspect.isclass(thing) and first.startswith(f"{thing.__name__}(")
    return "" if is_generated else first


def type_text(annotation: Any) -> str:
    """
    Give a type as one would write it, without the modules of its parts.

    The bounds of what is annotated follow in brackets, as in `int (gt=0)`.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    match annotation:
        case str():
            text = annotation
        case ForwardRef():
            text = annotation.__forward_arg__
        case None | types.NoneType:
            text = "None"
        case list():
            # The parameters of a callable.
            text = _listed(annotation)
        case _ if hasattr(annotation, "__metadata__"):
            text = f"{type_text(arguments[0])}{_bounds(annotation.__metadata__)}"
        case _ if origin in (Union, types.UnionType):
            text = " | ".join(map(type_text, arguments))
        case _ if origin is Literal:
            text = f"Literal[{', '.join(map(repr, arguments))}]"
        case _ if origin is not None:
            text = f"{type_text(origin)}{_listed(arguments)}"
        case _:
            text = _plain(annotation)
    return text


def _bounds(metadata: tuple[Any, ...]) -> str:
    """Give the bounds of a value in brackets, nothing where it has none."""
    found = [
        f"{name}={bound!r}"
        for each in metadata
        for name in BOUNDS
        if (bound := getattr(each, name, None)) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _plain(annotation: Any) -> str:
    if annotation is ...:
        return "..."
    # `Any` is a class since Python 3.11, and type variables are told with a tilde.
    name = getattr(annotation, "__qualname__", None) or getattr(
        annotation, "__name__", annotation
    )
    return str(name)


def _listed(annotations: Any) -> str:
    return f"[{', '.join(map(type_text, annotations))}]"

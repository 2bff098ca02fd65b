"""What things are called in a description."""

from __future__ import annotations

import inspect
import types
from typing import Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

from diator.handler import qualified_name


def identity(thing: Any) -> str:
    """Tell a class, a function, or the class of an instance from all others."""
    return f"{module_of(thing)}:{qualified_name(thing)}"


def module_of(thing: Any) -> str:
    """Give the module that declares a class, a function, or an instance's class."""
    return str(getattr(thing, "__module__", None) or type(thing).__module__)


def summary_of(thing: Any) -> str:
    """Give the first line of what its own docstring says, which may be nothing."""
    # Dataclasses make one of their fields, which are told anyway.
    text = getattr(thing, "__doc__", None) or ""
    lines = inspect.cleandoc(text).splitlines()
    first = lines[0] if lines else ""
    is_generated = inspect.isclass(thing) and first.startswith(f"{thing.__name__}(")
    return "" if is_generated else first


def type_text(annotation: Any) -> str:
    """Give a type as one would write it, without the modules of its parts."""
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, list):
        return _listed(annotation)
    if annotation is None or annotation is types.NoneType:
        return "None"
    if annotation is ...:
        return "..."
    if annotation is Any:
        return "Any"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        if isinstance(annotation, TypeVar):
            return annotation.__name__
        return str(getattr(annotation, "__qualname__", annotation))
    if hasattr(annotation, "__metadata__"):
        return type_text(arguments[0])
    if origin in (Union, types.UnionType):
        return " | ".join(type_text(argument) for argument in arguments)
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    return f"{type_text(origin)}{_listed(arguments)}"


def _listed(annotations: Any) -> str:
    return f"[{', '.join(type_text(annotation) for annotation in annotations)}]"

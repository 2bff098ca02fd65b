"""What is wrong with what is written, for those who read it, and where."""

from __future__ import annotations

Fault = tuple[str, str]
"""Where something is wrong, and what."""


def at(step: str, faults: list[Fault]) -> list[Fault]:
    """Say of faults that they are inside of a part."""
    return [(_join(step, path), reason) for path, reason in faults]


def _join(step: str, path: str) -> str:
    if not step or not path:
        return step + path
    return f"{step}{path}" if path.startswith("[") else f"{step}.{path}"

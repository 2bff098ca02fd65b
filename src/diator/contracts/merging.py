"""What is valid by several schemas at once, as one schema."""

from __future__ import annotations

from typing import Any

from diator.contracts.limits import LOWER_BOUNDS, UPPER_BOUNDS
from diator.contracts.schemas import Schema

# They tell something to people, and nothing about what is valid: readOnly, writeOnly
# and deprecated, too, of which validators and all of our decoders take no notice.
ANNOTATIONS = (
    *("title", "description", "default", "examples", "discriminator"),
    *("deprecated", "readOnly", "writeOnly"),
    "uniqueItems",  # Readers of ours take a set for what it is, whatever comes twice.
)


def merged(one: Schema, other: Schema) -> Schema | None:
    """
    Give the schema of what two schemas allow.

    Returns:
        The schema, None if there is none that would surely say the same.

    """
    if _closes(one, other) or _closes(other, one):
        return None
    both = {**one, **other}
    if "const" in both and both.keys() - {"const", *ANNOTATIONS}:
        return None
    for name in one.keys() & other.keys():
        if name in ANNOTATIONS or one[name] == other[name]:
            continue
        if name in LOWER_BOUNDS:
            both[name] = max(one[name], other[name])
        elif name in UPPER_BOUNDS:
            both[name] = min(one[name], other[name])
        elif name == "required":
            both[name] = list(dict.fromkeys([*one[name], *other[name]]))
        elif name == "properties":
            both[name] = _merged_properties(one[name], other[name])
        else:
            return None
    return both


def _closes(one: Schema, other: Schema) -> bool:
    """Tell whether one says something of fields that only the other one has."""
    if one.get("additionalProperties", True) is True:
        return False
    names: set[str] = set(other.get("properties", ())) - set(one.get("properties", ()))
    return bool(names) or "patternProperties" in other


def _merged_properties(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            both[name] = {"allOf": [one[name], other[name]]}
    return both

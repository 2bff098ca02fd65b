"""What values the schemas of a document allow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from diator.contracts.merging import ANNOTATIONS, merged
from diator.contracts.schemas import Schema, is_list, is_schema

TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
}

COMBINED = ("allOf", "anyOf", "oneOf")

# One each, so that they can be told from others by their identity.
ANYTHING: Schema = {}
STRING: Schema = {"type": "string"}


class Definitions:
    """
    Follows the references of a document.

    Args:
        document: An AsyncAPI document.

    """

    def __init__(self, document: Any) -> None:
        self._document = document
        # What was made of schemas, kept so that it is the same each time, as types that
        # contain themselves would have no end; with the schemas, so that no others come
        # to have their identity.
        self._combined: dict[int, tuple[Schema, list[Schema]]] = {}
        self._merged: dict[tuple[int, int], tuple[Schema, Schema, Schema | None]] = {}

    def choices(self, schema: Any) -> list[Schema]:
        """
        Give what a value may be: schemas that have one type, or one value.

        Where several have to be valid at once, and cannot be merged, it is the schema
        as it stands.
        """
        if not is_schema(schema):
            return [ANYTHING] if schema else []
        if "$ref" in schema:
            return self.choices(self.resolve(schema["$ref"]))
        if "enum" in schema and not schema.keys() - {"enum", "type", *ANNOTATIONS}:
            return [{"const": value} for value in schema["enum"]]
        if not any(name in schema for name in COMBINED):
            return [schema]
        if id(schema) not in self._combined:
            self._combined[id(schema)] = schema, self._choices_of_combined(schema)
        return self._combined[id(schema)][1]

    def _choices_of_combined(self, schema: Schema) -> list[Schema]:
        parts = [self.choices(each) for each in schema.get("allOf", ())]
        parts += [
            [choice for each in schema[name] for choice in self.choices(each)]
            for name in ("anyOf", "oneOf")
            if name in schema
        ]
        rest = {
            name: value
            for name, value in schema.items()
            if name not in COMBINED and name not in ANNOTATIONS
        }
        # One alone stays what it is, to be known by its identity.
        if rest or not parts:
            parts.append([rest])
        choices, *others = parts
        for each in others:
            pairs = [self._merge(one, other) for one, other in product(choices, each)]
            choices = [pair for pair in pairs if pair is not None]
            if len(choices) < len(pairs):
                return [schema]
        return choices

    def _merge(self, one: Schema, other: Schema) -> Schema | None:
        pair = (id(one), id(other))
        if pair not in self._merged:
            self._merged[pair] = one, other, merged(one, other)
        return self._merged[pair][2]

    def tags(self, choice: Schema) -> dict[str, Any]:
        """Give the fields with one value only, by which unions tell their classes."""
        tags: dict[str, Any] = {}
        for name, of_field in choice.get("properties", {}).items():
            values = self.choices(of_field)
            if len(values) == 1 and "const" in values[0]:
                tags[name] = values[0]["const"]
        return tags

    def resolve(self, reference: str) -> Any:
        """Give what a reference leads to."""
        resolved = self._document
        for step in reference.removeprefix("#/").split("/"):
            resolved = resolved[step]
        return resolved


def is_of_type(written: Schema, read: Schema) -> bool:
    """Tell whether all that one choice allows is of the type of another."""
    wanted = read.get("type")
    if wanted is None:
        return True
    if "const" in written:
        value: object = written["const"]
        found = TYPES.get(type(value))
    else:
        found = written.get("type")
    return found == wanted or (found == "integer" and wanted == "number")


def is_of_value(written: Schema, read: Schema) -> bool:
    """Tell whether one choice has the value that another may ask for."""
    if "const" not in read:
        return True
    value: object = written.get("const", ...)
    # True is no 1.
    return type(value) is type(read["const"]) and value == read["const"]


def shown(choice: Schema) -> str:
    """Give the value that is the only one, or else the type."""
    if "const" in choice:
        return repr(choice["const"])
    return str(choice.get("type", "anything"))


def references(part: Any) -> Iterator[str]:
    """Give what a part of a document refers to."""
    if is_list(part):
        for each in part:
            yield from references(each)
    elif is_schema(part):
        for name, each in part.items():
            if name == "$ref":
                yield each
            else:
                yield from references(each)

"""What values the schemas of a document allow."""

from __future__ import annotations

from typing import Any

from diator.contracts.schemas import Schema, is_schema

TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
}

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

    def choices(self, schema: Any) -> list[Schema]:
        """Give what a value may be: schemas that have one type, or one value."""
        if not is_schema(schema):
            return [ANYTHING] if schema else []
        if "$ref" in schema:
            return self.choices(self._resolve(schema["$ref"]))
        for alternatives in ("anyOf", "oneOf"):
            if alternatives in schema:
                return [
                    choice
                    for each in schema[alternatives]
                    for choice in self.choices(each)
                ]
        if "enum" in schema:
            return [{"const": value} for value in schema["enum"]]
        return [schema]

    def tags(self, choice: Schema) -> dict[str, Any]:
        """Give the fields with one value only, by which unions tell their classes."""
        tags: dict[str, Any] = {}
        for name, of_field in choice.get("properties", {}).items():
            values = self.choices(of_field)
            if len(values) == 1 and "const" in values[0]:
                tags[name] = values[0]["const"]
        return tags

    def _resolve(self, reference: str) -> Any:
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


def shown(choice: Schema) -> str:
    """Give the value that is the only one, or else the type."""
    if "const" in choice:
        return repr(choice["const"])
    return str(choice.get("type", "anything"))

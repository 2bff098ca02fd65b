"""JSON Schemas of messages, as they are written and as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import msgspec

from diator.exceptions import ConfigurationError
from diator.handler import qualified_name

Schema = dict[str, Any]

_KINDS: dict[str, Any] = {
    "string": msgspec.inspect.DateTimeType,
    "array": (msgspec.inspect.CollectionType, msgspec.inspect.TupleType),
    "object": msgspec.inspect.DictType,
}


def is_schema(value: Any) -> TypeGuard[Schema]:
    """Tell a schema from what else stands in one: values, lists, true and false."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell a list, of schemas or of values."""
    return isinstance(value, list)


def schemas_of(
    types: Sequence[Any], *, written: bool, ref_template: str
) -> tuple[list[Schema], dict[str, Schema]]:
    """
    Make JSON Schemas (2020-12) of types and of all that they consist of.

    What is written has more than what is read needs: a field with a default is always
    there, while others may leave it out.

    Args:
        types: Dataclasses, attrs classes, Structs and pydantic models.
        written: Whether diator writes them, or reads what others have written.
        ref_template: Where the named schemas will stand, with `{name}` in it.

    Returns:
        A schema for each type, and the named ones that they refer to.

    Raises:
        ConfigurationError: A type has a field that has no form in JSON.

    """
    models = _Models(written=written, ref_template=ref_template)

    def components(some: Sequence[Any]) -> tuple[tuple[Schema, ...], dict[str, Schema]]:
        return msgspec.json.schema_components(
            some, schema_hook=models.schema_of, ref_template=ref_template
        )

    try:
        schemas, named = components(types)
    except TypeError as error:
        names = ", ".join(map(qualified_name, types))
        msg = f"a field of one of {names} cannot be described: {error}"
        raise ConfigurationError(msg) from error
    parts = list(_parts(msgspec.inspect.multi_type_info(types)))
    references, _ = components([*types, *(part.cls for part in parts)])
    for part, reference in zip(parts, references[len(types) :], strict=True):
        schema = named[_name_in(reference, ref_template)]
        if written:
            schema["required"] = list(_always_written(part))
        for field in part.fields:
            _complete(schema["properties"][field.encode_name], field.type)
    if both := set(named).intersection(models.named):
        raise _ambiguous(both.pop())
    return list(schemas), {**named, **models.named}


class _Models:
    """
    Asks pydantic's models for their own schemas, without importing it.

    Args:
        written: As for `schemas_of`.
        ref_template: As for `schemas_of`.

    Attributes:
        named: The schemas of what models consist of.

    """

    def __init__(self, *, written: bool, ref_template: str) -> None:
        self.named: dict[str, Schema] = {}
        self._written = written
        self._ref_template = ref_template.replace("{name}", "{model}")

    def schema_of(self, other: Any) -> Schema:
        make: Any = getattr(other, "model_json_schema", None)
        if make is None:
            msg = f"{qualified_name(other)} has no form in JSON"
            raise TypeError(msg)
        # They are read by their aliases, and written by the names of their fields.
        by_alias = not self._written or other.model_config.get("serialize_by_alias")
        schema: Schema = make(
            by_alias=bool(by_alias),
            ref_template=self._ref_template,
            mode="serialization" if self._written else "validation",
        )
        parts: dict[str, Schema] = schema.pop("$defs", {})
        if self._written:
            for each in (schema, *parts.values()):
                # Pydantic writes defaults, too, and says all the same: not required.
                each["required"] = list(each.get("properties", ()))
        for name, each in parts.items():
            if self.named.setdefault(name, each) != each:
                raise _ambiguous(name)
        return schema


def _ambiguous(name: str) -> ConfigurationError:
    msg = f"several types are called {name}: rename all but one of them"
    return ConfigurationError(msg)


def _complete(schema: Schema, of_type: Any) -> None:
    """Add what msgspec does not say: that a time is one, and what keys of dicts are."""
    while isinstance(of_type, msgspec.inspect.Metadata):
        of_type = of_type.type
    if isinstance(of_type, msgspec.inspect.DateTimeType):
        schema["format"] = "date-time"
    elif isinstance(of_type, msgspec.inspect.CollectionType):
        _complete(schema.get("items", {}), of_type.item_type)
    elif isinstance(of_type, msgspec.inspect.TupleType):
        for item, item_type in zip(
            schema["prefixItems"], of_type.item_types, strict=True
        ):
            _complete(item, item_type)
    elif isinstance(of_type, msgspec.inspect.DictType):
        _complete(schema.setdefault("additionalProperties", {}), of_type.value_type)
        keys = _keys(of_type.key_type)
        if keys:
            schema.setdefault("propertyNames", keys)
    elif isinstance(of_type, msgspec.inspect.UnionType):
        _complete_union(schema, of_type)


def _complete_union(schema: Schema, union: Any) -> None:
    # msgspec allows one type of each kind in a union, so that the kind tells it.
    for of_type in union.types:
        for kind, types in _KINDS.items():
            if isinstance(of_type, types):
                for choice in schema.get("anyOf", ()):
                    if choice.get("type") == kind and "format" not in choice:
                        _complete(choice, of_type)


def _keys(of_type: Any) -> Schema:
    """Describe the keys of a dict, which JSON has as strings, whatever they are."""
    while isinstance(of_type, msgspec.inspect.Metadata):
        of_type = of_type.type
    if isinstance(of_type, msgspec.inspect.LiteralType):
        return {"enum": [str(value) for value in of_type.values]}
    if isinstance(of_type, msgspec.inspect.EnumType):
        return {"enum": [str(each.value) for each in of_type.cls]}
    if isinstance(of_type, msgspec.inspect.IntType):
        return {"type": "string", "pattern": "^-?[0-9]+$"}
    if isinstance(of_type, msgspec.inspect.UUIDType):
        return {"type": "string", "format": "uuid"}
    return {}


def _parts(types: Sequence[Any]) -> Iterator[Any]:
    """Give what msgspec knows of each class with fields that it writes, once."""
    seen: set[Any] = set()
    waiting: list[Any] = list(types)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, tuple):
            waiting.extend(node)  # pyright: ignore[reportUnknownArgumentType]  # of anything
        elif isinstance(node, msgspec.Struct):
            if isinstance(
                node, msgspec.inspect.StructType | msgspec.inspect.DataclassType
            ):
                if node.cls in seen:
                    continue
                seen.add(node.cls)
                yield node
            waiting += [getattr(node, name) for name in node.__struct_fields__]


def _always_written(part: Any) -> Iterator[str]:
    config: Any = getattr(part.cls, "__struct_config__", None)
    if config is not None and config.tag is not None:
        yield config.tag_field
    for field in part.fields:
        has_default = not (
            field.default is msgspec.NODEFAULT
            and field.default_factory is msgspec.NODEFAULT
        )
        # One that may be missing and has no default is UNSET.
        omits = config is not None and config.omit_defaults
        if field.required or (has_default and not omits):
            yield field.encode_name


def _name_in(reference: Schema, ref_template: str) -> str:
    before, _, after = ref_template.partition("{name}")
    name: str = reference["$ref"]
    return name.removeprefix(before).removesuffix(after)

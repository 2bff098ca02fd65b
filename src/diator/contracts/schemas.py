"""JSON Schemas of messages, as they are written and as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import msgspec

from diator.exceptions import ConfigurationError
from diator.handler import qualified_name

Schema = dict[str, Any]


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
    named_by_others: dict[str, Schema] = {}

    def schema_of_other(other: Any) -> Schema:
        """Ask pydantic's models for their own schema, without importing it."""
        make: Any = getattr(other, "model_json_schema", None)
        if make is None:
            msg = f"{qualified_name(other)} has no form in JSON"
            raise TypeError(msg)
        # They are read by their aliases, and written by the names of their fields.
        schema: Schema = make(
            by_alias=not written,
            ref_template=ref_template.replace("{name}", "{model}"),
            mode="serialization" if written else "validation",
        )
        named_by_others.update(schema.pop("$defs", {}))
        if written:
            for each in (schema, *named_by_others.values()):
                # Pydantic writes defaults, too, and says all the same: not required.
                each["required"] = list(each.get("properties", ()))
        return schema

    def components(some: Sequence[Any]) -> tuple[tuple[Schema, ...], dict[str, Schema]]:
        return msgspec.json.schema_components(
            some, schema_hook=schema_of_other, ref_template=ref_template
        )

    try:
        schemas, named = components(types)
    except TypeError as error:
        names = ", ".join(map(qualified_name, types))
        msg = f"a field of one of {names} cannot be described: {error}"
        raise ConfigurationError(msg) from error
    if written:
        parts = list(_parts(msgspec.inspect.multi_type_info(types)))
        references, _ = components([*types, *(part.cls for part in parts)])
        for part, reference in zip(parts, references[len(types) :], strict=True):
            schema = named[_name_in(reference, ref_template)]
            schema["required"] = list(_always_written(part))
    return list(schemas), {**named, **named_by_others}


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

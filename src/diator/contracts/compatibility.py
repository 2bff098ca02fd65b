"""Whether others can go on reading, and writing, by an older contract."""

from __future__ import annotations

from typing import Any, NamedTuple

from diator.contracts.schemas import is_list, is_schema
from diator.exceptions import ConfigurationError

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")

# What a reader asks for that has no order: nothing but the same is as good.
EXACT = ("format", "pattern", "multipleOf", "contentEncoding", "uniqueItems")

STRUCTURE = ("properties", "required", "additionalProperties", "items")
CHOICES = ("type", "enum", "const", "anyOf", "oneOf", "$ref", "additionalItems")

# They tell something to people, and nothing about what is valid.
ANNOTATIONS = ("title", "description", "default", "examples", "discriminator")

UNDERSTOOD = {
    *(*LOWER_BOUNDS, *UPPER_BOUNDS, *EXACT),
    *(*STRUCTURE, *CHOICES, *ANNOTATIONS),
}

SENT = (
    "is no longer there, though others rely on it",
    "may be missing, though others rely on it",
)
RECEIVED = (
    "is asked for, which others do not send",
    "is asked for always, which others may leave out",
)

TYPES: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    type(None): "null",
}


class BreakingChange(NamedTuple):
    """
    A change that programs of others may fail at.

    Attributes:
        message: The name of the message.
        path: Where in the message, such as `payload.items[].price`; empty if it is all
            of it.
        reason: What it is.

    """

    message: str
    path: str
    reason: str

    def __str__(self) -> str:
        place = f", {self.path}" if self.path else ""
        return f"{self.message}{place}: {self.reason}"


def breaking_changes(older: Any, newer: Any) -> list[BreakingChange]:
    """
    Find what others can no longer rely on.

    What is sent must still be what they know how to read, and what they write must
    still be accepted. One field more that is sent, or one more message, breaks nothing;
    what cannot be compared counts as broken.

    Args:
        older: The AsyncAPI document that they go by, as `Contract.asyncapi` gave it.
        newer: The one of now.

    Raises:
        ConfigurationError: One of them is no such document.

    """
    before, now = _operations(older), _operations(newer)
    changes: list[BreakingChange] = []
    for (action, name), (topic, message) in before.items():
        if (action, name) not in now:
            verb = "sent" if action == "send" else "received"
            changes.append(BreakingChange(name, "", f"is no longer {verb}"))
            continue
        new_topic, new_message = now[action, name]
        if topic != new_topic:
            reason = f"has moved from the topic {topic!r} to {new_topic!r}"
            changes.append(BreakingChange(name, "", reason))
        old_type, new_type = message["contentType"], new_message["contentType"]
        if old_type != new_type:
            reason = f"is {new_type} instead of {old_type}"
            changes.append(BreakingChange(name, "", reason))
        for part, path in (("headers", "headers"), ("payload", "")):
            # Others read what is sent, and write what is received.
            if action == "send":
                comparison = _Comparison(SENT, written_by=newer, read_by=older)
                faults = comparison.faults(new_message[part], message[part], path)
            else:
                comparison = _Comparison(RECEIVED, written_by=older, read_by=newer)
                faults = comparison.faults(message[part], new_message[part], path)
            changes += [BreakingChange(name, *fault) for fault in faults]
    return changes


def _operations(document: Any) -> dict[tuple[str, str], tuple[str, Any]]:
    """Give the topic and the description of what is sent and received, by name."""
    try:
        operations: dict[tuple[str, str], tuple[str, Any]] = {}
        for operation in document["operations"].values():
            channel, name = operation["messages"][0]["$ref"].split("/")[2::2]
            topic = document["channels"][channel]["address"]
            message = document["components"]["messages"][name]
            operations[operation["action"], name] = topic, message
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        msg = "this is no AsyncAPI document that a Contract has given"
        raise ConfigurationError(msg) from error
    return operations


class _Comparison:
    """
    Compares what one side writes with what the other one reads.

    Args:
        reasons: What it means that something is missing, and that it may be.
        written_by: The document of the writer, where its references lead to.
        read_by: That of the reader.

    """

    def __init__(
        self, reasons: tuple[str, str], *, written_by: Any, read_by: Any
    ) -> None:
        self._is_missing, self._may_be_missing = reasons
        self._written_by = written_by
        self._read_by = read_by
        self._compared: list[tuple[str, str]] = []

    def faults(self, written: Any, read: Any, path: str) -> list[tuple[str, str]]:
        """Give what is wrong with what is written, for the reader, and where."""
        references = (_reference(written), _reference(read))
        # Types that contain themselves are compared once.
        if references in self._compared:
            return []
        self._compared.append(references)
        try:
            return self._compare(
                _choices(written, self._written_by), _choices(read, self._read_by), path
            )
        finally:
            self._compared.pop()

    def _compare(
        self, written: list[Any], read: list[Any], path: str
    ) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for choice in written:
            faults = [self._faults_of_choice(choice, each, path) for each in read]
            if not all(faults):
                continue
            # What it was before, as far as can be told.
            alike = [
                faults[number]
                for number, each in enumerate(read)
                if "const" not in each and _is_of_type(choice, each)
            ]
            if len(written) == len(read) == 1:
                found += faults[0]
            elif len(alike) == 1:
                found += alike[0]
            else:
                wrong = f"may be {_shown(choice)}, which was not known"
                found.append((path, wrong))
        return found

    def _faults_of_choice(
        self, written: Any, read: Any, path: str
    ) -> list[tuple[str, str]]:
        if not set(read) - set(ANNOTATIONS):
            return []
        if unknown := {*written, *read} - UNDERSTOOD:
            same = all(written.get(name) == read.get(name) for name in unknown)
            if not same:
                return [(path, f"{', '.join(sorted(unknown))} cannot be compared")]
        if "const" in read and written.get("const", ...) != read["const"]:
            return [(path, f"is {_shown(written)} instead of {_shown(read)}")]
        if not _is_of_type(written, read):
            return [(path, f"is {_shown(written)} instead of {_shown(read)}")]
        if "const" in written:
            return []
        return [
            *((path, reason) for reason in _faults_of_limits(written, read)),
            *self._faults_of_object(written, read, path),
            *self._faults_of_array(written, read, path),
        ]

    def _faults_of_object(
        self, written: Any, read: Any, path: str
    ) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        properties: dict[str, Any] = written.get("properties", {})
        known: dict[str, Any] = read.get("properties", {})
        for name in read.get("required", ()):
            if name not in properties:
                found.append((_join(path, name), self._is_missing))
            elif name not in written.get("required", ()):
                found.append((_join(path, name), self._may_be_missing))
        for name, schema in properties.items():
            other = known.get(name, read.get("additionalProperties", True))
            if other is False:
                found.append((_join(path, name), "is more than is allowed"))
            elif other is not True:
                found += self.faults(schema, other, _join(path, name))
        if is_schema(read.get("additionalProperties")):
            values = written.get("additionalProperties", {})
            found += self.faults(
                values, read["additionalProperties"], _join(path, "{}")
            )
        return found

    def _faults_of_array(
        self, written: Any, read: Any, path: str
    ) -> list[tuple[str, str]]:
        wanted = read.get("items", {})
        items = written.get("items", {})
        if not is_list(wanted) and not is_list(items):
            return self.faults(items, wanted, f"{path}[]") if wanted else []
        # Tuples; how many items there are is for the limits of their length to say.
        if not is_list(wanted) or not is_list(items):
            return [(path, "is a list of another kind, of any length or of one")]
        return [
            fault
            for number, (item, other) in enumerate(zip(items, wanted, strict=False))
            for fault in self.faults(item, other, f"{path}[{number}]")
        ]


def _reference(schema: Any) -> str:
    return schema.get("$ref", str(id(schema))) if is_schema(schema) else ""


def _choices(schema: Any, document: Any) -> list[Any]:
    """Give what a value may be: schemas that have one type, or one value."""
    if not is_schema(schema):
        return [{}]
    if "$ref" in schema:
        resolved = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            resolved = resolved[step]
        return _choices(resolved, document)
    for alternatives in ("anyOf", "oneOf"):
        if alternatives in schema:
            return [
                choice
                for each in schema[alternatives]
                for choice in _choices(each, document)
            ]
    if "enum" in schema:
        return [{"const": value} for value in schema["enum"]]
    return [schema]


def _is_of_type(written: Any, read: Any) -> bool:
    wanted = read.get("type")
    if wanted is None:
        return True
    if "const" in written:
        value: object = written["const"]
        found = TYPES.get(type(value))
    else:
        found = written.get("type")
    return found == wanted or (found == "integer" and wanted == "number")


def _faults_of_limits(written: Any, read: Any) -> list[str]:
    found = [
        f"may be less: {name} is {written.get(name)} instead of {read[name]}"
        for name in LOWER_BOUNDS
        if name in read and written.get(name, float("-inf")) < read[name]
    ]
    found += [
        f"may be more: {name} is {written.get(name)} instead of {read[name]}"
        for name in UPPER_BOUNDS
        if name in read and written.get(name, float("inf")) > read[name]
    ]
    found += [
        f"has the {name} {written.get(name)!r} instead of {read[name]!r}"
        for name in EXACT
        if name in read and written.get(name) != read[name]
    ]
    return found


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(schema: Any) -> str:
    if "const" in schema:
        return repr(schema["const"])
    return str(schema.get("type", "anything"))

"""Whether others can go on reading, and writing, by an older contract."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

from diator.contracts.schemas import is_list, is_schema
from diator.exceptions import ConfigurationError

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")

# What a reader asks for that has no order: nothing but the same is as good.
EXACT = ("format", "pattern", "multipleOf", "contentEncoding")

EXCLUSIVE = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}

STRUCTURE = (
    "properties", "required", "additionalProperties", "propertyNames", "items",
)  # fmt: skip
CHOICES = ("type", "enum", "const", "anyOf", "oneOf", "$ref", "additionalItems")

# They tell something to people, and nothing about what is valid.
ANNOTATIONS = (
    *("title", "description", "default", "examples", "discriminator"),
    *("deprecated", "readOnly", "writeOnly"),
    "uniqueItems",  # Readers of ours take a set for what it is, whatever comes twice.
)

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


Fault = tuple[str, str]
"""Where something is wrong, and what."""


class BreakingChange(NamedTuple):
    """
    A change that programs of others may fail at.

    Attributes:
        message: The name of the message.
        path: Where in the message, such as `payload.items[].price`, or
            `payload.shape[kind='circle'].radius` for one class of a union; empty if it
            is all of it.
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
    try:
        return list(_changes(older, newer))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        msg = "this is no AsyncAPI document that a Contract has given"
        raise ConfigurationError(msg) from error


def _changes(older: Any, newer: Any) -> Iterator[BreakingChange]:
    before, now = _operations(older), _operations(newer)
    for (action, name), (topic, message) in before.items():
        if (action, name) not in now:
            verb = "sent" if action == "send" else "received"
            yield BreakingChange(name, "", f"is no longer {verb}")
            continue
        new_topic, new_message = now[action, name]
        if topic != new_topic:
            reason = f"has moved from the topic {topic!r} to {new_topic!r}"
            yield BreakingChange(name, "", reason)
        old_type, new_type = message["contentType"], new_message["contentType"]
        if old_type != new_type:
            yield BreakingChange(name, "", f"is {new_type} instead of {old_type}")
        for part, path in (("headers", "headers"), ("payload", "")):
            old, new = message[part], new_message[part]
            # Others read what is sent, and write what is received.
            if action == "send":
                comparison = _Comparison(
                    SENT, exact=True, written_by=newer, read_by=older
                )
                faults = comparison.faults(new, old)
            else:
                comparison = _Comparison(
                    RECEIVED, exact=False, written_by=older, read_by=newer
                )
                faults = comparison.faults(old, new)
            for fault in _at(path, faults):
                yield BreakingChange(name, *fault)


def _operations(document: Any) -> dict[tuple[str, str], tuple[str, Any]]:
    """Give the topic and the description of what is sent and received, by name."""
    operations: dict[tuple[str, str], tuple[str, Any]] = {}
    for operation in document["operations"].values():
        channel, name = operation["messages"][0]["$ref"].split("/")[2::2]
        topic = document["channels"][channel]["address"]
        message = document["components"]["messages"][name]
        operations[operation["action"], name] = topic, message
    return operations


class _Comparison:
    """
    Compares what one side writes with what the other one reads.

    Args:
        reasons: What it means that a field is missing, and that it may be.
        exact: Whether the writer has no other fields than it says, as diator has not.
        written_by: The document of the writer, where its references lead to.
        read_by: That of the reader.

    """

    def __init__(
        self,
        reasons: tuple[str, str],
        *,
        exact: bool,
        written_by: Any,
        read_by: Any,
    ) -> None:
        self._is_missing, self._may_be_missing = reasons
        self._exact = exact
        self._written_by = written_by
        self._read_by = read_by
        # Each part is compared once, and one that contains itself taken as equal until
        # something is found. Parts stand in the documents, which outlive this.
        self._known: dict[tuple[int, int], list[Fault]] = {}

    def faults(self, written: Any, read: Any) -> list[Fault]:
        """Give what is wrong with what is written, for the reader, and where."""
        return self._compare(
            _choices(written, self._written_by), _choices(read, self._read_by)
        )

    def _compare(self, written: list[Any], read: list[Any]) -> list[Fault]:
        found: list[Fault] = []
        for choice in written:
            faults = [self._faults_of_choice(choice, each) for each in read]
            if not all(faults):
                continue
            if len(written) == len(read) == 1:
                found += faults[0]
            else:
                found += self._faults_of_likest(choice, read, faults)
        return found

    def _faults_of_likest(
        self, choice: Any, read: list[Any], faults: list[list[Fault]]
    ) -> list[Fault]:
        """Give what has become of the one that it was before, as far as can be told."""
        tags = _tags(choice, self._written_by)
        alike: list[list[Fault]] = []
        for each, of_each in zip(read, faults, strict=True):
            known = _tags(each, self._read_by)
            shared = tags.keys() & known.keys()
            if (
                "const" not in each
                and _is_of_type(choice, each)
                and all(tags[name] == known[name] for name in shared)
            ):
                branch = _told({name: known[name] for name in shared})
                alike.append(_at(branch and f"[{branch}]", of_each))
        if len(alike) == 1:
            return alike[0]
        told = " with ".join(filter(None, [_shown(choice), _told(tags)]))
        return [("", f"may be {told}, which was not known")]

    def _faults_of_choice(self, written: Any, read: Any) -> list[Fault]:
        if not set(read) - set(ANNOTATIONS):
            return []
        if unknown := {*written, *read} - UNDERSTOOD:
            same = all(written.get(name) == read.get(name) for name in unknown)
            if not same:
                return [("", f"{', '.join(sorted(unknown))} cannot be compared")]
        is_other_value = "const" in read and written.get("const", ...) != read["const"]
        if is_other_value or not _is_of_type(written, read):
            return [("", f"is {_shown(written)} instead of {_shown(read)}")]
        if "const" in read:
            return []
        limits = _faults_of_limits(written, read)
        if not {*written, *read}.intersection(STRUCTURE):
            return limits
        return limits + self._faults_of_structure(written, read)

    def _faults_of_structure(self, written: Any, read: Any) -> list[Fault]:
        pair = (id(written), id(read))
        if pair in self._known:
            return self._known[pair]
        before = set(self._known)
        self._known[pair] = []
        found = [
            *self._faults_of_object(written, read),
            *self._faults_of_array(written, read),
        ]
        if found:
            # What was taken as equal because these were has to be looked at again.
            self._known = {
                each: faults
                for each, faults in self._known.items()
                if faults or each in before
            }
        self._known[pair] = found
        return found

    def _faults_of_object(self, written: Any, read: Any) -> list[Fault]:
        found: list[Fault] = []
        properties: dict[str, Any] = written.get("properties", {})
        known: dict[str, Any] = read.get("properties", {})
        allowed: Any = read.get("additionalProperties", True)
        for name in read.get("required", ()):
            if name not in properties:
                found.append((name, self._is_missing))
            elif name not in written.get("required", ()):
                found.append((name, self._may_be_missing))
        for name, schema in properties.items():
            other = known.get(name, allowed)
            if other is False:
                found.append((name, "is more than is allowed"))
            elif other is not True:
                found += _at(name, self.faults(schema, other))
        return found + self._faults_of_others(written, read)

    def _faults_of_others(self, written: Any, read: Any) -> list[Fault]:
        """Give what is wrong with fields that have no names: those of a dict."""
        found: list[Fault] = []
        properties: dict[str, Any] = written.get("properties", {})
        others: Any = written.get("additionalProperties", False)
        allowed: Any = read.get("additionalProperties", True)
        if allowed is False and (others is not False or not self._is_closed(written)):
            found.append(("", "must have no other fields any more"))
        if others is not False:
            known: dict[str, Any] = read.get("properties", {})
            for name in [each for each in known if each not in properties]:
                found += _at(name, self.faults(others, known[name]))
            if is_schema(allowed):
                found += _at("{}", self.faults(others, allowed))
        if "propertyNames" in read:
            names = written.get("propertyNames", {"type": "string"})
            found += _at("{name}", self.faults(names, read["propertyNames"]))
        return found

    def _faults_of_array(self, written: Any, read: Any) -> list[Fault]:
        wanted = read.get("items", {})
        items = written.get("items", {})
        if not is_list(wanted) and not is_list(items):
            return _at("[]", self.faults(items, wanted)) if wanted else []
        # Tuples; how many items there are is for the limits of their length to say.
        if not is_list(wanted) or not is_list(items):
            return [("", "is a list of another kind, of any length or of one")]
        return [
            fault
            for number, (item, other) in enumerate(zip(items, wanted, strict=False))
            for fault in _at(f"[{number}]", self.faults(item, other))
        ]

    def _is_closed(self, written: Any) -> bool:
        # What is sent has just the fields of its class; others may have sent more, as
        # long as these were ignored.
        return self._exact or written.get("additionalProperties") is False


def _at(step: str, faults: list[Fault]) -> list[Fault]:
    return [(_join(step, path), reason) for path, reason in faults]


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


def _tags(schema: Any, document: Any) -> dict[str, Any]:
    """Give the fields that have one value only, by which unions tell their classes."""
    tags: dict[str, Any] = {}
    for name, of_field in schema.get("properties", {}).items():
        values = _choices(of_field, document)
        if len(values) == 1 and "const" in values[0]:
            tags[name] = values[0]["const"]
    return tags


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


def _faults_of_limits(written: Any, read: Any) -> list[Fault]:
    asked = {*LOWER_BOUNDS, *UPPER_BOUNDS, *EXACT}.intersection(read)
    if asked and "const" in written:
        told = ", ".join(sorted(asked))
        return [("", f"is {_shown(written)}, which may break the {told} of before")]
    found: list[str] = []
    for bounds, is_within, more in (
        (LOWER_BOUNDS, operator.ge, "less"),
        (UPPER_BOUNDS, operator.le, "more"),
    ):
        for name in asked.intersection(bounds):
            # Above 0 is at least 0, too.
            exclusive = EXCLUSIVE.get(name, name)
            value = written.get(name, written.get(exclusive))
            if value is None or not is_within(value, read[name]):
                found.append(f"may be {more}: the {name} is not {read[name]} any more")
    found += [
        f"has another {name}, {written.get(name)!r} instead of {read[name]!r}"
        for name in EXACT
        if name in read and written.get(name) != read[name]
    ]
    return [("", reason) for reason in sorted(found)]


def _join(path: str, step: str) -> str:
    if not path or not step:
        return path + step
    return f"{path}{step}" if step.startswith("[") else f"{path}.{step}"


def _shown(schema: Any) -> str:
    if "const" in schema:
        return repr(schema["const"])
    return str(schema.get("type", "anything"))


def _told(tags: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in sorted(tags.items()))

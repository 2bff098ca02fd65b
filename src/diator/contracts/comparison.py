"""Whether what one side writes is what the other one knows how to read."""

from __future__ import annotations

from typing import Any

from diator.contracts.definitions import (
    STRING,
    Definitions,
    is_of_type,
    is_of_value,
    references,
    shown,
)
from diator.contracts.faults import Fault, at
from diator.contracts.limits import LIMITS, faults_of_limits
from diator.contracts.merging import ANNOTATIONS
from diator.contracts.patterns import matches, may_match
from diator.contracts.schemas import Schema, is_list, is_schema

STRUCTURE = (
    *("properties", "required", "additionalProperties"),
    *("propertyNames", "patternProperties", "items", "additionalItems"),
)

UNDERSTOOD = {"type", "const", *LIMITS, *STRUCTURE, *ANNOTATIONS}

SENT = (
    "is no longer there, though others rely on it",
    "may be missing, though others rely on it",
)
RECEIVED = (
    "is asked for, which others do not send",
    "is asked for always, which others may leave out",
)


class Comparison:
    """
    Compares what messages were with what they are, for those at the other end.

    Args:
        older: The document that they go by, where its references lead to.
        newer: The one of now.
        is_sent: Whether the messages are sent, so that others read by the older
            document what is written by the newer one; or received, and thus the other
            way round.

    """

    def __init__(self, older: Any, newer: Any, *, is_sent: bool) -> None:
        self._is_sent = is_sent
        writer, reader = (newer, older) if is_sent else (older, newer)
        self._writer, self._reader = Definitions(writer), Definitions(reader)
        self._is_missing, self._may_be_missing = SENT if is_sent else RECEIVED
        # Each part is compared once, and one that contains itself taken as equal until
        # something is found. They stand in the documents, which outlive this, as do the
        # few that do not.
        self._known: dict[tuple[int, int], list[Fault]] = {}

    def faults(self, old: Any, new: Any) -> list[Fault]:
        """Give what breaks the others, of schemas of the older and newer document."""
        return self._faults(new, old) if self._is_sent else self._faults(old, new)

    def _faults(self, written: Any, read: Any) -> list[Fault]:
        return self._compare(self._writer.choices(written), self._reader.choices(read))

    def _compare(self, written: list[Schema], read: list[Schema]) -> list[Fault]:
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
        self, choice: Schema, read: list[Schema], faults: list[list[Fault]]
    ) -> list[Fault]:
        """Give what has become of the one that it was before, as far as can be told."""
        tags = self._writer.tags(choice)
        alike: list[list[Fault]] = []
        for each, of_each in zip(read, faults, strict=True):
            known = self._reader.tags(each)
            shared = tags.keys() & known.keys()
            if (
                "const" not in each
                and is_of_type(choice, each)
                and all(tags[name] == known[name] for name in shared)
            ):
                branch = _told({name: known[name] for name in shared})
                alike.append(at(branch and f"[{branch}]", of_each))
        if len(alike) == 1:
            return alike[0]
        told = " with ".join(filter(None, [shown(choice), _told(tags)]))
        return [("", f"may be {told}, which was not known")]

    def _faults_of_choice(self, written: Schema, read: Schema) -> list[Fault]:
        if not set(read) - set(ANNOTATIONS):
            return []
        unknown = {*written, *read} - UNDERSTOOD
        if not all(self._is_same(written, read, name) for name in unknown):
            return [("", f"{', '.join(sorted(unknown))} cannot be compared")]
        if not is_of_type(written, read) or not is_of_value(written, read):
            return [("", f"is {shown(written)} instead of {shown(read)}")]
        if "const" in read:
            return []
        limits = faults_of_limits(written, read)
        if not {*written, *read}.intersection(STRUCTURE):
            return limits
        return limits + self._faults_of_structure(written, read)

    def _is_same(self, written: Schema, read: Schema, name: str) -> bool:
        """Tell whether a keyword has the same in both, and this leads to the same."""
        if written.get(name) != read.get(name):
            return False
        waiting = list(references(read.get(name)))
        seen: set[str] = set()
        while waiting:
            reference = waiting.pop()
            if reference not in seen:
                seen.add(reference)
                found = self._reader.resolve(reference)
                if self._writer.resolve(reference) != found:
                    return False
                waiting += references(found)
        return True

    def _faults_of_structure(self, written: Schema, read: Schema) -> list[Fault]:
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

    def _faults_of_object(self, written: Schema, read: Schema) -> list[Fault]:
        found: list[Fault] = []
        properties: dict[str, Any] = written.get("properties", {})
        known: dict[str, Any] = read.get("properties", {})
        patterns: dict[str, Any] = read.get("patternProperties", {})
        allowed: Any = read.get("additionalProperties", True)
        for name in read.get("required", ()):
            if name not in properties:
                found.append((name, self._is_missing))
            elif name not in written.get("required", ()):
                found.append((name, self._may_be_missing))
        for name, schema in properties.items():
            if name in known:
                found += at(name, self._faults(schema, known[name]))
            elif not any(matches(each, name) for each in patterns):
                found += self._faults_of_other(name, schema, allowed)
        return [
            *found,
            *self._faults_of_patterns(written, read),
            *self._faults_of_others(written, read),
        ]

    def _faults_of_other(self, name: str, schema: Any, allowed: Any) -> list[Fault]:
        if allowed is False:
            return [(name, "is more than is allowed")]
        return at(name, self._faults(schema, allowed))

    def _faults_of_patterns(self, written: Schema, read: Schema) -> list[Fault]:
        """Give what is wrong with fields whose names have a pattern, on either side."""
        found: list[Fault] = []
        properties: dict[str, Any] = written.get("properties", {})
        patterns: dict[str, Any] = written.get("patternProperties", {})
        known: dict[str, Any] = read.get("properties", {})
        known_patterns: dict[str, Any] = read.get("patternProperties", {})
        for pattern, schema in patterns.items():
            for name, wanted in known.items():
                if name not in properties and may_match(pattern, name):
                    found += at(name, self._faults(schema, wanted))
            if pattern not in known_patterns:
                allowed: Any = read.get("additionalProperties", True)
                found += self._faults_of_other(f"{{{pattern}}}", schema, allowed)
        for pattern, wanted in known_patterns.items():
            for step, schema in _fields_of_pattern(pattern, written):
                found += at(step, self._faults(schema, wanted))
        return found

    def _faults_of_others(self, written: Schema, read: Schema) -> list[Fault]:
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
                found += at(name, self._faults(others, known[name]))
            if is_schema(allowed):
                found += at("{}", self._faults(others, allowed))
        if "propertyNames" in read:
            names = written.get("propertyNames", STRING)
            found += at("{name}", self._faults(names, read["propertyNames"]))
        return found

    def _faults_of_array(self, written: Schema, read: Schema) -> list[Fault]:
        wanted = read.get("items", True)
        items = written.get("items", True)
        if not is_list(wanted) and not is_list(items):
            return at("[]", self._faults(items, wanted))
        # Tuples; how many items there are is for the limits of their length to say.
        if not is_list(wanted) or not is_list(items):
            return [("", "is a list of another kind, of any length or of one")]
        more = written.get("additionalItems", True)
        found = at("[]", self._faults(more, read.get("additionalItems", True)))
        for number, (item, other) in enumerate(zip(items, wanted, strict=False)):
            found += at(f"[{number}]", self._faults(item, other))
        return found

    def _is_closed(self, written: Schema) -> bool:
        # What is sent has just the fields of its class; others may have sent more, as
        # long as these were ignored.
        return self._is_sent or written.get("additionalProperties") is False


def _fields_of_pattern(pattern: str, written: Schema) -> list[tuple[str, Any]]:
    """Give the fields whose names may have a pattern that the reader knows."""
    patterns: dict[str, Any] = written.get("patternProperties", {})
    if pattern in patterns:
        # Whatever other patterns a name has as well, it has this one.
        return [(f"{{{pattern}}}", patterns[pattern])]
    properties: dict[str, Any] = written.get("properties", {})
    return [
        *(
            (name, schema)
            for name, schema in properties.items()
            if may_match(pattern, name)
        ),
        *((f"{{{each}}}", schema) for each, schema in patterns.items()),
        ("{}", written.get("additionalProperties", False)),
    ]


def _told(tags: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in sorted(tags.items()))

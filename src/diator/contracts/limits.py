"""What is asked of a value beside its type."""

from __future__ import annotations

import operator

from diator.contracts.faults import Fault
from diator.contracts.schemas import Schema

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")

# What a reader asks for that has no order: nothing but the same is as good.
EXACT = ("format", "pattern", "multipleOf", "contentEncoding")

LIMITS = (*LOWER_BOUNDS, *UPPER_BOUNDS, *EXACT)

EXCLUSIVE = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}


def faults_of_limits(written: Schema, read: Schema) -> list[Fault]:
    """Give what a value may be that is written, and must not be to be read."""
    asked = set(LIMITS).intersection(read)
    if asked and "const" in written:
        told = ", ".join(sorted(asked))
        return [("", f"is {written['const']!r}, which may break the {told} of before")]
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

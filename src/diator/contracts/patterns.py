"""Which names of fields have a pattern, as far as Python can tell."""

from __future__ import annotations

import re


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name surely has a pattern: none, if Python cannot read it."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def may_match(pattern: str, name: str) -> bool:
    """Tell whether a name may have a pattern: any name, if Python cannot read it."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return True

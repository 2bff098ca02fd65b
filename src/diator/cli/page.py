"""Write what a mediator is made of as a page for browsers."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diator.description.model import Description

PLACE = ">DESCRIPTION<"
"""Where the template has the description, between two tags."""

ESCAPED = {ord(each): f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}
"""What could end a script, or a line of it; in JSON these stand in strings only."""


def page(description: Description) -> str:
    """
    Give a page of HTML that needs no other file and no network.

    It is the same whenever the wiring is.

    Args:
        description: What the mediator is made of.

    """
    template = files("diator.cli").joinpath("page.html").read_text("utf-8")
    data = json.dumps(asdict(description), ensure_ascii=False).translate(ESCAPED)
    return template.replace(PLACE, f">{data}<")

"""
Draw the diagrams of the pages while the site is built.

The theme would have browsers load Mermaid from a network of others.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import mermaidx
from pymdownx.superfences import SuperFencesException


def draw(source: str, *_: Any, **__: Any) -> str:
    """Give the image of a fenced block, as pymdownx.superfences asks for it."""
    # Several of them may stand on one page, each with styles of its own.
    name = f"diagram-{sha256(source.encode()).hexdigest()[:8]}"
    try:
        image = mermaidx.render(source).svg().replace("my-svg", name)
    except Exception as error:
        # Any other is swallowed, and the block shown as it is.
        raise SuperFencesException from error
    # Lines and letters are dark, whatever the page is.
    return f'<div style="background: white; padding: 1rem">{image}</div>'

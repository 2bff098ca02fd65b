"""Where the command `diator` starts, also without what it needs."""

from __future__ import annotations

import sys

NEEDED = {"rich", "typer"}
"""What the extra `cli` installs."""


def start() -> None:
    """Run the command, or say how what it needs is installed."""
    try:
        from diator.cli.main import app  # noqa: PLC0415  # it may not be there
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        sys.exit(f"diator: {error.name} is missing: pip install 'diator[cli]'")
    app()

"""What was measured, kept as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers.measuring import Figures


@dataclass(frozen=True)
class Results:
    python: str
    machine: dict[str, str]
    peers: list[Figures]


def describe_machine(python: str) -> dict[str, str]:
    return {}


def write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"python-{results.python}.json").write_text(json.dumps(asdict(results), indent=1))

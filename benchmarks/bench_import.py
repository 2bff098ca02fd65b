"""Importing diator, after what it is made of."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.comparison import Case, Comparison, Side
from benchmarks.conftest import ROUNDS_DISABLED, compared

TARGET = 1.2
"""On a machine on which the others take 50 ms, diator adds 10 ms at most."""

OTHERS = "import asyncio, lagom, msgspec"

# Whatever pytest was told, modules are compiled once and not with every run.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name != "PYTHONDONTWRITEBYTECODE"
}


def measure(imports: str) -> int:
    """Import something in a new interpreter, and give the CPU time in ns."""
    program = (
        "import time; before = time.process_time_ns(); "
        f"{imports}; print(time.process_time_ns() - before)"
    )
    command = [sys.executable, "-c", program]
    return int(subprocess.check_output(command, env=ENVIRONMENT))  # noqa: S603  # its own


async def do_nothing(_request: object) -> None: ...


def test_import(benchmark: Any, pytestconfig: pytest.Config) -> None:
    case = Case(name="import, with the others", request=None, rounds=30, target=TARGET)
    if not benchmark.enabled:
        case = replace(case, rounds=ROUNDS_DISABLED)
    sides = {
        OTHERS: Side(do_nothing),
        f"{OTHERS}, diator": Side(do_nothing),
    }
    for imports in sides:
        measure(imports)
    for _ in range(case.rounds):
        for imports, side in sides.items():
            side.cpu.append(measure(imports))
    comparison = Comparison(case, *sides.values())
    pytestconfig.stash.setdefault(compared, []).append(comparison)
    benchmark.extra_info["ratio"] = round(comparison.ratio, 3)
    benchmark.pedantic(measure, args=[f"{OTHERS}, diator"], rounds=ROUNDS_DISABLED)

"""The distributed example does what it says, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
MARK = "DIATOR_TEST_RUN"
TIMEOUT_SECONDS = 240  # of a busy machine; a few seconds where there is room


def processes_with(mark):
    """Return the command lines of the processes that have inherited a mark."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            # It is no process, or has ended, or is another user's.
            continue
    return found


def test_all_is_done():
    """All that was ordered is confirmed, and taken once, and every process ends."""
    mark = f"{MARK}={uuid4()}"
    name, value = mark.split("=")

    process = subprocess.run(
        [sys.executable, "-m", "examples.distributed", "--seconds=3", "--rate=50"],
        cwd=ROOT,
        env=os.environ | {name: value, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )

    assert process.stderr == ""
    assert process.returncode == 0
    numbers = r"(\S+) orders, (\S+) of them confirmed\n(\S+) .* ordered, (\S+) taken .*"
    [(orders, confirmed, ordered, taken)] = re.findall(numbers, process.stdout)
    assert orders == confirmed != "0"
    assert ordered == taken != "0"
    assert processes_with(mark) == []

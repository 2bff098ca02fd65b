"""What was measured on one Python, and what follows from it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import exp, log
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.peers.cases import CASES
from benchmarks.peers.environments import BY_HAND, OURS, ROOT
from benchmarks.peers.measuring import Figures

FUNCTIONS = {case.name: case.function for case in CASES} | {"in flight": "waiting"}


@dataclass(frozen=True)
class Results:
    """
    What was measured on one Python.

    Attributes:
        python: Its version, such as 3.12.
        about: When, where and of what it was measured.
        peers: The figures of each peer, by the name of the adapter.

    """

    python: str
    about: dict[str, str]
    peers: dict[str, Figures]

    def ratio(self, adapter: str, case: str) -> float | None:
        """Return what a peer costs in a case, with 1 for the work by hand."""
        return self.peers[adapter].cases.get(case, {}).get("ratio")

    def note(self, adapter: str, case: str) -> str:
        """Return what has to be said of a figure, or why there is none."""
        peer = self.peers[adapter]
        figures = peer.cases.get(case, {})
        reason: str = (
            peer.unusable
            or figures.get("cannot")
            or figures.get("failed")
            or peer.lacks.get(FUNCTIONS.get(case, ""))
            or peer.notes.get(FUNCTIONS.get(case, ""), "")
        )
        return reason

    def is_comparable(self, adapter: str, case: str) -> bool:
        """Tell whether a peer does in a case all that diator does."""
        return FUNCTIONS.get(case) not in self.peers[adapter].lacks

    def best(self, case: str) -> str | None:
        """Return the cheapest of the peers that do all that diator does."""
        ratios = {
            adapter: ratio
            for adapter in self.peers
            if adapter != BY_HAND and self.is_comparable(adapter, case)
            if (ratio := self.ratio(adapter, case)) is not None
        }
        return min(ratios, key=ratios.__getitem__, default=None)

    def order(self) -> Sequence[str]:
        """
        Return the adapters, the cheapest first, and the work by hand before all.

        What counts is the geometric mean of what a peer costs beside diator, of all
        cases that both can do.
        """
        return sorted(self.peers, key=lambda peer: (peer != BY_HAND, self._cost(peer)))

    def _cost(self, adapter: str) -> float:
        if OURS not in self.peers:
            return 0
        pairs = [
            (self.ratio(adapter, case.name), self.ratio(OURS, case.name))
            for case in CASES
        ]
        logs = [log(theirs / ours) for theirs, ours in pairs if theirs and ours]
        return exp(fmean(logs)) if logs else float("inf")


def describe(python: str) -> dict[str, str]:
    """Say when, where and of what results are, without naming the machine."""
    detail = _output(python, "-c", "import platform; print(platform.python_version())")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "interpreter": f"CPython {detail}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": _system(),
        "diator": _output("git", "describe", "--always", "--dirty"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _output(*command: str) -> str:
    done = subprocess.run(  # noqa: S603  # both are ours
        command, capture_output=True, text=True, check=False, cwd=ROOT
    )
    return done.stdout.strip()


def save(results: Results, folder: Path) -> None:
    """Keep results as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(results), indent=1) + "\n"
    (folder / f"python-{results.python}.json").write_text(text)


def load(folder: Path) -> list[Results]:
    """Return the results that were kept, the newest Python first."""

    def version(path: Path) -> list[int]:
        return [int(part) for part in path.stem.removeprefix("python-").split(".")]

    paths = sorted(folder.glob("python-*.json"), key=version, reverse=True)
    return [_parse(json.loads(path.read_text())) for path in paths]


def _parse(kept: dict[str, Any]) -> Results:
    peers = {adapter: Figures(**figures) for adapter, figures in kept["peers"].items()}
    return Results(kept["python"], kept["about"], peers)

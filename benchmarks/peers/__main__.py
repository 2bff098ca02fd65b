"""
Compare diator with its peers.

Usage: ./dev bench --peers [--quick] [--only NAME ...] [--python VERSION ...]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.peers.chart import draw
from benchmarks.peers.environments import (
    BY_HAND,
    PEERS,
    ROOT,
    Environment,
    InstallationError,
    make_environment,
)
from benchmarks.peers.measuring import QUICK, THOROUGH, Figures, measure_all
from benchmarks.peers.results import Results, describe, load, save
from benchmarks.peers.table import page

COMMITTED = Path(__file__).parent / "results"
OTHERWISE = ROOT / ".benchmarks" / "peers"
"""Where results go that are quick, or not of all peers."""

CHARTS = {
    "sends": (
        "What a send costs in Python",
        {
            "prebuilt": "a send",
            "4 middlewares": "4 middlewares",
            "two events": "2 events, handled",
            "realistic": "a realistic command",
        },
        "leaves out something that diator does",
    ),
    "events": (
        "What an event costs in Python",
        {
            "event to 1 handler": "1 handler",
            "event to 10 handlers": "10 handlers",
            "event to 100 handlers": "100 handlers",
        },
        "leaves out something that diator does",
    ),
}
"""The charts, by the name of their files: title, cases, and what a hollow dot means."""


def main() -> None:
    """Do as the arguments say."""
    arguments = parse()
    only = set(arguments.only) | {BY_HAND} if arguments.only else None
    peers = [peer for peer in PEERS if only is None or {peer.adapter, peer.name} & only]
    pythons = dict(each.split("=", 1) for each in arguments.interpreter)
    is_partial = arguments.quick or only is not None
    folder = OTHERWISE if is_partial else COMMITTED
    for version, python in pythons.items():
        if arguments.python and version not in arguments.python:
            continue
        started = time.monotonic()
        figures = {peer.adapter: Figures(peer.name) for peer in peers}
        environments: list[Environment] = []
        for peer in peers:
            try:
                made = make_environment(peer, python, version, arguments.pip)
            except InstallationError as error:
                figures[peer.adapter].unusable = str(error)
                continue
            figures[peer.adapter].version = made.version
            figures[peer.adapter].installed = made.installed
            environments.append(made)
        print(f"Comparing on Python {version}", flush=True)
        measure_all(environments, QUICK if arguments.quick else THOROUGH, figures)
        save(Results(version, describe(python), figures), folder)
        print(f"  took {time.monotonic() - started:.0f} s", flush=True)
    write(folder)
    print(f"See {folder.relative_to(ROOT)}/README.md")


def write(folder: Path) -> None:
    """Write the tables and charts of all results in a folder."""
    all_results = load(folder)
    (folder / "README.md").write_text(page(all_results))
    for results in all_results:
        for name, (title, columns, remark) in CHARTS.items():
            chart = draw(results, title, columns, remark)
            (folder / f"{name}-{results.python}.svg").write_text(chart)


def parse() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(prog="./dev bench --peers")
    parser.add_argument("--quick", action="store_true", help="few and short rounds")
    parser.add_argument("--only", nargs="+", default=[], help="these peers alone")
    parser.add_argument("--python", nargs="+", default=[], help="these versions alone")
    # What ./dev adds.
    parser.add_argument("--interpreter", action="append", help=argparse.SUPPRESS)
    parser.add_argument("--pip", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Run the peers' workers, and have them measure in turn."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers.cases import CASES, IN_FLIGHT, REGISTERED, Case
from benchmarks.peers.environments import BY_HAND, ROOT, Environment

MOST_MEMORY_IN_FLIGHT = 2_000_000_000
"""In bytes. A peer that would need more has fewer sends in flight."""

REPORT_MEMORY = (
    "print([line.split()[1] for line in open('/proc/self/status')"
    " if line.startswith('VmRSS')][0])"
)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """
    How long to measure.

    Attributes:
        rounds: How often each case is timed.
        round_ms: How long each of them takes.
        imports: How often each peer is imported.
        registered: With how many registered types growth is measured.
        in_flight: How many sends are in flight.
        seconds: What a peer may take to get ready, or for a round, before it is given
            up. Registering has this for all types together.

    """

    rounds: int = 25
    round_ms: float = 8
    imports: int = 7
    registered: Sequence[int] = REGISTERED
    in_flight: int = IN_FLIGHT
    seconds: float = 20


THOROUGH = Effort()
QUICK = Effort(
    rounds=5,
    round_ms=2,
    imports=1,
    registered=REGISTERED[:2],
    in_flight=IN_FLIGHT // 100,
    seconds=5,
)


@dataclass
class Figures:
    """
    What was measured of one peer on one Python.

    Attributes:
        name: The peer.
        version: Its version.
        installed: The versions of all that was installed for it.
        unusable: Why there is nothing to measure, if so.
        cases: For each case the figures, or the reason that there are none.
        notes: What has to be said of some of the adapter's functions.
        lacks: What some of them leave out, and diator does.

    """

    name: str
    version: str = ""
    installed: dict[str, str] = field(default_factory=dict[str, str])
    unusable: str = ""
    cases: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    notes: dict[str, str] = field(default_factory=dict[str, str])
    lacks: dict[str, str] = field(default_factory=dict[str, str])


class Worker:
    """
    The process of one peer, started when it is needed and anew after a failure.

    Args:
        environment: Where it runs.

    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def adapter(self) -> str:
        return self.environment.peer.adapter

    def ask(self, order: str, *, seconds: float, **arguments: Any) -> dict[str, Any]:
        """Give an order, and return the answer, or why there is none."""
        process = self._process or self._start()
        line = json.dumps({"order": order, **arguments}) + "\n"
        assert process.stdin is not None
        try:
            process.stdin.write(line.encode())
            process.stdin.flush()
        except BrokenPipeError:
            return self._give_up("it ended by itself")
        return self._answer(process, seconds)

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._errors.close()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # open with the process
        command = [
            *(str(self.environment.python), "-m", "benchmarks.peers.worker"),
            self.adapter,
        ]
        self._process = subprocess.Popen(  # noqa: S603  # it runs what it makes itself
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            # The order of sets must not differ from run to run.
            env=os.environ | {"PYTHONHASHSEED": "0"},
        )
        return self._process

    def _answer(
        self, process: subprocess.Popen[bytes], seconds: float
    ) -> dict[str, Any]:
        assert process.stdout is not None
        deadline = time.monotonic() + seconds
        answer = b""
        while not answer.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                return self._give_up(f"it took more than {seconds:.0f} s")
            read = os.read(process.stdout.fileno(), 65_536)
            if not read:
                return self._give_up("it ended by itself")
            answer += read
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    def _give_up(self, reason: str) -> dict[str, Any]:
        self._errors.seek(0)
        errors = self._errors.read().decode(errors="replace").strip().splitlines()
        self.stop()
        is_error = bool(errors) and ("Error" in errors[-1] or "Exception" in errors[-1])
        return {"failed": errors[-1] if is_error else reason}


def is_reason(answer: dict[str, Any]) -> bool:
    """Tell whether an answer says why there are no figures."""
    return "cannot" in answer or "failed" in answer


def time_case(case: Case, workers: Sequence[Worker], effort: Effort) -> dict[str, Any]:
    """
    Time a case with all peers in turn.

    Returns:
        For each adapter what a send costs: the median of all rounds, in ns of CPU time
        of the thread, and the quartiles of its ratio to the work by hand in the same
        round. Or else why there are no figures.

    """
    results: dict[str, Any] = {}
    sends: dict[str, int] = {}
    taking_part = []
    for worker in workers:
        answer = worker.ask("prepare", seconds=effort.seconds, case=case.name)
        if is_reason(answer):
            results[worker.adapter] = answer
        else:
            taking_part.append(worker)
            sends[worker.adapter] = max(
                1, round(answer["sends_per_ms"] * effort.round_ms)
            )
    rounds: dict[str, list[float]] = {worker.adapter: [] for worker in taking_part}
    for _ in range(effort.rounds):
        for worker in list(taking_part):
            answer = worker.ask(
                "measure", seconds=effort.seconds, sends=sends[worker.adapter]
            )
            if is_reason(answer):
                results[worker.adapter] = answer
                taking_part.remove(worker)
            else:
                rounds[worker.adapter].append(answer["ns"])
        # What a neighbour leaves in the caches must not always meet the same peer.
        taking_part.reverse()
    by_hand = rounds.get(BY_HAND)
    for worker in taking_part:
        results[worker.adapter] = summarize(rounds[worker.adapter], by_hand)
    return results


def summarize(rounds: list[float], by_hand: list[float] | None) -> dict[str, Any]:
    """Give the median of a peer's rounds, and the quartiles of its ratios."""
    figures: dict[str, Any] = {"ns": median(rounds)}
    if by_hand and len(by_hand) == len(rounds):
        ratios = sorted(
            mine / theirs for mine, theirs in zip(rounds, by_hand, strict=True)
        )
        quarter = len(ratios) // 4
        figures["ratio"] = median(ratios)
        figures["half"] = [ratios[quarter], ratios[-1 - quarter]]
    return figures


def measure_in_flight(worker: Worker, effort: Effort) -> dict[str, Any]:
    """Measure how much memory a send takes that waits in its handler."""
    worker.stop()
    few = max(10, effort.in_flight // 100)
    answer = worker.ask("in_flight", seconds=effort.seconds, sends=few)
    if is_reason(answer):
        return answer
    sends = effort.in_flight
    while sends * answer["bytes"] > MOST_MEMORY_IN_FLIGHT:
        sends //= 10
    # In a process that holds nothing back from earlier.
    worker.stop()
    answer = worker.ask("in_flight", seconds=effort.seconds * 3, sends=sends)
    worker.stop()
    return answer if is_reason(answer) else {**answer, "sends": sends}


def measure_growth(environment: Environment, effort: Effort) -> dict[int, Any]:
    """Measure what sends and types cost, the more types are registered."""
    workers = {types: Worker(environment) for types in effort.registered}
    results: dict[int, Any] = {}
    sends: dict[int, int] = {}
    try:
        for types, worker in workers.items():
            answer = worker.ask("register", seconds=effort.seconds, types=types)
            results[types] = answer
            if not is_reason(answer):
                sends[types] = max(1, round(answer["sends_per_ms"] * effort.round_ms))
        rounds: dict[int, list[float]] = {types: [] for types in sends}
        for _ in range(effort.rounds):
            for types in list(sends):
                answer = workers[types].ask(
                    "measure", seconds=effort.seconds, sends=sends[types]
                )
                if is_reason(answer):
                    results[types] = answer
                    del sends[types]
                else:
                    rounds[types].append(answer["ns"])
    finally:
        for worker in workers.values():
            worker.stop()
    for types in sends:
        results[types]["ns"] = median(rounds[types])
    return results


def measure_imports(
    environments: Sequence[Environment], effort: Effort
) -> dict[str, Any]:
    """
    Measure what importing costs, beyond an interpreter that imports nothing.

    Returns:
        For each adapter the median of the CPU time, in ms, and of the memory (RSS), in
        bytes.

    """
    ms: dict[str, list[float]] = {each.peer.adapter: [] for each in environments}
    memory: dict[str, list[float]] = {each.peer.adapter: [] for each in environments}
    failed: dict[str, Any] = {}
    # The first time, Python compiles what it imports.
    for count in range(effort.imports + 1):
        for environment in environments:
            adapter = environment.peer.adapter
            if adapter in failed:
                continue
            try:
                bare = _import("sys", environment.python, effort)
                loaded = _import(environment.peer.imports, environment.python, effort)
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                failed[adapter] = {"failed": str(error).splitlines()[-1]}
                continue
            if count:
                ms[adapter].append((loaded[0] - bare[0]) * 1000)
                memory[adapter].append(loaded[1] - bare[1])
    return failed | {
        adapter: {"ms": median(ms[adapter]), "bytes": median(memory[adapter])}
        for adapter in ms
        if adapter not in failed
    }


def _import(modules: str, python: Path, effort: Effort) -> tuple[float, float]:
    """Return the CPU time in seconds, and the memory in bytes."""
    script = (
        f"import time\nimport {modules}\nprint(time.process_time())\n{REPORT_MEMORY}"
    )
    done = subprocess.run(  # noqa: S603  # it runs what it makes itself
        [str(python), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=effort.seconds,
        cwd=ROOT,
    )
    if done.returncode:
        raise ValueError(done.stderr)
    seconds, kilobytes = done.stdout.split()[-2:]
    return float(seconds), float(kilobytes) * 1024


def measure_all(
    environments: Sequence[Environment], effort: Effort, figures: dict[str, Figures]
) -> None:
    """Measure everything on one Python, and put it into the peers' figures."""
    workers = [Worker(environment) for environment in environments]
    try:
        for worker in workers:
            remarks = worker.ask("remarks", seconds=effort.seconds)
            figures[worker.adapter].notes = remarks.get("notes", {})
            figures[worker.adapter].lacks = remarks.get("lacks", {})
        for case in CASES:
            print(f"  {case.name}", flush=True)
            for adapter, answer in time_case(case, workers, effort).items():
                figures[adapter].cases[case.name] = answer
        print("  in flight", flush=True)
        for worker in workers:
            figures[worker.adapter].cases["in flight"] = measure_in_flight(
                worker, effort
            )
    finally:
        for worker in workers:
            worker.stop()
    print("  registered types", flush=True)
    for environment in environments:
        for types, answer in measure_growth(environment, effort).items():
            figures[environment.peer.adapter].cases[f"{types} types"] = answer
    print("  import", flush=True)
    for adapter, answer in measure_imports(environments, effort).items():
        figures[adapter].cases["import"] = answer

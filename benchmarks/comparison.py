"""Measure a case of diator beside the same work written by hand."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from types import CodeType, FrameType, FunctionType
from typing import Any

Send = Callable[[Any], Awaitable[object]]

OVER_LIMIT = "OVER LIMIT"

MARGIN = 0.1
"""How much a ratio may be over what was reached; README.md says how it was found."""

SENDS_COUNTED = 3
"""More than one, so that what only happens at the first send is noticed."""

WARM_UP_SECONDS = 0.1
"""The interpreter adapts code to what it does while it runs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    What is compared, and how.

    Attributes:
        name: What its row in the table is called.
        request: What is sent.
        counted: Functions that both sides must call equally often.
        sends: How many sends make a round, which should last about a millisecond.
        rounds: How often both sides are measured.
        work: How many pieces of work a send does; times are given for one.
        target: The ratio that must not be exceeded.
        reached: The ratio that was reached, where that is short of the target.
        is_throughput: Whether the time that passes matters as well.
        speed_target: How much diator is to do while 1 is done by hand.

    """

    name: str
    request: object
    counted: Sequence[Callable[..., Any]] = ()
    sends: int = 1_000
    rounds: int = 400
    work: int = 1
    target: float | None = None
    reached: float | None = None
    is_throughput: bool = False
    speed_target: float | None = None

    @property
    def limit(self) -> float | None:
        """
        The ratio beyond which a run fails, which noise does not reach.

        None where there is no target, or where waiting for others makes more noise.
        """
        reached = self.reached or self.target
        if reached is None or self.is_throughput:
            return None
        return reached * (1 + MARGIN)


@dataclass
class Side:
    """
    One of the two that are compared.

    Attributes:
        send: Does the work for a request.
        cpu: CPU time of the thread in each round, in ns for each piece of work.
        wall: Time that passed in each round, in ns for each piece of work.

    """

    send: Send
    cpu: list[float] = field(default_factory=list[float])
    wall: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        # The interpreter adapts a loop to what is called in it. In an application each
        # caller has code of its own; one loop for both would suit neither.
        self._repeat: Any = FunctionType(repeat.__code__.replace(), globals())

    async def run(self, case: Case, sends: int | None = None) -> None:
        """Do a round, without measuring it."""
        await self._repeat(self.send, case.request, sends or case.sends)

    async def measure(self, case: Case) -> None:
        """Measure a round."""
        work = case.sends * case.work
        wall = time.perf_counter_ns()
        cpu = time.thread_time_ns()
        await self._repeat(self.send, case.request, case.sends)
        self.cpu.append((time.thread_time_ns() - cpu) / work)
        self.wall.append((time.perf_counter_ns() - wall) / work)


async def repeat(send: Send, request: object, sends: int) -> None:
    """Send a request again and again."""
    for _ in range(sends):
        await send(request)


@dataclass(frozen=True)
class Comparison:
    """
    A case that was measured.

    Attributes:
        case: What was compared.
        by_hand: What was measured of the work written by hand.
        diator: What was measured of diator.

    """

    case: Case
    by_hand: Side
    diator: Side

    @property
    def ratio(self) -> float:
        """What diator costs, with 1 for the work by hand: the median of the rounds."""
        return self.quartiles[1]

    @property
    def quartiles(self) -> list[float]:
        """The ratios below which a quarter, a half and three quarters of rounds lie."""
        return quantiles(_ratios(self.diator.cpu, self.by_hand.cpu))

    @property
    def speed(self) -> float:
        """How much diator does while 1 is done by hand, waiting included."""
        return median(_ratios(self.by_hand.wall, self.diator.wall))

    @property
    def is_over_limit(self) -> bool:
        """Whether diator has become slower than noise can explain."""
        return self.case.limit is not None and self.ratio > self.case.limit

    @property
    def verdict(self) -> str:
        """How the ratio compares with its target and its limit."""
        if self.case.target is None:
            return ""
        if self.is_over_limit:
            return OVER_LIMIT
        return "met" if self.ratio <= self.case.target else "over target"

    @property
    def speed_verdict(self) -> str:
        """How the speed compares with its target."""
        if self.case.speed_target is None:
            return ""
        return "met" if self.speed >= self.case.speed_target else "under target"


async def compare_sides(case: Case, by_hand: Send | Side, diator: Send) -> Comparison:
    """
    Check that both sides do the same work, and measure them.

    They take turns in many short rounds, so that whatever slows the machine for a
    while slows both alike, and neither is always the first.
    """
    if not isinstance(by_hand, Side):
        by_hand = Side(by_hand)
    comparison = Comparison(case, by_hand, Side(diator))
    sides = [comparison.by_hand, comparison.diator]
    await check_same_work(case, *sides)
    warm = time.perf_counter() + WARM_UP_SECONDS
    while time.perf_counter() < warm:
        for side in sides:
            await side.run(case)
    gc.collect()
    # Else it goes through all that pytest holds, and as often as a side allocates.
    gc.freeze()
    for _ in range(case.rounds):
        for side in sides:
            await side.measure(case)
        sides.reverse()
    gc.unfreeze()
    return comparison


async def check_same_work(case: Case, by_hand: Side, diator: Side) -> None:
    """Assert that both sides answer the same, and call the same functions."""
    assert await by_hand.send(case.request) == await diator.send(case.request)
    codes = {function.__code__ for function in case.counted}
    expected = await count_calls(codes, case, by_hand)
    assert expected.keys() == codes, "a function that is counted was not called"
    assert await count_calls(codes, case, diator) == expected


async def count_calls(
    codes: set[CodeType], case: Case, side: Side
) -> Counter[CodeType]:
    """Count how often code runs, so that what is timed need not count anything."""
    calls: Counter[CodeType] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in codes:
            calls[frame.f_code] += 1

    profiler = sys.getprofile()
    sys.setprofile(count)
    try:
        await side.run(case, SENDS_COUNTED)
    finally:
        sys.setprofile(profiler)
    return calls


def ratio_lines(comparisons: Iterable[Comparison]) -> list[str]:
    """Give the table of ratios."""
    rows = [
        (
            comparison.case.name,
            f"{median(comparison.by_hand.cpu):,.0f}",
            f"{median(comparison.diator.cpu):,.0f}",
            f"{comparison.ratio:.2f}",
            "{0:.2f} to {2:.2f}".format(*comparison.quartiles),
            _number(comparison.case.target),
            _number(comparison.case.limit),
            comparison.verdict,
        )
        for comparison in comparisons
    ]
    titles = ("case", "by hand", "diator", "ratio", "half of rounds", "target", "limit")
    return _table([(*titles, ""), *rows])


def throughput_lines(comparisons: Iterable[Comparison]) -> list[str]:
    """Give the table of how much is done in a second, waiting included."""
    rows = [
        (
            comparison.case.name,
            f"{1e9 / median(comparison.by_hand.wall):,.0f}",
            f"{1e9 / median(comparison.diator.wall):,.0f}",
            f"{comparison.speed:.2f}",
            _number(comparison.case.speed_target),
            comparison.speed_verdict,
        )
        for comparison in comparisons
        if comparison.case.is_throughput
    ]
    titles = ("case", "by hand", "diator", "ratio", "target")
    return _table([(*titles, ""), *rows]) if rows else []


def _ratios(dividends: list[float], divisors: list[float]) -> list[float]:
    """Divide round by round, since both sides of a round are measured together."""
    return [first / second for first, second in zip(dividends, divisors, strict=True)]


def _number(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_line(row, widths) for row in rows]


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    case, *numbers, verdict = row
    width, *widths_of_numbers, _ = widths
    cells = map(str.rjust, numbers, widths_of_numbers)
    return "  ".join([case.ljust(width), *cells, verdict]).rstrip()

"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.peers.cases import CASES
from benchmarks.peers.environments import BY_HAND, OURS
from benchmarks.peers.results import Results

EVENTS = [case.name for case in CASES if case.function == "fan_out"]
SENDS = [case.name for case in CASES if case.name not in EVENTS]

NONE = "–"


class Footnotes:
    """Gives each reason a letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, reason: str) -> str:
        """Return the mark that stands beside a figure, or in place of one."""
        if not reason:
            return ""
        letter = self._letters.setdefault(reason, letters(len(self._letters)))
        return f" <sup>{letter}</sup>"

    @property
    def lines(self) -> list[str]:
        """What the marks mean."""
        return [
            f"- <sup>{letter}</sup> {reason}"
            for reason, letter in self._letters.items()
        ]


def letters(index: int) -> str:
    """Return a, b, …, z, aa, ab and so on."""
    count, letter = divmod(index, 26)
    return (letters(count - 1) if count else "") + chr(ord("a") + letter)


INTRODUCTION = """\
# diator and its peers

Made by `./dev bench --peers`; what is measured, and how, is said in \
[the benchmarks' README](../../README.md#diator-beside-its-peers).
Ratios are to the same work written by hand, in the same round: 1.00 would cost nothing.
Peers are sorted by what they cost beside diator, over all the cases that both can do.
The cheapest in each case is bold, of those that leave nothing out which diator does \
there.
"""

SECTION = """
## Python {python}

{date}, {interpreter}, {processor}, {system}, diator at `{diator}`.{absent}

![What a send costs](sends-{python}.svg)

### Sends

Thread CPU time in ns by hand, and as a multiple of that.

{sends}

### Events

An event that is published on its own, as above.

![What an event costs](events-{python}.svg)

{events}

### Import and memory

CPU time and memory (RSS) of importing it, beyond an interpreter that imports nothing, \
and memory (RSS) of a send that waits in its handler, its task included.

{costs}

### Growth

CPU time of a send where one type is registered, how many times as much it is with \
more, and memory (RSS) that each of them takes, beyond its class.
Who has not made and registered the types after 20 s is given up.

{growth}

### Remarks

{remarks}
"""


def page(all_results: Sequence[Results]) -> str:
    """Return the page with all tables."""
    return INTRODUCTION + "".join(map(section, all_results))


def section(results: Results) -> str:
    """Return the tables of one Python."""
    footnotes = Footnotes()
    tables = {
        "sends": ratios(results, SENDS, footnotes),
        "events": ratios(results, EVENTS, footnotes),
        "costs": costs(results, footnotes),
        "growth": growth(results, footnotes),
        "remarks": footnotes.lines,
    }
    return SECTION.format(
        python=results.python,
        absent=absent(results),
        **results.about,
        **{name: "\n".join(lines) for name, lines in tables.items()},
    )


def absent(results: Results) -> str:
    """Say which peers cannot be measured on this Python, and why."""
    reasons = [
        f"{peer.name} {peer.unusable}"
        for peer in results.peers.values()
        if peer.unusable
    ]
    return f"\nNot on this Python: {'; '.join(reasons)}." if reasons else ""


def ratios(results: Results, cases: Sequence[str], footnotes: Footnotes) -> list[str]:
    """Return a table of what peers cost beside the work by hand."""

    def cell(adapter: str, case: str) -> str:
        figures = results.peers[adapter].cases.get(case, {})
        mark = footnotes.mark(results.note(adapter, case))
        if "ns" not in figures:
            return f"{NONE}{mark}"
        if adapter == BY_HAND:
            return f"{figures['ns']:,.0f} ns"
        ratio = figures.get("ratio")
        if ratio is None:
            return f"{NONE}{mark}"
        is_best = results.best(case) == adapter
        return f"**{short(ratio)}**{mark}" if is_best else f"{short(ratio)}{mark}"

    return _table(results, cases, cell)


def costs(results: Results, footnotes: Footnotes) -> list[str]:
    """Return the table of imports and of sends in flight."""

    def cell(adapter: str, column: str) -> str:
        case = "in flight" if column == "a send in flight" else "import"
        figures = results.peers[adapter].cases.get(case, {})
        mark = footnotes.mark(results.note(adapter, case))
        if "bytes" not in figures:
            return f"{NONE}{mark}"
        if column == "import":
            return f"{figures['ms']:.0f} ms"
        if column == "memory after import":
            return f"{figures['bytes'] / 1e6:.1f} MB"
        return f"{figures['bytes']:,.0f} B"

    return _table(results, ["import", "memory after import", "a send in flight"], cell)


def growth(results: Results, footnotes: Footnotes) -> list[str]:
    """Return the table of what more registered types cost."""
    measured = results.peers[BY_HAND].cases
    first, *more = [case for case in measured if case.endswith(" types")]
    last = more[-1]
    cases = dict(zip(map(_many, more), more, strict=True))
    memory = f"memory, {_many(last)}"

    def cell(adapter: str, column: str) -> str:
        peer = results.peers[adapter]
        figures = peer.cases.get(cases.get(column, first), {})
        alone = peer.cases.get(first, {})
        if column == memory:
            figures = peer.cases.get(last, {})
        if "ns" not in figures or "ns" not in alone:
            reason = figures.get("cannot") or figures.get("failed") or peer.unusable
            return f"{NONE}{footnotes.mark(reason)}"
        if column == memory:
            return f"{max(0, figures['bytes']):,.0f} B"
        if column in cases:
            return short(figures["ns"] / alone["ns"])
        return f"{figures['ns']:,.0f} ns"

    return _table(results, ["1 type", *cases, memory], cell)


def _many(case: str) -> str:
    """Write the number of types in a case so that it can be read."""
    return f"{int(case.removesuffix(' types')):,} types"


def short(ratio: float) -> str:
    """Write a ratio with three digits, as far as they mean something."""
    if ratio < 10:
        return f"{ratio:.2f}"
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"


def _table(
    results: Results,
    columns: Sequence[str],
    cell: Callable[[str, str], str],
) -> list[str]:
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    for adapter in results.order():
        cells = [cell(adapter, column) for column in columns]
        if all(each.startswith(NONE) for each in cells):
            # What cannot do anything of this is said once, below.
            continue
        lines.append(f"| {_name(results, adapter)} | {' | '.join(cells)} |")
    return lines


def _name(results: Results, adapter: str) -> str:
    peer = results.peers[adapter]
    if adapter == BY_HAND:
        return f"*{peer.name}*"
    if adapter == OURS:
        return f"**{peer.name}**"
    return peer.name if peer.version in peer.name else f"{peer.name} {peer.version}"

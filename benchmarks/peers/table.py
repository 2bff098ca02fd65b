"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.peers.cases import CASES
from benchmarks.peers.environments import BY_HAND, OURS
from benchmarks.peers.results import Results

EVENTS = [case.name for case in CASES if case.function == "fan_out"]
SENDS = [case.name for case in CASES if case.name not in EVENTS]

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


def page(all_results: Sequence[Results]) -> str:
    """Return the page with all tables."""
    lines = [
        "# diator and its peers",
        "",
        "Made by `./dev bench --peers`; what is measured, and how, is said in "
        "[the benchmarks' README](../../README.md#beside-its-peers).",
        "Ratios are to the same work written by hand, in the same round: 1.00 would "
        "cost nothing.",
        "Peers are sorted by what they cost beside diator, over all the cases that "
        "both can do.",
        "The cheapest in each case is bold, of those that leave nothing out which "
        "diator does there.",
    ]
    for results in all_results:
        lines += ["", *section(results)]
    return "\n".join(lines) + "\n"


def section(results: Results) -> list[str]:
    """Return the tables of one Python."""
    about = results.about
    footnotes = Footnotes()
    lines = [
        f"## Python {results.python}",
        "",
        f"{about['date']}, {about['python']}, {about['processor']}, {about['system']}, "
        f"diator at `{about['diator']}`.",
        "",
        f"![What a send costs](sends-{results.python}.svg)",
        "",
        "### Sends",
        "",
        "Thread CPU time in ns by hand, and as a multiple of that.",
        "",
        *ratios(results, SENDS, footnotes),
        "",
        "### Events",
        "",
        "An event that is published on its own, as above.",
        "",
        *ratios(results, EVENTS, footnotes),
        "",
        "### Import and memory",
        "",
        "CPU time and memory (RSS) of importing it, beyond an interpreter that imports "
        "nothing, and memory (RSS) of a send that waits in its handler, its task "
        "included.",
        "",
        *costs(results, footnotes),
        "",
        "### Growth",
        "",
        "CPU time of a send where one type is registered, how many times as much it "
        "is with more, and memory (RSS) that each of them takes, beyond its class.",
        "",
        *growth(results, footnotes),
        "",
        "### Remarks",
        "",
        *footnotes.lines,
    ]
    return lines


def ratios(
    results: Results, cases: Sequence[str], footnotes: Footnotes
) -> list[str]:
    """Return a table of what peers cost beside the work by hand."""

    def cell(adapter: str, case: str) -> str:
        figures = results.peers[adapter].cases.get(case, {})
        mark = footnotes.mark(results.note(adapter, case))
        if "ns" not in figures:
            return f"–{mark}"
        if adapter == BY_HAND:
            return f"{figures['ns']:,.0f} ns"
        ratio = figures.get("ratio")
        if ratio is None:
            return f"–{mark}"
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
            return f"–{mark}"
        if column == "import":
            return f"{figures['ms']:.0f} ms"
        if column == "memory after import":
            return f"{figures['bytes'] / 1e6:.1f} MB"
        return f"{figures['bytes']:,.0f} B"

    return _table(results, ["import", "memory after import", "a send in flight"], cell)


def growth(results: Results, footnotes: Footnotes) -> list[str]:
    """Return the table of what more registered types cost."""
    some = results.peers[BY_HAND].cases
    few, *more = [name for name in some if name.endswith(" types")]

    def cell(adapter: str, column: str) -> str:
        case = column.removeprefix("memory, ")
        figures = results.peers[adapter].cases.get(case, {})
        first = results.peers[adapter].cases.get(few, {})
        if "ns" not in figures or "ns" not in first:
            reason = results.peers[adapter].unusable or figures.get(
                "cannot", figures.get("failed", first.get("failed", ""))
            )
            return f"–{footnotes.mark(reason)}"
        if column.startswith("memory"):
            return f"{max(0, figures['bytes']):,.0f} B"
        if column == few:
            return f"{figures['ns']:,.0f} ns"
        return short(figures["ns"] / first["ns"])

    columns = [few, *more, f"memory, {more[-1]}"]
    titles = {
        column: f"{int(column.split()[-2]):,}".join(column.rsplit(column.split()[-2], 1))
        for column in columns
    }
    return _table(results, columns, cell, titles | {few: "1 type"})


def short(ratio: float) -> str:
    """Write a ratio with three digits, as far as they mean something."""
    if ratio < 10:  # noqa: PLR2004  # three digits
        return f"{ratio:.2f}"
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"  # noqa: PLR2004


def _table(
    results: Results,
    columns: Sequence[str],
    cell: Callable[[str, str], str],
    titles: dict[str, str] | None = None,
) -> list[str]:
    titles = titles or {}
    lines = [
        "| | " + " | ".join(titles.get(column, column) for column in columns) + " |",
        "|---|" + "--:|" * len(columns),
    ]
    for adapter in results.order():
        cells = [cell(adapter, column) for column in columns]
        if all(each.startswith("–") for each in cells):
            # What cannot do anything of this is said once, below.
            continue
        lines.append(f"| {_name(results, adapter)} | {' | '.join(cells)} |")
    absent = [
        f"{results.peers[adapter].name} ({results.peers[adapter].unusable})"
        for adapter in results.order()
        if results.peers[adapter].unusable
    ]
    if absent:
        lines += ["", f"Not on this Python: {', '.join(absent)}."]
    return lines


def _name(results: Results, adapter: str) -> str:
    peer = results.peers[adapter]
    if adapter == BY_HAND:
        return f"*{peer.name}*"
    if adapter == OURS:
        return f"**{peer.name}**"
    return peer.name if peer.version in peer.name else f"{peer.name} {peer.version}"

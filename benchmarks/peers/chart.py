"""The results as a picture that is readable in light and in dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log

from benchmarks.peers.environments import BY_HAND, OURS
from benchmarks.peers.results import Results
from benchmarks.peers.table import short

WIDTH = 830
"""That of a column on GitHub, in px."""

NAMES = 124
ROW = 22
HEAD = 96
FOOT = 50
LABEL = 44
"""What a figure beside a dot takes."""

STYLE = """
  text { font: 12px -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
    fill: #1f2328; stroke: #ffffff; stroke-width: 3px; paint-order: stroke }
  .title { font-size: 16px; font-weight: 600 }
  .soft { fill: #59636e }
  .case { font-weight: 600 }
  .line { stroke: #d1d9e0; stroke-width: 1 }
  .bar { stroke: #9aa4af; stroke-width: 2 }
  .dot { fill: #6e7781; stroke: #6e7781; stroke-width: 1.5 }
  .hollow { fill: #ffffff }
  .ours { fill: #0969da; font-weight: 700 }
  text.ours { stroke: none }
  .ours.bar, .ours.dot { stroke: #0969da }
  .ours.bar { stroke-width: 4 }
  .band { fill: #0969da; opacity: 0.08 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; stroke: #0d1117 }
    .soft { fill: #9198a1 }
    .line { stroke: #3d444d }
    .bar { stroke: #656c76 }
    .dot { fill: #9198a1; stroke: #9198a1 }
    .hollow { fill: #0d1117 }
    .ours { fill: #4493f8 }
    .ours.bar, .ours.dot { stroke: #4493f8 }
    .band { fill: #4493f8; opacity: 0.15 }
  }
"""


def draw(results: Results, title: str, columns: Mapping[str, str], remark: str) -> str:
    """
    Draw what peers cost in some cases, side by side, as SVG.

    Args:
        results: What was measured.
        title: What it says at the top.
        columns: The cases, and what each of them is called.
        remark: What a hollow dot means.

    """
    rows = [
        adapter
        for adapter in results.order()
        if adapter != BY_HAND
        and any(results.ratio(adapter, case) is not None for case in columns)
    ]
    ratios = [results.ratio(adapter, case) for adapter in rows for case in columns]
    largest = max(ratio for ratio in ratios if ratio is not None)
    bottom = _bottom(rows)
    about = results.about
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {_size(bottom + FOOT)} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        _text(0, 20, title, "title"),
        _text(
            0,
            40,
            "CPU time as a multiple of the same work written by hand (1×); "
            "logarithmic; shorter is better",
            "soft",
        ),
    ]
    if OURS in rows:
        top = HEAD + ROW * rows.index(OURS)
        parts.append(
            f'<rect class="band" y="{top}" width="{WIDTH}" height="{ROW}" rx="4"/>'
        )
    for index, adapter in enumerate(rows):
        name = results.peers[adapter].name
        style = "ours" if adapter == OURS else ""
        parts.append(_text(NAMES - 12, _middle(index) + 4, name, style, "end"))
    width = (WIDTH - NAMES) / len(columns)
    for number, (case, heading) in enumerate(columns.items()):
        left = NAMES + width * number
        axis = Axis(left, left + width - LABEL - 8, largest)
        parts.append(_text(left, HEAD - 28, heading, "case"))
        parts += _panel(results, rows, case, axis)
    parts += [
        _dot("dot hollow", NAMES + 4, bottom + 18),
        _text(NAMES + 14, bottom + 22, remark, "soft"),
        _text(WIDTH / 2 + 20, bottom + 22, "–  cannot do it", "soft"),
        _text(
            NAMES,
            bottom + 42,
            f"{about['interpreter']}, {about['processor']}, {about['date']}",
            "soft",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class Axis:
    """
    Where a ratio stands, logarithmically.

    Args:
        left: Where 1 stands, in px.
        right: Where the largest ratio stands.
        largest: That ratio.

    """

    def __init__(self, left: float, right: float, largest: float) -> None:
        self.left = left
        self.right = right
        self.ticks = [tick for tick in (1, 10, 100, 1_000) if tick <= largest]
        self._scale = (right - left) / log(max(largest, 2))

    def place(self, ratio: float) -> float:
        """Return where a ratio stands, in px."""
        return self.left + self._scale * log(max(ratio, 1))


def _panel(results: Results, rows: Sequence[str], case: str, axis: Axis) -> list[str]:
    parts = []
    for tick in axis.ticks:
        x = axis.place(tick)
        anchor = "start" if tick == 1 else "middle"
        parts += [
            _line("line", (x, HEAD - 6), (x, _bottom(rows))),
            _text(x, HEAD - 11, f"{tick:,}×", "soft", anchor),
        ]
    for index, adapter in enumerate(rows):
        y = _middle(index)
        ratio = results.ratio(adapter, case)
        if ratio is None:
            parts.append(_text(axis.left + 4, y + 4, "–", "soft"))
            continue
        ours = " ours" if adapter == OURS else ""
        hollow = "" if results.is_comparable(adapter, case) else " hollow"
        x = axis.place(ratio)
        parts += [
            _line(f"bar{ours}", (axis.left, y), (x, y)),
            _dot(f"dot{ours}{hollow}", x, y),
            _text(x + 9, y + 4, short(ratio), ours.strip()),
        ]
    return parts


def _bottom(rows: Sequence[str]) -> int:
    return HEAD + ROW * len(rows)


def _middle(index: int) -> int:
    return HEAD + ROW * index + ROW // 2


def _size(height: int) -> str:
    return f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'


def _line(style: str, start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    ends = f'x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}"'
    return f'<line class="{style}" {ends}/>'


def _dot(style: str, x: float, y: float) -> str:
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y}" r="4"/>'


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.peers.chart import draw
from benchmarks.peers.environments import explain
from benchmarks.peers.measuring import Figures, summarize
from benchmarks.peers.results import Results, load, save
from benchmarks.peers.table import letters, page, short

ABOUT = {
    "date": "2026-01-31",
    "interpreter": "CPython 3.12.1",
    "processor": "Abacus, 2 cores",
    "system": "Debian",
    "diator": "1234567",
}


def figures(name: str, *ratios: float, **others: object) -> Figures:
    cases = {
        case: {"ns": 100 * ratio, "ratio": ratio}
        for case, ratio in zip(["prebuilt", "container"], ratios, strict=False)
    }
    types = {f"{count} types": {"ns": 100.0, "bytes": 9} for count in (1, 1000)}
    return Figures(name, "1.0", cases=cases | types, **others)


@pytest.fixture
def results() -> Results:
    return Results(
        "3.12",
        ABOUT,
        {
            "slow": figures("slow <peer>", 8, 9, notes={"container": "by hand"}),
            "absent": Figures("absent", unusable="needs Python >=3.14"),
            "diator": figures("diator", 4, 3),
            "lacking": figures("lacking", 2, lacks={"prebuilt": "does little"}),
            "by_hand": figures("by hand", 1, 1),
        },
    )


class TestSummarize:
    def test_ratio(self):
        """A ratio is that of two figures of one round."""
        summary = summarize([30, 20, 90], [10, 10, 30])

        assert summary == {"ns": 30, "ratio": 3, "half": [2, 3]}

    def test_nothing_to_compare_with(self):
        """Without the work by hand there is no ratio."""
        assert summarize([30], None) == {"ns": 30}


class TestExplain:
    def test_other_python(self):
        """What needs another Python says which, for the version that was wanted."""
        output = (
            "Ignored: 0.9 Requires-Python <3.10; 1.0 Requires-Python <3.16,>=3.12\n"
        )

        assert explain(output, ["peer==1.0"]) == "needs Python <3.16,>=3.12"

    def test_error(self):
        """Any other reason is pip's last error."""
        output = "WARNING: slow\nERROR: No such version\nnotice: new pip"

        assert explain(output, ["peer==1.0"]) == "ERROR: No such version"


class TestResults:
    def test_order(self, results: Results):
        """The cheapest beside diator comes first, after the work by hand."""
        expected = ["by_hand", "lacking", "diator", "slow", "absent"]

        assert results.order() == expected

    def test_best(self, results: Results):
        """Who leaves something out is not the best."""
        assert results.best("prebuilt") == "diator"

    def test_kept(self, results: Results, tmp_path):
        """What is kept is read as it was."""
        save(results, tmp_path)

        assert load(tmp_path) == [results]


class TestPage:
    def test_reasons(self, results: Results):
        """What is missing or left out is said beside the figures."""
        text = page([results])

        assert "| lacking 1.0 | 2.00 <sup>a</sup> |" in text
        assert "- <sup>a</sup> does little" in text
        assert "Not on this Python: absent needs Python >=3.14." in text

    @pytest.mark.parametrize(
        "ratio, written",
        [(1, "1.00"), (9.876, "9.88"), (98.76, "98.8"), (1234, "1,234")],
    )
    def test_digits(self, ratio: float, written: str):
        """Three digits are enough."""
        assert short(ratio) == written

    @pytest.mark.parametrize("index, letter", [(0, "a"), (25, "z"), (26, "aa")])
    def test_letters(self, index: int, letter: str):
        """After z comes aa."""
        assert letters(index) == letter


class TestDraw:
    def test_picture(self, results: Results):
        """All who have figures are in the picture, and their names are no markup."""
        picture = draw(results, "Title", {"prebuilt": "a send"}, "leaves out")

        texts = [element.text for element in ET.fromstring(picture).iter()]
        assert {"slow <peer>", "8.00", "diator", "4.00", "lacking"} <= set(texts)
        assert "absent" not in texts

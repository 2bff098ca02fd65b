"""What the pages show happens."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from diator import exceptions
from tests.documents import ROOT, Reader, parse

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_page(page, make_reader):
    """The blocks of a page run in their order and print what is shown below them."""
    path = DOCS / page
    reader: Reader = make_reader(path.read_text())
    document = parse(path, reader.evaluate)
    document.namespace = vars(reader.module)

    for example in document.examples():
        example.evaluate()


def test_errors():
    """The page about errors says of every one when it is raised."""
    errors = [
        name
        for name, error in vars(exceptions).items()
        if inspect.isclass(error) and issubclass(error, exceptions.DiatorError)
    ]
    lines = (DOCS / "errors.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `")]

    untold = [name for name in errors if not any(f"`{name}`" in row for row in rows)]
    assert untold == []


def test_laws():
    """The page about the laws has each of them that has tests."""
    tested = (ROOT / "tests" / "unit" / "laws").glob("test_law_*.py")
    numbers = sorted(int(path.name.split("_")[2]) for path in tested)

    headings = re.findall(r"^## (\d+)\. ", (DOCS / "laws.md").read_text(), re.MULTILINE)
    assert [int(heading) for heading in headings] == numbers


class TestParse:
    def test_unknown_language(self, tmp_path: Path):
        """A block in a language that nobody reads is a slip of the pen."""
        page = tmp_path / "page.md"
        page.write_text("```pyhton\nprint(1)\n```\n")

        with pytest.raises(ValueError, match=r"page.md:1: a block in 'pyhton'"):
            parse(page)

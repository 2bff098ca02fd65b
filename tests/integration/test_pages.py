"""What the pages show happens."""

from __future__ import annotations

from pathlib import Path

import pytest

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


class TestParse:
    def test_unknown_language(self, tmp_path: Path):
        """A block in a language that nobody reads is a slip of the pen."""
        page = tmp_path / "page.md"
        page.write_text("```pyhton\nprint(1)\n```\n")

        with pytest.raises(ValueError, match=r"page.md:1: a block in 'pyhton'"):
            parse(page)

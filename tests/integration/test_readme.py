"""
What the README shows happens.

Each section is run as a reader would: the program of the first section, then the
blocks of its own, in their order.
"""

from __future__ import annotations

import re

import pytest

from tests.documents import ROOT, parse

README = ROOT / "README.md"


def read_sections(document):
    """Return the blocks of each section, by its heading."""
    examples = list(document.examples())
    sections = {}
    for heading in re.finditer(r"^## (.+)$", document.text, re.MULTILINE):
        if not any(each.start < heading.start() < each.end for each in examples):
            sections[heading[1]] = (heading.start(), [])
    for example in examples:
        of_section = [
            each for start, each in sections.values() if start < example.start
        ]
        of_section[-1].append(example)
    return {heading: blocks for heading, (_, blocks) in sections.items()}


SECTIONS = read_sections(parse(README))
FIRST = next(iter(SECTIONS))


@pytest.mark.parametrize(
    "heading", [heading for heading, blocks in SECTIONS.items() if blocks]
)
def test_section(heading, make_reader):
    """The blocks of a section print what is shown below them."""
    shown = "\n".join(each.parsed.source for each in SECTIONS[heading])
    reader = make_reader(shown)
    sections = read_sections(parse(README, reader.evaluate))

    for example in sections[FIRST]:
        example.evaluate()
    for example in sections[heading] if heading != FIRST else []:
        example.evaluate()


def test_links():
    """What the README links to is there."""
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in SECTIONS
    }
    links = re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", README.read_text())

    assert links
    for path, anchor in links:
        assert (ROOT / path).exists()
        assert path or anchor[1:] in headings


def test_pages():
    """Every page of the documentation can be found from the README."""
    text = README.read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}

    assert {page for page in pages if f"(docs/{page})" not in text} == set()

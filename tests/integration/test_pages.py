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


def read(path: Path, reader: Reader) -> None:
    """Try all blocks of a page."""
    for example in parse(path, reader.evaluate).examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES)
def test_page(page, make_reader):
    """The blocks of a page run in their order and print what is shown below them."""
    path = DOCS / page

    read(path, make_reader(path.read_text()))


def test_two_programs_on_postgresql(make_reader, postgresql, tmp_path: Path):
    """The two programs do the same with the other database that they name."""
    text = (DOCS / "two-programs.md").read_text()
    for program in ("shop", "mails"):
        postgresql.ask(f"CREATE DATABASE two_programs_{program}")
        shown = f'DATABASE_URL = "sqlite+aiosqlite:///{program}.db"'
        assert shown in text
        url = postgresql.url.replace("/postgres", f"/two_programs_{program}")
        text = text.replace(shown, f'DATABASE_URL = "{url}"')
    page = tmp_path / "page.md"
    page.write_text(text)

    read(page, make_reader(text))


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
        page.write_text("```snake\nprint(1)\n```\n")

        with pytest.raises(ValueError, match=r"page.md:1: a block in 'snake'"):
            parse(page)


class TestReader:
    @pytest.mark.parametrize(
        "text",
        [
            "```python\nprint(1)\n```\n\n```text\n2\n```\n",
            "```python\nprint(1)\n```\n",
            "```text\nnothing prints this\n```\n",
            '```python title="a.py"\nprint(1)\n```\n```shell\npython a.py\n```\n',
            "```shell\nrm everything\n```\n",
            "```shell\ndiator outbox nosuch\n```\n",
            "```shell\npip install diator[nosuch]\n```\n",
            "```console\n$ python -c 'print(1)'\n2\n```\n",
        ],
    )
    def test_untrue(self, text, make_reader, tmp_path: Path):
        """A page that shows what does not happen is not believed."""
        page = tmp_path / "page.md"
        page.write_text(text)
        reader = make_reader(text)

        with pytest.raises(AssertionError):
            read(page, reader)

    def test_true(self, make_reader, tmp_path: Path):
        """What is saved and run, and goes on in another terminal, is compared."""
        text = (
            '```python title="a.py"\nprint(1)\nprint(2)\n```\n\n'
            "```shell\npython a.py\n```\n\n```text\n1\n2\n```\n\n"
            '```shell title="other"\npython a.py\n```\n\n```text\n1\n```\n\n'
            'Later:\n\n```text title="other"\n2\n```\n'
        )
        page = tmp_path / "page.md"
        page.write_text(text)

        read(page, make_reader(text))

    def test_folder(self, make_reader, tmp_path: Path):
        """A file in a folder is run as the module that it is."""
        text = (
            '```python title="shop/app.py"\nprint(1)\n```\n\n'
            "```shell\npython -m shop.app\n```\n\n```text\n1\n```\n"
        )
        page = tmp_path / "page.md"
        page.write_text(text)

        read(page, make_reader(text))

    def test_look(self, make_reader, tmp_path: Path):
        """A look at what others do is repeated until they have done it."""
        text = (
            '```python title="looks.py"\n'
            "from pathlib import Path\n\n"
            'with Path("looks").open("a+") as file:\n'
            '    file.write("I")\n'
            "    file.seek(0)\n"
            "    print(file.read())\n"
            "```\n\n"
            "```shell\npython looks.py status\n```\n\n```text\nIII\n```\n"
        )
        page = tmp_path / "page.md"
        page.write_text(text)

        read(page, make_reader(text))

"""
What the README shows happens.

Each section is run as a reader would: the program of the first section, then the
blocks of its own, in their order. What they print is what is shown below them. Ids,
times and durations differ from run to run and are compared by their form alone.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import re
import runpy
import sys
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from diator import exceptions
from diator.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SHOWN_REDIS_URL = "redis://localhost:6379/0"
BLOCK_SECONDS = 20  # for a message that never comes; a block takes a fraction of it

VARYING = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<id>",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)": "<time>",
    r"\b\d+\.\d+( ms)?\b": "<duration>",
}


@dataclass(frozen=True)
class Block:
    """A fenced block, and the line of the README that opens it."""

    language: str
    content: str
    line: int


def read_sections(text):
    """Return the blocks of each section, by its heading."""
    sections = {}
    heading = ""
    fence: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```") and fence is None:
            fence, language, opened = [], line[3:], number
        elif line == "```":
            sections[heading].append(Block(language, "\n".join(fence), opened))
            fence = None
        elif fence is not None:
            fence.append(line)
        elif line.startswith("## "):
            heading = line[3:]
            sections[heading] = []
    return sections


SECTIONS = read_sections(README.read_text())
FIRST = next(iter(SECTIONS))


def steps(blocks):
    """Return each block of Python with the output that is shown for it."""
    for block, following in pairwise([*blocks, Block("", "", 0)]):
        if block.language == "python":
            yield block, following.content if following.language == "text" else ""


def unvaried(text):
    """Return a text with a placeholder for whatever differs from run to run."""
    for pattern, placeholder in VARYING.items():
        text = re.sub(pattern, placeholder, text)
    return text.strip()


class Reader:
    """Types in what the README shows, as into `python -m asyncio`."""

    def __init__(self, redis_url):
        # Dataclasses and type hints are looked up in the module that declares them.
        self.module = ModuleType("readme")
        self._redis_url = redis_url
        self._runner = asyncio.Runner()

    def run(self, block):
        code = compile(
            # So that tracebacks, and whoever reads the source, find the line.
            "\n" * block.line + block.content.replace(SHOWN_REDIS_URL, self._redis_url),
            str(README),
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        outcome = eval(code, vars(self.module))
        if inspect.iscoroutine(outcome):
            self._runner.run(asyncio.wait_for(outcome, BLOCK_SECONDS))

    def close(self):
        self._runner.close()
        vars(self.module).clear()
        # What an example leaves open is told of here, and not in another test.
        gc.collect()


@pytest.fixture
def reader(request, monkeypatch, tmp_path):
    # Some leave files, such as databases, where they run.
    monkeypatch.chdir(tmp_path)
    heading = request.node.callspec.params["heading"]
    shows_redis = any(SHOWN_REDIS_URL in block.content for block in SECTIONS[heading])
    reader = Reader(request.getfixturevalue("redis_url") if shows_redis else "")
    monkeypatch.setitem(sys.modules, reader.module.__name__, reader.module)
    yield reader
    reader.close()


@pytest.mark.parametrize(
    "heading", [heading for heading in SECTIONS if any(steps(SECTIONS[heading]))]
)
def test_section(heading, reader, capsys):
    """The blocks of a section print what is shown below them."""
    if heading != FIRST:
        for block, _ in steps(SECTIONS[FIRST]):
            reader.run(block)
        capsys.readouterr()

    for block, shown in steps(SECTIONS[heading]):
        reader.run(block)
        printed = capsys.readouterr().out
        assert unvaried(printed) == unvaried(shown), f"README.md:{block.line}"


def test_every_output_is_of_a_program():
    """Nothing is shown as printed that no block above it prints."""
    for blocks in SECTIONS.values():
        shown = [block for block in blocks if block.language == "text"]
        compared = [output for _, output in steps(blocks) if output]
        assert [block.content for block in shown] == compared


COMMANDS = [
    line
    for blocks in SECTIONS.values()
    for block in blocks
    if block.language == "shell"
    for line in block.content.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command):
    """A command of the README is there to be called."""
    program, subject, *arguments = command.split()
    if program == "./dev":
        assert callable(runpy.run_path(str(ROOT / "dev")).get(subject))
    elif program == "diator":
        words = [subject, *arguments]
        group = [word for word in words[:2] if "." not in word and "/" not in word]
        result = CliRunner().invoke(app, [*group, "--help"])
        assert result.exit_code == 0
        options = [word for word in words if word.startswith("--")]
        assert all(option in result.output for option in options)
    else:
        extra = re.fullmatch(r"pip install diator(\[([\w,]+)\])?", command)
        assert extra is not None
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = extra[2].split(",") if extra[2] else []
        assert set(extras) <= set(project["optional-dependencies"])


def test_errors():
    """The README says of every error when it is raised."""
    errors = [
        name
        for name, error in vars(exceptions).items()
        if inspect.isclass(error) and issubclass(error, exceptions.DiatorError)
    ]
    rows = [line for line in README.read_text().splitlines() if line.startswith("| `")]

    untold = [name for name in errors if not any(f"`{name}`" in row for row in rows)]
    assert untold == []

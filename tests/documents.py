"""
Read the README and the pages of docs/ as people do who try what these show.

Sybil finds the blocks. Those of Python are typed into one prompt, as into
`python -m asyncio`; one with a title is saved as the file of that name, as one of TOML
is; commands are looked up, or run if they are about such a file. A block of text right
after is what they print. In a console, where commands stand after $ and before their
output, they are run in the project's folder. Ids, times and durations differ from run
to run and are compared by their form alone.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import inspect
import os
import re
import runpy
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from queue import Queue
from textwrap import dedent
from threading import Thread, Timer
from types import ModuleType
from typing import Any

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from typer.testing import CliRunner

from diator.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
SHOWN_REDIS_URL = "redis://localhost:6379/0"
# For a message that never comes; a block takes a fraction of it.
BLOCK_SECONDS = 20
COMMAND_SECONDS = 60

RUN = {"console", "python", "shell"}
# `py` is code of other libraries, which are not installed.
SHOWN = {"ini", "mermaid", "properties", "py", "redis", "toml", "yaml"}
INFO = re.compile(r'(?P<language>\w+)(?: title="(?P<title>[^"]+)")?$\n', re.MULTILINE)
LEXER = RawFencedCodeBlockLexer(INFO)

# What stands in a shell and is no program of ours, with what may follow.
PREPARATIONS = [
    r"mkdir \w+",
    r"cd \w+",
    r"python3 -m venv \.venv",
    r"source \.venv/bin/activate",
    r"python -m asyncio",
    r"pip install pytest( pytest-asyncio)?",
    r"docker run --rm -d -p 6379:6379 redis:7",
    r"sudo apt-get install redis-server",
    r"redis-cli ping",
]

VARYING = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<id>",
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?(Z|\+00:00)?": "<time>",
    r"\b\d+\.\d+( ms|s)?\b": "<duration>",
    r"\b\d{13}-\d+\b": "<entry>",
    r'"pid": \d+': '"pid": <pid>',
    # The context, from which structlog takes them, has no order.
    r"\b((causation|correlation|request)_id='<id>' ?)+": "<ids>",
}

# What only looks at other processes, which may be on their way to what is shown.
LOOKS = {"health", "list", "status"}


@dataclass(frozen=True)
class Block:
    """A fenced block, with the output that is shown right below it."""

    language: str
    title: str
    source: str
    line: int
    output: str


def parse(path: Path, evaluate: Callable[[Example], object] | None = None) -> Document:
    """Return the blocks of a page, to be evaluated by a function."""

    def pair(document: Document) -> Iterator[Region]:
        """Leave text out that is the output of what is above it."""
        regions = list(LEXER(document))
        outputs: set[Region | None] = set()
        for region, following in pairwise([*regions, None]):
            if region in outputs:
                continue
            output = ""
            if following is not None and is_output(document, region, following):
                outputs.add(following)
                output = str(following.lexemes["source"])
            block = Block(
                region.lexemes["language"],
                region.lexemes["title"] or "",
                str(region.lexemes["source"]),
                document.text.count("\n", 0, region.start) + 1,
                output,
            )
            if block.language not in {*RUN, *SHOWN, "text"}:
                place = f"{path.name}:{block.line}"
                msg = f"{place}: a block in {block.language!r}"
                raise ValueError(msg)
            region.parsed = block
            region.evaluator = evaluate
            yield region

    return Document.parse(str(path), pair)


def is_output(document: Document, region: Region, following: Region) -> bool:
    """Tell whether a block is what the one before it prints."""
    languages = region.lexemes["language"], following.lexemes["language"]
    between = document.text[region.end : following.start]
    return languages[0] in RUN and languages[1] == "text" and not between.strip()


def unvaried(text: str) -> str:
    """Return a text with a placeholder for whatever differs from run to run."""
    for pattern, placeholder in VARYING.items():
        text = re.sub(pattern, placeholder, text)
    # Indentation that all lines share is lost where a block is read.
    lines = dedent(text).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


class Reader:
    """Tries the blocks of a page one after the other, in an empty folder."""

    def __init__(
        self, folder: Path, redis_url: str, read_output: Callable[[], str]
    ) -> None:
        # Dataclasses and type hints are looked up in the module that declares them.
        self.module = ModuleType("page")
        self._folder = folder
        self._redis_url = redis_url
        self._read_output = read_output
        self._runner = asyncio.Runner()
        self._files: set[str] = set()
        self._terminals: dict[str, Terminal] = {}
        # Whoever has diator has its plugin.
        self._pytest_plugins = ["pytest_diator"]

    def evaluate(self, example: Example) -> str | None:
        """Run a block, and tell what it printed if something else is shown."""
        block: Block = example.parsed
        printed = ""
        if block.title.endswith((".py", ".toml")):
            self._save(block)
        elif block.language == "python":
            self._type_in(example.path, block)
            printed = self._read_output()
        elif block.language == "shell":
            printed = self._run(block)
        elif block.language == "console":
            return self._converse(block)
        elif block.language == "text" and block.title:
            printed = self._terminals[block.title].read(block.source.count("\n"))
            return self._compare(printed, block.source)
        elif block.language == "text":
            return "No block above it prints this"
        return self._compare(printed, block.output)

    def close(self) -> None:
        """End what still runs, so that it tells of what it leaves open here."""
        for terminal in self._terminals.values():
            terminal.close()
        self._runner.close()
        vars(self.module).clear()
        gc.collect()

    def _compare(self, printed: str, shown: str) -> str | None:
        if unvaried(printed) == unvaried(shown):
            return None
        return f"It prints:\n{printed}\nand not:\n{shown}"

    def _save(self, block: Block) -> None:
        self._files.add(block.title)
        path = self._folder / block.title
        path.parent.mkdir(exist_ok=True)
        path.write_text(self._with_redis(block.source))

    def _type_in(self, path: str, block: Block) -> None:
        code = compile(
            # So that tracebacks, and whoever reads the source, find the line.
            "\n" * block.line + self._with_redis(block.source),
            path,
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        outcome = eval(code, vars(self.module))
        if inspect.iscoroutine(outcome):
            self._runner.run(in_time(outcome))

    def _run(self, block: Block) -> str:
        printed = ""
        for line in block.source.splitlines():
            words = shlex.split(line)
            if not self._is_about_files(words):
                check_command(line)
                if words[:2] == ["pip", "install"] and "pytest-asyncio" in words:
                    self._pytest_plugins.append("pytest_asyncio.plugin")
            elif block.title:
                terminal = Terminal(self._executable(words), self._folder)
                self._terminals[block.title] = terminal
                # What it writes of its health.
                self._files |= {word for word in words if word.endswith(".json")}
                return terminal.read(block.output.count("\n"))
            elif LOOKS & {*words}:
                printed += self._look(self._executable(words), block.output)
            else:
                printed += self._call(self._executable(words))
        return printed

    def _look(self, command: list[str], shown: str) -> str:
        """Repeat a command until what it looks at is as shown, or for long enough."""
        deadline = time.monotonic() + BLOCK_SECONDS
        while True:
            printed = self._call(command)
            is_late = time.monotonic() > deadline
            if is_late or self._compare(printed, shown) is None:
                return printed

    def _converse(self, block: Block) -> str | None:
        """Compare what commands print that stand before their output, each after $."""
        for part in re.split(r"^\$ ", block.source, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            printed = self._call(self._executable(shlex.split(command)), cwd=ROOT)
            if difference := self._compare(printed, shown):
                return difference
        return None

    def _is_about_files(self, words: list[str]) -> bool:
        """Tell whether a command concerns what the page has had saved."""
        if words[0] == "pytest":
            return bool(self._files)
        # As in `diator check shop.app:mediator`, and `python -m shop.app`.
        names = {word.partition(":")[0] for word in words}
        modules = {f"{name.replace('.', '/')}.py" for name in names}
        return bool(self._files & {*words, *modules})

    def _executable(self, words: list[str]) -> list[str]:
        program, *arguments = words
        if program == "python":
            return [sys.executable, *arguments]
        return [str(Path(sys.executable).parent / program), *arguments]

    def _call(self, command: list[str], cwd: Path | None = None) -> str:
        outcome = subprocess.run(
            command,
            cwd=cwd or self._folder,
            env=quiet_environment()
            | {"PYTEST_PLUGINS": ",".join(self._pytest_plugins)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return outcome.stdout

    def _with_redis(self, source: str) -> str:
        return source.replace(SHOWN_REDIS_URL, self._redis_url)


class Terminal:
    """A command that goes on while the page does."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=quiet_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self._thread = Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)

    def read(self, lines: int) -> str:
        """Return the next lines that it prints."""
        return "".join(self._lines.get(timeout=BLOCK_SECONDS) for _ in range(lines))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(BLOCK_SECONDS)
        self._thread.join()
        self._process.stdout.close()


async def in_time(block: Coroutine[Any, Any, None]) -> None:
    """Await a block, and give it up by the clock on the wall: some move asyncio's."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    timer = Timer(BLOCK_SECONDS, loop.call_soon_threadsafe, [task.cancel])
    timer.start()
    try:
        await block
    except asyncio.CancelledError:
        msg = f"a block has not ended after {BLOCK_SECONDS} seconds"
        raise TimeoutError(msg) from None
    finally:
        timer.cancel()
        timer.join()


def quiet_environment() -> dict[str, str]:
    """Return the environment of a shell whose output is that of programs alone."""
    return os.environ | {
        "COLUMNS": "80",
        "NO_COLOR": "1",
        # Plugins of ours have settings of ours, which a reader lacks as well.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "TERM": "dumb",
    }


def check_command(line: str) -> None:
    """Make sure that a command is there to be called."""
    program, *words = shlex.split(line)
    if program == "./dev":
        assert callable(runpy.run_path(str(ROOT / "dev")).get(words[0])), line
    elif program == "diator":
        check_diator(words)
    elif not any(re.fullmatch(pattern, line) for pattern in PREPARATIONS):
        extra = re.fullmatch(r"pip install '?diator(\[([\w,]+)\])?'?", line)
        assert extra is not None, f"{line} is no command that is known here"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = extra[2].split(",") if extra[2] else []
        assert set(extras) <= set(project["optional-dependencies"]), line


def check_diator(words: list[str]) -> None:
    """Make sure that the command of the package has a subcommand and its options."""
    group = [word for word in words[:2] if re.fullmatch(r"[a-z-]+", word)]
    result = CliRunner().invoke(app, [*group, "--help"])
    assert result.exit_code == 0, words
    options = [word for word in words if word.startswith("--")]
    assert all(option in result.output for option in options), words

"""The commands that write contracts for others, and see that they are kept."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from diator.cli.loading import failing_clearly, load, opened
from diator.contracts.compatibility import breaking_changes
from diator.contracts.contract import Contract
from diator.exceptions import ConfigurationError

BROKEN = 1
"""What `check` ends with where others can no longer rely on something."""

contract = typer.Typer(
    help="Write down what others may rely on, and see that it is kept.",
    no_args_is_help=True,
)

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:ATTRIBUTE", help="The Contract, or a function that makes it."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write it there instead of printing it."),
]


@contract.command()
def asyncapi(target: Target, output: Output = None) -> None:
    """Give the contract as an AsyncAPI 3.0 document, in JSON."""
    with failing_clearly():
        _give(asyncio.run(_contract(target)).asyncapi(), output)


@contract.command("json-schema")
def json_schema(target: Target, output: Output = None) -> None:
    """Give one JSON Schema for the bodies of all messages."""
    with failing_clearly():
        _give(asyncio.run(_contract(target)).json_schema(), output)


@contract.command()
def check(
    target: Target,
    file: Annotated[
        Path, typer.Argument(help="The AsyncAPI document that others go by.")
    ],
) -> None:
    """Look for changes that break programs of others; fails if there are any."""
    with failing_clearly():
        now = asyncio.run(_contract(target)).asyncapi()
        changes = breaking_changes(_read(file), now)
    for change in changes:
        print(change)  # noqa: T201  # for people and machines alike
    if changes:
        number = (
            "1 change breaks" if len(changes) == 1 else f"{len(changes)} changes break"
        )
        print(f"{number} what others know by {file}")  # noqa: T201  # as above
        sys.exit(BROKEN)
    print(f"{target} keeps what {file} says")  # noqa: T201  # as above


async def _contract(target: str) -> Contract:
    wanted = "the Contract"
    async with opened(load(target), "asyncapi", "json_schema", wanted=wanted) as found:
        contract: Contract = found
        return contract


def _give(document: Any, output: Path | None) -> None:
    text = json.dumps(document, indent=2)
    if output is None:
        print(text)  # noqa: T201  # to be read by other programs
        return
    try:
        output.write_text(f"{text}\n")
    except OSError as error:
        msg = f"{output} cannot be written: {error}"
        raise ConfigurationError(msg) from None


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        msg = f"{file} cannot be read: {error}"
        raise ConfigurationError(msg) from None

"""The commands, and what they answer the shell."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from diator.cli.contracts import contract
from diator.cli.letters import drop, replay, show_list, show_one
from diator.cli.loading import check_command, command_of, load, opened
from diator.cli.service import SignalledError, read_health, serve
from diator.cli.wiring import check, describe, explain, graph
from diator.exceptions import ConfigurationError, DeadLetterNotFoundError, DiatorError
from diator.logger import get_logger

FAILED = 1
SIGNALLED = 128  # what shells add to the number of a signal
FAREWELL_SECONDS = 0.05
"""
How long the event loop stays for a thread of aiosqlite whose connection has failed.

It would write a traceback where the loop is closed before it has ended.
"""
DOING = {"relay": "relaying", "consume": "consuming"}
WANTED = {"relay": "the Relay", "consume": "the Consumer"}

console = Console()
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
outbox = typer.Typer(help="Look at an outbox.", no_args_is_help=True)
dead_letters = typer.Typer(
    help="Look after the messages that were put aside.", no_args_is_help=True
)
for command in (describe, check, explain, graph):
    app.command()(command)
app.add_typer(outbox, name="outbox")
app.add_typer(dead_letters, name="dead-letters")
app.add_typer(contract, name="contract")

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:ATTRIBUTE",
        help="The object, a function that makes it, or one that returns an async "
        "context manager which opens it.",
    ),
]
HealthFile = Annotated[
    Path | None,
    typer.Option(help="Rewrite this file with the service's health every 5 s."),
]


def _log_level(name: str) -> str:
    if name.upper() not in logging.getLevelNamesMapping():
        msg = f"there is no log level {name!r}; take DEBUG, INFO, WARNING or ERROR"
        raise typer.BadParameter(msg)
    return name.upper()


LogLevel = Annotated[
    str,
    typer.Option(
        callback=_log_level,
        help="Log from this level on, unless the application logs; DEBUG is for what "
        "diator logs alone.",
    ),
]


def _print_version(is_asked: bool) -> None:  # noqa: FBT001  # as typer calls it
    if is_asked:
        print(f"diator {metadata.version('diator')}")  # noqa: T201  # for people and scripts
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
]
Letters = Annotated[list[str] | None, typer.Argument(metavar="ID")]
All = Annotated[bool, typer.Option("--all", help="All of them, instead of some ids.")]


@app.callback()
def diator(*, version: Version = False) -> None:
    """Look at a mediator, run relays and consumers, look after dead letters."""


@app.command()
def relay(
    target: Target, health_file: HealthFile = None, log_level: LogLevel = "INFO"
) -> None:
    """Publish what waits in an outbox, until SIGTERM or SIGINT."""
    _run_service("relay", target, health_file, log_level)


@app.command()
def consume(
    target: Target, health_file: HealthFile = None, log_level: LogLevel = "INFO"
) -> None:
    """Handle the messages of a broker, until SIGTERM or SIGINT."""
    _run_service("consume", target, health_file, log_level)


@app.command()
def health(
    file: Annotated[Path, typer.Argument(help="What --health-file names.")],
    max_age: Annotated[
        float, typer.Option(help="How old it may be, in seconds.")
    ] = 30.0,
) -> None:
    """Print how a service does; fails if it has ended, or hangs."""
    try:
        print(json.dumps(read_health(file, max_age_seconds=max_age)))  # noqa: T201  # for machines
    except LookupError as error:
        _fail(str(error))


@app.command()
def trim(
    target: Target,
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC")],
) -> None:
    """Remove from a broker what every group has acknowledged."""

    async def act(found: Any) -> None:
        for topic in topics:
            console.print(f"Removed {await found.trim(topic)} of {topic}.")

    _run(_with(target, act, "trim", wanted="the RedisStreamsBroker"))


@outbox.command("status")
def outbox_status(target: Target) -> None:
    """Print what waits in an outbox, as JSON."""

    async def show(found: Any) -> None:
        if command_of(found) == "consume":
            msg = "a Consumer has no outbox: name the Outbox, or the Relay"
            raise ConfigurationError(msg)
        if hasattr(found, "status"):
            status = asdict(await found.status())
        else:
            status = dict(await found.health())
            # Of a relay that was made to be asked, and not of those that run.
            for name in ("running", "connected"):
                status.pop(name, None)
        print(json.dumps(status, default=str))  # noqa: T201  # for machines

    _run(_with(target, show, "status|health", wanted="the Outbox or the Relay"))


@dead_letters.command("list")
def list_letters(
    target: Target,
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="ID", help="Those that come after this one.")
    ] = None,
    in_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, without bodies.")
    ] = False,
) -> None:
    """
    Print the oldest dead letters.

    For a program, each is a line with its id, the message's name, topic, key, number of
    attempts, date of death in UTC, and the cause, with tabs between them.
    """

    async def act(found: Any) -> None:
        await show_list(found, console, limit=limit, after=after, in_json=in_json)

    _run(_with_letters(target, act))


@dead_letters.command("show")
def show_letter(
    target: Target, letter_id: Annotated[str, typer.Argument(metavar="ID")]
) -> None:
    """Print a dead letter with its body, as JSON."""
    _run(_with_letters(target, lambda found: show_one(found, letter_id, console)))


@dead_letters.command("replay")
def replay_letters(
    target: Target, ids: Letters = None, *, everything: All = False
) -> None:
    """Have dead letters tried again."""
    chosen = _chosen(ids, everything=everything)

    async def act(found: Any) -> None:
        number = await replay(found, chosen)
        console.print(f"Replayed {number}.")
        _check_found(number, chosen)

    _run(_with_letters(target, act))


@dead_letters.command("drop")
def drop_letters(
    target: Target, ids: Letters = None, *, everything: All = False
) -> None:
    """Delete dead letters for good."""
    chosen = _chosen(ids, everything=everything)

    async def act(found: Any) -> None:
        number = await drop(found, chosen)
        console.print(f"Dropped {number}.")
        _check_found(number, chosen)

    _run(_with_letters(target, act))


def _chosen(ids: list[str] | None, *, everything: bool) -> list[str] | None:
    if bool(ids) is everything:
        msg = "name ids, or --all"
        raise typer.BadParameter(msg)
    # Each once, so that they can be counted.
    return list(dict.fromkeys(ids)) if ids else None


def _check_found(number: int, chosen: list[str] | None) -> None:
    if chosen is not None and number < len(chosen):
        msg = (
            f"there was no dead letter for {len(chosen) - number} of {len(chosen)} ids"
        )
        raise DeadLetterNotFoundError(msg)


def _run_service(
    command: str, target: str, health_file: Path | None, log_level: str
) -> None:
    level = logging.getLevelNamesMapping()[log_level]
    # Without effect where the application has configured logging.
    logging.basicConfig(
        level=max(level, logging.INFO),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    if level < logging.INFO:
        # Of others, it would be several lines for each statement.
        logging.getLogger("diator").setLevel(level)
    found = load_or_fail(target)

    async def run() -> None:
        wanted = WANTED[command]
        async with opened(found, "run", "stop", "health", wanted=wanted) as service:
            check_command(service, command)
            fields: dict[str, Any] = {"target": target}
            # What a consumer has, and a relay has not.
            for name in ("topics", "group"):
                if hasattr(service, name):
                    fields[name] = getattr(service, name)
            doing = DOING[command]
            get_logger().info(doing, **fields)
            await serve(service, health_file=health_file)
            get_logger().info(f"{doing} has ended", **fields)

    _run(run())


async def _with(
    target: str,
    act: Callable[[Any], Awaitable[None]],
    *methods: str,
    wanted: str,
) -> None:
    async with opened(load_or_fail(target), *methods, wanted=wanted) as found:
        try:
            await act(found)
        except (DiatorError, ConnectionError):
            raise
        except Exception as error:
            await asyncio.sleep(FAREWELL_SECONDS)
            # By the database or the broker: SQLAlchemy adds lines with the statement.
            text = str(error).partition("\n")[0]
            msg = f"{type(error).__name__}: {text}"
            raise DiatorError(msg) from error


async def _with_letters(target: str, act: Callable[[Any], Awaitable[None]]) -> None:
    wanted = "`broker.dead_letters(topic, group)` or `OutboxDeadLetters(outbox)`"
    await _with(target, act, "list", "get", "replay", "drop", wanted=wanted)


def load_or_fail(target: str) -> Any:
    """Import what the arguments name, or end the program with the reason."""
    try:
        return load(target)
    except DiatorError as error:
        _fail(str(error))


def _run(work: Awaitable[None]) -> None:
    async def awaited() -> None:
        await work

    try:
        asyncio.run(awaited())
    except (DiatorError, ConnectionError) as error:
        _fail(str(error))
    except SignalledError as error:
        sys.exit(SIGNALLED + error.number)
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(SIGNALLED + signal.SIGINT)


def _fail(reason: str) -> NoReturn:
    print(f"diator: {reason}", file=sys.stderr)  # noqa: T201  # for people
    sys.exit(FAILED)

"""The commands that show how a mediator is wired, and what is wrong with it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from diator.cli.loading import (
    command_of,
    did_you_mean,
    failing_clearly,
    load,
    opened,
)
from diator.cli.mermaid import MAX_EDGES, count_edges, flowchart
from diator.cli.page import page
from diator.cli.showing import counted, explanation, overview, show
from diator.description.describing import describe as describe_mediator
from diator.description.model import Description, Event, Request
from diator.exceptions import ConfigurationError

WRONG = 1
"""What `check` ends with where something is wrong with the wiring."""

M = TypeVar("M", bound=Request | Event)

Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:ATTRIBUTE",
        help="The Mediator (or a Consumer, which has one), a function that makes it, "
        "or one that returns an async context manager which opens it.",
    ),
]


def describe(
    target: Target,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all that is known, as JSON.")
    ] = False,
) -> None:
    """Show every request and event, who handles it, and what comes of it."""
    with failing_clearly():
        description = asyncio.run(_looked_at(target))
    if as_json:
        print(json.dumps(asdict(description), indent=2))  # noqa: T201  # for machines
        return
    show(Console(), overview(description))


def check(target: Target) -> None:
    """Look for everything in the wiring that would fail later; fails if there is."""
    with failing_clearly():
        description = asyncio.run(_looked_at(target))
    for number, finding in enumerate(description.findings, 1):
        # Not by rich, which would fold what a log or an editor looks for.
        print(f"{number}. {finding.text}")  # noqa: T201  # for people and machines alike
    messages = (
        f"{counted(description.requests, 'request')}, "
        f"{counted(description.events, 'event')}"
    )
    if description.findings:
        told = f"{counted(description.findings, 'wiring error')} in {messages}"
    else:
        told = f"{target} is wired completely: {messages}"
    print(told)  # noqa: T201  # as above
    if description.not_judged:
        names = ", ".join(each.partition(":")[2] for each in description.not_judged)
        print(  # noqa: T201  # as above
            f"not judged, because their module has messages of other programs: {names}"
        )
    if description.findings:
        sys.exit(WRONG)


def explain(
    target: Target,
    message: Annotated[
        str, typer.Argument(metavar="REQUEST", help="Its name; an event will do, too.")
    ],
) -> None:
    """Show what a request goes through, why, and what comes of it."""
    with failing_clearly():
        description = asyncio.run(_looked_at(target))
        messages: list[Request | Event] = [*description.requests, *description.events]
        found = _named(message, messages)
    show(Console(), explanation(description, found))


def graph(
    target: Target,
    request: Annotated[
        str | None,
        typer.Option(help="Draw this one alone, and what comes of it.", metavar="NAME"),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write a page for browsers into this file instead, where each request "
            "can be followed; it needs no network.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    """Print a Mermaid flowchart of requests, handlers and events, or write a page."""
    with failing_clearly():
        if html is not None and request is not None:
            msg = "--request is for the flowchart: the page has all requests to choose"
            raise ConfigurationError(msg)
        description = asyncio.run(_looked_at(target))
        if html is not None:
            _write(html, page(description))
            wrong = counted(description.findings, "wiring error")
            print(  # noqa: T201  # beside the output, as it is about it
                f"diator: {html} is written"
                f"{f', and shows {wrong}' if description.findings else ''}",
                file=sys.stderr,
            )
            return
        only = None if request is None else _named(request, description.requests)
    lines = flowchart(description, only)
    print("\n".join(lines))  # noqa: T201  # to be written to a file
    if count_edges(lines) > MAX_EDGES:
        print(  # noqa: T201  # not into the file
            f"diator: Mermaid draws up to {MAX_EDGES} edges, and these are "
            f"{count_edges(lines)}: draw one request with --request NAME",
            file=sys.stderr,
        )


def _write(file: Path, text: str) -> None:
    try:
        # With the line ends of the template everywhere.
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        msg = f"cannot write {file}: {error.strerror}"
        raise ConfigurationError(msg) from error


async def _looked_at(target: str) -> Description:
    wanted = "the Mediator (or a Consumer, which has one)"
    members = ("check", "request_map", "event_emitter", "middleware_chain")
    found: Any = load(target)
    async with opened(found, "request_map|mediator", wanted=wanted) as given:
        has_one = getattr(given, "mediator", given)
        consumer = given if command_of(given) == "consume" else None
        async with opened(has_one, *members, wanted=wanted) as mediator:
            return describe_mediator(mediator, consumer)


def _named(name: str, messages: Sequence[M]) -> M:
    """Find the one message that a name, or the end of a qualified one, stands for."""
    found = [
        each
        for each in messages
        if name in (each.name, each.id, each.qualified_name)
        or each.id.replace(":", ".").endswith(f".{name}")
    ]
    if len(found) > 1:
        told = ", ".join(each.id for each in found)
        msg = f"{name!r} may be any of these: {told}"
        raise ConfigurationError(msg)
    if not found:
        close = did_you_mean(name, sorted({each.name for each in messages}))
        msg = f"there is no {name!r} among them{close}"
        raise ConfigurationError(msg)
    return found[0]

"""Show dead letters, replay them, and drop them."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rich.console import Console

    from diator.messages.dead_letters import DeadLetter, DeadLetters

COLUMNS = ("id", "message", "topic", "key", "attempts", "since", "cause")

PAGE = 1_000
"""How many letters are replayed or dropped at once where all are meant."""


async def show_list(
    letters: DeadLetters,
    console: Console,
    *,
    limit: int,
    after: str | None = None,
    in_json: bool = False,
) -> None:
    """
    Print the oldest letters, without their bodies; for programs, tabs apart.

    Args:
        letters: The letters.
        console: Where to print them.
        limit: How many at most.
        after: The id of the one that those to be printed come after.
        in_json: Whether to print each as a line of JSON.

    Raises:
        LookupError: There is none with this id.

    """
    last = None if after is None else await letters.get(after)
    found = await letters.list(limit + 1, after=last)
    if in_json:
        for letter in found[:limit]:
            print(_as_json_line(letter), file=console.file)
        return
    rows = [_row(letter) for letter in found[:limit]]
    if not console.is_terminal:
        for row in rows:
            # Rich would make spaces of the tabs.
            print("\t".join(row), file=console.file)
    elif rows:
        table = Table(*COLUMNS)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
        if len(found) > limit:
            console.print(f"There are more, after {escape(rows[-1][0])}.")
    else:
        console.print("There are no dead letters.")


def _row(letter: DeadLetter) -> tuple[str, ...]:
    return (
        letter.letter_id,
        letter.message_name or "?",
        letter.topic,
        letter.key or "",
        str(letter.attempts),
        f"{letter.died_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        # A cause may have lines and tabs of its own.
        " ".join(letter.cause.split()),
    )


def _as_json_line(letter: DeadLetter) -> str:
    fields: dict[str, Any] = msgspec.to_builtins(letter)
    del fields["body"]
    return msgspec.json.encode(fields).decode()


async def show_one(letters: DeadLetters, letter_id: str, console: Console) -> None:
    """Print all that is known of a letter, its body included, as JSON."""
    letter = await letters.get(letter_id)
    console.print(as_json(letter), markup=False, highlight=False, soft_wrap=True)


def as_json(letter: DeadLetter) -> str:
    """Give a letter as JSON, with a body that is no text in base64."""
    fields: dict[str, Any] = msgspec.to_builtins(letter)
    try:
        fields["body"] = letter.body.decode()
    except UnicodeDecodeError:
        fields["body_base64"] = fields.pop("body")
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode()


async def replay(letters: DeadLetters, letter_ids: Sequence[str] | None) -> int:
    """Replay the letters with some ids, or all, and give their number."""
    return sum([await letters.replay(ids) async for ids in _pages(letters, letter_ids)])


async def drop(letters: DeadLetters, letter_ids: Sequence[str] | None) -> int:
    """Drop the letters with some ids, or all, and give their number."""
    return sum([await letters.drop(ids) async for ids in _pages(letters, letter_ids)])


async def _pages(
    letters: DeadLetters, letter_ids: Sequence[str] | None
) -> AsyncIterator[Sequence[str]]:
    if letter_ids is not None:
        yield letter_ids
        return
    # First, for one that dies again meanwhile may have another id, and is none of them.
    for page in [page async for page in _all(letters)]:
        yield page


async def _all(letters: DeadLetters) -> AsyncIterator[Sequence[str]]:
    last: DeadLetter | None = None
    while page := await letters.list(PAGE, after=last):
        last = page[-1]
        yield [letter.letter_id for letter in page]

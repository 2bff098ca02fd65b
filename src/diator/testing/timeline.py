"""What happened in a test, and what a test expects of it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from diator.handler import qualified_name
from diator.testing.fields import field_names

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

M = TypeVar("M")

Kind = Literal["sent", "raised", "handler", "published"]

MAX_SHOWN = 100
"""How many characters of a message, or of an answer, the timeline shows."""

PATIENCE = 5.0
"""
After how many seconds nobody waits for a message any more.

Long for what happens in a process, and short for who watches a test fail.
"""

_MISSING = object()

_depth: ContextVar[int] = ContextVar("diator_testing_depth", default=0)


class ExpectationError(AssertionError):
    """Something else happened than a test expects; its text has the timeline."""


@dataclass(kw_only=True)
class Line:
    """
    One thing that happened.

    Attributes:
        kind: What was done with the message.
        message: The request, event or command; for a handler its name.
        depth: In how many sends and event handlers it happened.
        outcome: What came of it, as far as it is known.

    """

    kind: Kind
    message: Any
    depth: int
    outcome: str = ""


class Timeline:
    """What happened, in its order."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._changes: set[asyncio.Future[None]] = set()

    def add(self, kind: Kind, message: Any, outcome: str = "") -> Line:
        """Note that something happens now, and tell those who wait for it."""
        line = Line(kind=kind, message=message, depth=_depth.get(), outcome=outcome)
        self.lines.append(line)
        for change in self._changes:
            if not change.done():
                change.set_result(None)
        return line

    @contextmanager
    def during(self, kind: Kind, message: Any) -> Generator[Line]:
        """Note something that takes time: what happens meanwhile is inside it."""
        line = self.add(kind, message)
        outside = _depth.get()
        _depth.set(outside + 1)
        try:
            yield line
        except BaseException as error:
            line.outcome = f"! {_shortened(_shown(error))}"
            raise
        finally:
            _depth.set(outside)

    async def change(self) -> None:
        """Wait until something more happens."""
        change = asyncio.get_running_loop().create_future()
        self._changes.add(change)
        try:
            await change
        finally:
            self._changes.discard(change)

    def __str__(self) -> str:
        lines = [
            f"  {line.kind:<9} {'  ' * line.depth}{brief(line.message)} {line.outcome}"
            for line in self.lines
        ]
        return "\n".join(map(str.rstrip, lines)) or "  nothing"


def _check_fields(message_type: Any, values: dict[str, Any]) -> None:
    """Refuse what fits no message because it is misspelt, and so proves nothing."""
    known = field_names(message_type)
    if known is None:
        return
    if getattr(message_type, "model_config", {}).get("extra") == "allow":
        # Of an open model of pydantic's, any may be right.
        return
    for field in values:
        # Properties are found, too.
        if field not in known and not hasattr(message_type, field):
            name = qualified_name(message_type)
            msg = f"{name} has no field {field!r}, only {', '.join(known) or 'none'}"
            raise TypeError(msg)


class Messages:
    """
    The messages with which one thing was done, such as those that were sent.

    Args:
        kind: What was done with them.
        timeline: Where they are found.

    """

    def __init__(self, kind: Kind, timeline: Timeline) -> None:
        self._kind: Kind = kind
        self._timeline = timeline

    def has(self, message: object) -> bool:
        """Tell whether this very message is among them."""
        return any(
            line.kind == self._kind and line.message is message
            for line in self._timeline.lines
        )

    def all(
        self,
        message_type: type[M],
        where: Callable[[M], bool] | None = None,
        /,
        **values: Any,
    ) -> list[M]:
        """
        Give all messages of a type, in their order.

        Args:
            message_type: They are instances of it.
            where: Tells those that are meant.
            values: What those that are meant have in their fields.

        Raises:
            TypeError: It has no such field.

        """
        _check_fields(message_type, values)
        return [
            line.message
            for line in self._timeline.lines
            if line.kind == self._kind
            and isinstance(line.message, message_type)
            and (where is None or where(line.message))
            and all(
                getattr(line.message, name, _MISSING) == value
                for name, value in values.items()
            )
        ]

    def one(
        self,
        message_type: type[M],
        where: Callable[[M], bool] | None = None,
        /,
        **values: Any,
    ) -> M:
        """
        Give the only message that fits.

        Args:
            message_type: As for `all`.
            where: As for `all`.
            values: As for `all`.

        Raises:
            ExpectationError: There is none, or there are several.

        """
        found = self.all(message_type, where, **values)
        if len(found) != 1:
            raise self._failure(1, message_type, where, values, len(found))
        return found[0]

    def none(
        self,
        message_type: type[M],
        where: Callable[[M], bool] | None = None,
        /,
        **values: Any,
    ) -> None:
        """
        Make sure that no message fits.

        Args:
            message_type: As for `all`.
            where: As for `all`.
            values: As for `all`.

        Raises:
            ExpectationError: There is one.

        """
        found = self.all(message_type, where, **values)
        if found:
            raise self._failure(0, message_type, where, values, len(found))

    async def wait_for(
        self,
        message_type: type[M],
        where: Callable[[M], bool] | None = None,
        /,
        *,
        within: float = PATIENCE,
        **values: Any,
    ) -> M:
        """
        Give the first message that fits, as soon as there is one.

        Args:
            message_type: As for `all`.
            where: As for `all`.
            within: After how many seconds it is given up.
            values: As for `all`.

        Raises:
            ExpectationError: There was none in that time.

        """
        try:
            async with asyncio.timeout(within):
                while not (found := self.all(message_type, where, **values)):
                    await self._timeline.change()
        except TimeoutError:
            error = self._failure(1, message_type, where, values, 0)
            error.add_note(f"It was waited for {within:g} seconds.")
            raise error from None
        return found[0]

    def _failure(
        self,
        expected: Literal[0, 1],
        message_type: type,
        where: object,
        values: dict[str, Any],
        found: int,
    ) -> ExpectationError:
        told = ", ".join(f"{name}={value!r}" for name, value in values.items())
        if where is not None:
            told = f"where ..., {told}" if told else "where ..."
        wanted = "one" if expected else "no"
        return ExpectationError(
            f"expected {wanted} {message_type.__name__}({told}) to be {self._kind}, "
            f"found {found or 'none'}; what happened:\n{self._timeline}"
        )


def brief(message: Any) -> str:
    """Show a message, shortened, without the id and time that differ in each test."""
    if isinstance(message, str):
        return message
    if not is_dataclass(message):
        return _shortened(_shown(message))
    told = ", ".join(
        f"{field.name}={_shown(getattr(message, field.name, None))}"
        for field in fields(message)
        if field.repr and field.name not in ("event_id", "event_timestamp")
    )
    return _shortened(f"{type(message).__name__}({told})")


def answered(answer: Any) -> str:
    """Show what a request was answered with."""
    if answer is None:
        return ""
    told = _shown(answer) if isinstance(answer, str) else brief(answer)
    return f"-> {_shortened(told)}"


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001  # what cannot be shown must not fail a test
        return f"<{type(value).__name__} without a repr>"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"

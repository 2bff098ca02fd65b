# pyright: reportUnnecessaryTypeIgnoreComment=error
"""
What `stream` takes and gives.

Checked, never run. Each `# type: ignore` states an error; mypy and pyright report one
that they do not find.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar, assert_type

from diator import Event, Mediator, Request, StreamHandler, StreamRequest

T = TypeVar("T")


@dataclass(frozen=True)
class Count(StreamRequest[int]):
    to: int


@dataclass(frozen=True)
class Repeat(StreamRequest[T], Generic[T]):
    value: T


class ReadNames(StreamRequest[str | None]):
    pass


class ReadNumber(Request[int]):
    pass


class Untold(StreamRequest):  # type: ignore[type-arg]  # it has to name its items
    pass


class CountHandler(StreamHandler[Count, int]):
    async def handle(self, request: Count) -> AsyncGenerator[int]:
        assert_type(self.events, list[Event])
        yield request.to
        yield ""  # type: ignore[misc]  # no number


async def items(mediator: Mediator) -> None:
    assert_type(mediator.stream(Count(3)), AsyncGenerator[int])
    assert_type(mediator.stream(Repeat("")), AsyncGenerator[str])
    assert_type([name async for name in mediator.stream(ReadNames())], list[str | None])
    async for number in mediator.stream(Count(3)):
        assert_type(number, int)


async def leaving_early(mediator: Mediator) -> None:
    stream = mediator.stream(Count(3))
    assert_type(await anext(stream), int)
    await stream.aclose()
    async with aclosing(mediator.stream(Count(3))) as numbers:
        async for number in numbers:
            assert_type(number, int)


async def on_its_own(mediator: Mediator) -> None:
    assert_type(mediator.independent().stream(Count(3)), AsyncGenerator[int])


async def unions(mediator: Mediator, request: Count | Repeat[None]) -> None:
    assert_type([item async for item in mediator.stream(request)], list[int | None])


async def errors(mediator: Mediator) -> None:
    mediator.stream(ReadNumber())  # type: ignore[arg-type]  # to be sent
    mediator.stream(Count)  # type: ignore[arg-type]  # no instance
    await mediator.send(Count(3))  # type: ignore[arg-type]  # to be streamed
    await mediator.stream(Count(3))  # type: ignore[misc]  # to be iterated over
    for _ in mediator.stream(Count(3)):  # type: ignore[attr-defined]  # asynchronously
        pass

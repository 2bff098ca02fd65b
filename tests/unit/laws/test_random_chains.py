"""
Laws 1, 3 and 6 over random chains.

Each chain is run by diator and by a small model of what the laws say, which knows
nothing of coroutines or collectors. Whatever is in the chain, both have to agree on
the answer, on the events and on who saw what in which order. The same is done with
middlewares that diator cannot see through, so that what it leaves out for those which
it can see through (`middlewares/transparency.py`) is shown to make no difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diator import collect
from diator.middlewares.base import Handle, Middleware
from diator.middlewares.transparency import is_transparent
from tests.unit.fakes import Do, FailedError, Happened, Listening

Result = tuple[str | None, list[str]]
"""An answer, None for a failure, and the events that count."""


@dataclass
class Run:
    """
    What one run of a chain is told and leaves behind.

    Attributes:
        failing: The numbers of the calls at which the handler fails.
        trace: Who saw which request.
        calls: Counts the calls of the handler.

    """

    failing: frozenset[int]
    trace: list[str]
    calls: count[int]


class Step:
    """A middleware of a chain, and what it means."""

    transparent = True

    def __init__(self, label: str, run: Run) -> None:
        self.label = label
        self.run = run

    async def __call__(self, request: Any, handle: Handle) -> Any:
        raise NotImplementedError

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        raise NotImplementedError


class Pass(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        self.run.trace.append(f"{self.label} {request.name}")
        answer = await handle(request)
        self.run.trace.append(f"{self.label} {answer}")
        return answer

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        self.run.trace.append(f"{self.label} {name}")
        answer, events = rest(name)
        if answer is not None:
            self.run.trace.append(f"{self.label} {answer}")
        return answer, events


class Answer(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        return f"{self.label} for {request.name}"

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        return f"{self.label} for {name}", []


class Replace(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        return await handle(replace(request, name=f"{request.name}{self.label}"))

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        return rest(f"{name}{self.label}")


class Twice(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        await handle(request)
        return await handle(request)

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        first_answer, first = rest(name)
        if first_answer is None:
            return None, []
        answer, second = rest(name)
        return answer, [*first, *second]


class CollectBefore(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        collect(Happened(self.label))
        return await handle(request)

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        answer, events = rest(name)
        return answer, [self.label, *events]


class CollectAfter(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        answer = await handle(request)
        collect(Happened(self.label))
        return answer

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        answer, events = rest(name)
        return answer, [*events, self.label]


class RaiseBefore(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        collect(Happened(self.label))
        raise FailedError

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        return None, []


class RaiseAfter(Step):
    async def __call__(self, request: Any, handle: Handle) -> Any:
        await handle(request)
        raise FailedError

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        rest(name)
        return None, []


class Translate(Step):
    """Lets a failure pass as another one, after it has put things in order."""

    async def __call__(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except FailedError as error:
            raise FailedError(self.label) from error
        finally:
            self.run.trace.append(self.label)

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        result = rest(name)
        self.run.trace.append(self.label)
        return result


class Retry(Step):
    transparent = False

    async def __call__(self, request: Any, handle: Handle) -> Any:
        for _ in range(2):
            try:
                return await handle(request)
            except FailedError:
                collect(Happened(self.label))
        return await handle(request)

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        told: list[str] = []
        for _ in range(2):
            answer, events = rest(name)
            if answer is not None:
                return answer, [*told, *events]
            told.append(self.label)
        answer, events = rest(name)
        return answer, [*told, *events]


class Swallow(Step):
    transparent = False

    async def __call__(self, request: Any, handle: Handle) -> Any:
        try:
            return await handle(request)
        except FailedError:
            collect(Happened(self.label))
            return f"{self.label} for {request.name}"

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        answer, events = rest(name)
        if answer is None:
            return f"{self.label} for {name}", [self.label]
        return answer, events


class InTask(Step):
    transparent = False

    async def __call__(self, request: Any, handle: Handle) -> Any:
        async with asyncio.timeout(None):
            return await asyncio.create_task(handle(request))  # type: ignore[arg-type]  # a coroutine

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        return rest(name)


class Both(Step):
    """Tries twice at the same time, and takes the first answer that there is."""

    transparent = False

    async def __call__(self, request: Any, handle: Handle) -> Any:
        results = [
            await asyncio.gather(handle(request), return_exceptions=True)
            for _ in range(2)
        ]
        for [result] in results:
            if isinstance(result, str):
                return result
        raise FailedError

    def model(self, name: str, rest: Callable[[str], Result]) -> Result:
        results = [rest(name) for _ in range(2)]
        events = [
            event
            for answer, events in results
            if answer is not None
            for event in events
        ]
        answers = [answer for answer, _ in results if answer is not None]
        return (answers[0], events) if answers else (None, [])


KINDS: list[type[Step]] = [
    Pass,
    Answer,
    Replace,
    Twice,
    CollectBefore,
    CollectAfter,
    RaiseBefore,
    RaiseAfter,
    Translate,
    Retry,
    Swallow,
    InTask,
    Both,
]


def expected(steps: list[Step], run: Run) -> Result:
    """Say what the laws promise of a chain."""

    def rest_of(index: int) -> Callable[[str], Result]:
        def rest(name: str) -> Result:
            if index < len(steps):
                answer, events = steps[index].model(name, rest_of(index + 1))
                return answer, events if answer is not None else []
            call = next(run.calls)
            run.trace.append(f"call {call} {name}")
            if call in run.failing:
                return None, []
            return f"answer {call}", [f"event {call}", f"after {call}"]

        return rest

    return rest_of(0)("it")


async def actual(middlewares: list[Middleware], run: Run) -> Result:
    """Find out what diator makes of a chain."""
    listening = Listening()
    for middleware in middlewares:
        listening.mediator.use(middleware)

    @listening.mediator.handles(Do)
    async def handle(request: Do) -> str:
        call = next(run.calls)
        run.trace.append(f"call {call} {request.name}")
        collect(Happened(f"event {call}"))
        await asyncio.sleep(0)
        if call in run.failing:
            raise FailedError
        collect(Happened(f"after {call}"))
        return f"answer {call}"

    try:
        answer = await listening.mediator.send(Do())
    except FailedError:
        answer = None
    return answer, listening.heard


def as_it_is(middleware: Middleware) -> Middleware:
    return middleware


def opaque(middleware: Middleware) -> Middleware:
    """Hide from diator what a middleware does."""

    async def hidden(request: Any, handle: Handle) -> Any:
        return await middleware(request, handle)

    return hidden


class TestRandomChains:
    @pytest.mark.parametrize("kind", KINDS)
    def test_kinds(self, kind: type[Step]):
        """Some of these middlewares are seen through, and none when it is hidden."""
        step = kind("", Run(frozenset(), [], count(1)))

        assert is_transparent(step) is kind.transparent
        assert not is_transparent(opaque(step))

    @pytest.mark.parametrize("shown", [as_it_is, opaque])
    @given(
        kinds=st.lists(st.sampled_from(KINDS), max_size=6),
        failing=st.frozensets(st.integers(1, 8)),
    )
    async def test_as_the_laws_say(
        self,
        shown: Callable[[Middleware], Middleware],
        kinds: list[type[Step]],
        failing: frozenset[int],
    ):
        """Every chain answers, emits and calls as the model says."""
        model_run = Run(failing, [], count(1))
        real_run = Run(failing, [], count(1))
        model_steps = [kind(f"m{i}", model_run) for i, kind in enumerate(kinds)]
        steps = [kind(f"m{i}", real_run) for i, kind in enumerate(kinds)]

        answer, events = expected(model_steps, model_run)

        assert await actual([shown(step) for step in steps], real_run) == (
            answer,
            events,
        )
        assert real_run.trace == model_run.trace

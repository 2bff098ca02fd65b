"""Law 12: sends share no state, whatever the lifetime of their handlers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
from lagom import Singleton

from diator import DomainEvent, Event, Mediator, Request, RequestHandler, collect
from diator.middlewares.base import Handle
from tests.unit.fakes import FailedError, pause

SENDS = 1_000


@dataclass(frozen=True)
class Work(Request[int]):
    """Belongs to one of many outermost sends."""

    sender: int
    depth: int = 0


class WorkByFresh(Work):
    pass


class WorkBySingleton(Work):
    pass


class WorkByOriginal(Work):
    pass


class WorkByOriginalSingleton(Work):
    pass


class WorkByFunction(Work):
    pass


@dataclass(frozen=True)
class Worked(DomainEvent):
    sender: int
    depth: int
    step: int


class Fresh(RequestHandler[Work, int]):
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator

    async def handle(self, request: Work) -> int:
        self.events.append(Worked(request.sender, request.depth, 1))
        await pause(request.sender % 3)
        await nest(self.mediator, request)
        self.events.append(Worked(request.sender, request.depth, 2))
        return request.sender


class Kept(Fresh):
    pass


class Original(RequestHandler[Work, int]):
    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: Work) -> int:
        self._events.append(Worked(request.sender, request.depth, 1))
        await pause(request.sender % 3)
        await nest(self.mediator, request)
        self._events.append(Worked(request.sender, request.depth, 2))
        return request.sender


class KeptOriginal(Original):
    pass


async def handle_work(request: Work, mediator: Mediator) -> int:
    collect(Worked(request.sender, request.depth, 1))
    await pause(request.sender % 3)
    await nest(mediator, request)
    collect(Worked(request.sender, request.depth, 2))
    return request.sender


KINDS: list[type[Work]] = [
    WorkByFresh,
    WorkBySingleton,
    WorkByOriginal,
    WorkByOriginalSingleton,
    WorkByFunction,
]


async def nest(mediator: Mediator, request: Work) -> None:
    """Send two requests of other kinds, at once or in turn, from the first level."""
    if request.depth == 1:
        return
    kinds = [KINDS[(request.sender + shift) % len(KINDS)] for shift in (1, 2)]
    nested = [mediator.send(kind(request.sender, 1)) for kind in kinds]
    if request.sender % 2:
        answers = await asyncio.gather(*nested)
    else:
        answers = [await send for send in nested]
    assert answers == [request.sender] * 2


class TestLaw12Independence:
    @pytest.mark.parametrize("guarded", [False, True])
    async def test_thousand_sends(self, guarded: bool):
        """Each of a thousand concurrent sends emits its own events, all of them."""
        mediator = Mediator()
        mediator.container[Mediator] = mediator
        mediator.container[Kept] = Singleton(Kept)
        mediator.container[KeptOriginal] = Singleton(KeptOriginal)
        mediator.bind(WorkByFresh, Fresh)
        mediator.bind(WorkBySingleton, Kept)
        mediator.bind(WorkByOriginal, Original)
        mediator.bind(WorkByOriginalSingleton, KeptOriginal)
        mediator.handles(WorkByFunction)(handle_work)
        emitted: dict[str, list[Worked]] = defaultdict(list)

        @mediator.handles(Worked)
        async def note(event: Worked) -> None:
            task = asyncio.current_task()
            assert task is not None
            emitted[task.get_name()].append(event)

        if guarded:

            async def retry(request: Any, handle: Handle) -> Any:
                try:
                    return await handle(request)
                except FailedError:
                    return await handle(request)

            mediator.use(retry)

        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    mediator.send(KINDS[sender % len(KINDS)](sender)), name=f"{sender}"
                )
                for sender in range(SENDS)
            ]

        assert [task.result() for task in tasks] == list(range(SENDS))
        for sender in range(SENDS):
            events = emitted[f"{sender}"]
            # Those of the two nested sends stand between the two of the outer one.
            assert events[0] == Worked(sender, 0, 1)
            assert events[-1] == Worked(sender, 0, 2)
            assert sorted(events[1:-1], key=lambda event: event.step) == [
                *[Worked(sender, 1, 1)] * 2,
                *[Worked(sender, 1, 2)] * 2,
            ]

    async def test_gathered_in_one_context(self):
        """Sends in one task group are outermost ones beside each other."""
        mediator = Mediator()
        heard: list[int] = []

        @mediator.handles(WorkByFunction)
        async def handle(request: WorkByFunction) -> int:
            collect(Worked(request.sender, 0, 1))
            await pause(3 - request.sender)
            if request.sender == 1:
                raise FailedError
            return request.sender

        @mediator.handles(Worked)
        async def note(event: Worked) -> None:
            heard.append(event.sender)

        results = await asyncio.gather(
            *(mediator.send(WorkByFunction(sender)) for sender in range(3)),
            return_exceptions=True,
        )

        assert isinstance(results[1], FailedError)
        assert results[::2] == [0, 2]
        assert heard == [2, 0]

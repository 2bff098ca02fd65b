"""
Laws 6, 7 and 8 over random nests of sends and random cascades of events.

What diator emits is compared with a small model that knows nothing of tasks or context
variables.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lagom import Singleton

from diator import DomainEvent, Event, Mediator, Request, RequestHandler, collect
from diator.exceptions import EventHandlingError, EventsError
from diator.middlewares.base import Handle
from tests.unit.fakes import FailedError, Happened, Listening


@dataclass(frozen=True)
class Send(Request[None]):
    """
    A request that says what its handler does.

    Attributes:
        steps: What the handler does: raise an event, let others run, or send.
        fails: Whether it fails at the end.

    """

    steps: tuple[Any, ...]
    fails: bool = False


class SendToNew(Send):
    pass


class SendToKept(Send):
    pass


class SendToOriginal(Send):
    pass


class SendToKeptOriginal(Send):
    pass


SENDS = [SendToNew, SendToKept, SendToOriginal, SendToKeptOriginal]


@dataclass(frozen=True)
class Raise:
    """Raise an event; all of them have different names."""

    collected: bool


@dataclass(frozen=True)
class Pause:
    """Let other tasks run."""


@dataclass(frozen=True)
class Nest:
    """Send other requests, at once or in turn, and survive their failures or not."""

    sends: tuple[Send, ...]
    at_once: bool
    caught: bool


def programs(depth: int) -> st.SearchStrategy[Send]:
    """Give sends with others nested in them."""
    steps: st.SearchStrategy[Any] = st.one_of(
        st.builds(Raise, st.booleans()), st.builds(Pause)
    )
    if depth:
        inner = st.lists(programs(depth - 1), min_size=1, max_size=3).map(tuple)
        steps |= st.builds(Nest, inner, st.booleans(), st.booleans())
    return st.builds(
        lambda kind, steps, fails: kind(tuple(steps), fails),
        st.sampled_from(SENDS),
        st.lists(steps, max_size=5),
        # Those that succeed show more.
        st.sampled_from([False, False, True]),
    )


@dataclass(frozen=True)
class Group:
    """The events of sends at once, each in its order, the sends in any order."""

    members: tuple[tuple[Any, ...], ...]


def expected(send: Send, path: str) -> tuple[Any, ...] | None:
    """Say what the laws promise a send to raise; None if it fails."""
    events: list[Any] = []
    for index, step in enumerate(send.steps):
        here = f"{path}.{index}"
        if isinstance(step, Raise):
            events.append(here)
        elif isinstance(step, Nest):
            results = []
            for number, inner in enumerate(step.sends):
                results.append(expected(inner, f"{here}.{number}"))
                if results[-1] is None and not step.at_once and not step.caught:
                    return None
            if None in results and not step.caught:
                return None
            good = tuple(result for result in results if result is not None)
            events += [Group(good)] if step.at_once else [*sum(good, ())]
    return None if send.fails else tuple(events)


def flat(events: tuple[Any, ...], emitted: list[str]) -> list[str]:
    """Put the sends of each group into the order in which they were emitted."""
    flattened: list[str] = []
    for event in events:
        if isinstance(event, Group):
            members = [flat(member, emitted) for member in event.members]
            members = [member for member in members if member]
            for member in sorted(
                members,
                key=lambda names: emitted.index(names[0]) if names[0] in emitted else 0,
            ):
                flattened += member
        else:
            flattened.append(event)
    return flattened


class Interpreter:
    """Does what a request says, with ways of its own to raise an event."""

    def __init__(self, mediator: Mediator) -> None:
        self.mediator = mediator
        # Requests are values; which path a send has is known by its identity.
        self.paths: dict[int, str] = {}

    async def run(self, send: Send, append: Callable[[Event], None]) -> None:
        path = self.paths[id(send)]
        for index, step in enumerate(send.steps):
            here = f"{path}.{index}"
            if isinstance(step, Raise):
                (collect if step.collected else append)(Happened(here))
            elif isinstance(step, Pause):
                await asyncio.sleep(0)
            else:
                await self.nest(step, here)
        if send.fails:
            raise FailedError

    async def nest(self, step: Nest, here: str) -> None:
        inner = []
        for number, send in enumerate(step.sends):
            copy = type(send)(send.steps, send.fails)
            self.paths[id(copy)] = f"{here}.{number}"
            inner.append(copy)
        if step.at_once:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.fails(send)) for send in inner]
            if any(task.result() for task in tasks) and not step.caught:
                raise FailedError
            return
        for send in inner:
            if await self.fails(send) and not step.caught:
                raise FailedError

    async def fails(self, send: Send) -> bool:
        try:
            await self.mediator.send(send)
        except FailedError:
            return True
        return False


class NewHandler(RequestHandler[Send, None]):
    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    async def handle(self, request: Send) -> None:
        await self.interpreter.run(request, self.events.append)


class KeptHandler(NewHandler):
    pass


class OriginalHandler(RequestHandler[Send, None]):
    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: Send) -> None:
        await self.interpreter.run(request, self._events.append)


class KeptOriginalHandler(OriginalHandler):
    pass


async def swallow_nothing(request: Any, handle: Handle) -> Any:
    """Make diator keep a collector for each attempt, for it might be survived."""
    try:
        return await handle(request)
    except ZeroDivisionError:
        return None


@dataclass(frozen=True)
class Tree(DomainEvent):
    """
    An event with those that its handler raises.

    Attributes:
        branches: What is raised.
        fails: Whether the handler fails after that.

    """

    branches: tuple[Tree, ...] = ()
    fails: bool = False


TREES = st.recursive(
    st.builds(Tree, fails=st.booleans()),
    lambda trees: st.builds(
        Tree,
        st.lists(trees, max_size=3).map(tuple),
        st.sampled_from([False, False, True]),
    ),
    max_leaves=15,
)


class TestRandomNests:
    @pytest.mark.parametrize("guarded", [False, True])
    @given(send=programs(depth=3))
    async def test_as_the_laws_say(self, guarded: bool, send: Send):
        """What leaves is what succeeded, joined in its order, when all is done."""
        listening = Listening()
        mediator = listening.mediator
        interpreter = Interpreter(mediator)
        mediator.container[Interpreter] = interpreter
        mediator.container[KeptHandler] = Singleton(KeptHandler)
        mediator.container[KeptOriginalHandler] = Singleton(KeptOriginalHandler)
        mediator.bind(SendToNew, NewHandler)
        mediator.bind(SendToKept, KeptHandler)
        mediator.bind(SendToOriginal, OriginalHandler)
        mediator.bind(SendToKeptOriginal, KeptOriginalHandler)
        if guarded:
            mediator.use(swallow_nothing)
        interpreter.paths[id(send)] = "send"

        failed = await interpreter.fails(send)

        raised = expected(send, "send")
        assert failed is (raised is None)
        assert listening.heard == flat(raised or (), listening.heard)


class TestRandomCascades:
    @given(trees=st.lists(TREES, max_size=4))
    async def test_as_the_laws_say(self, trees: list[Tree]):
        """Events are emitted by levels, and those of a failed handler are not."""
        mediator = Mediator()
        heard: list[Tree] = []

        @mediator.handles(Tree)
        async def grow(event: Tree) -> None:
            heard.append(event)
            for branch in event.branches:
                collect(branch)
            if event.fails:
                raise FailedError

        failed: list[Tree] = []
        try:
            await mediator.event_emitter.emit(*trees)
        except EventsError as error:
            for failure in error.exceptions:
                assert isinstance(failure, EventHandlingError)
                assert isinstance(failure.event, Tree)
                failed.append(failure.event)

        expected_order: list[Tree] = []
        waiting = deque(trees)
        while waiting:
            tree = waiting.popleft()
            expected_order.append(tree)
            if not tree.fails:
                waiting.extend(tree.branches)
        assert heard == expected_order
        assert failed == [tree for tree in expected_order if tree.fails]

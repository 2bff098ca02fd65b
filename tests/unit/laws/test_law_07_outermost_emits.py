"""Law 7: the outermost send emits, after its middlewares."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from diator import Command, Event, EventEmitter, EventMap, Mediator, collect
from diator.exceptions import EventsError, NoSendError
from diator.middlewares.base import Handle
from tests.unit.fakes import Announced, Do, FailedError, Happened, Listening, pause


class Inner(Command):
    pass


class Innermost(Command):
    pass


class Task(Command):
    pass


def nesting() -> Listening:
    """Give a mediator whose requests send each other: Do, Inner, Innermost."""
    listening = Listening()
    mediator = listening.mediator

    @mediator.handles(Do)
    async def outer(request: Do) -> None:
        collect(Happened("outer 1"))
        await mediator.send(Inner())
        listening.heard.append("inner is done")
        collect(Happened("outer 2"))

    @mediator.handles(Inner)
    async def inner(request: Inner) -> None:
        collect(Happened("inner 1"))
        await mediator.send(Innermost())
        collect(Happened("inner 2"))

    @mediator.handles(Innermost)
    async def innermost(request: Innermost) -> None:
        collect(Happened("innermost"))

    return listening


async def pass_on(request: Any, handle: Handle) -> Any:
    return await handle(request)


class TestLaw07OutermostEmits:
    async def test_after_middlewares(self):
        """Events leave when the last middleware is done, hence after the commit."""
        listening = Listening()

        async def transact(request: Any, handle: Handle) -> Any:
            answer = await handle(request)
            listening.heard.append("commit")
            return answer

        listening.mediator.use(transact)

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened("event"))

        await listening.mediator.send(Do())

        assert listening.heard == ["commit", "event"]

    async def test_nested(self):
        """Events of nested sends join the outermost one's, in the order of raising."""
        listening = nesting()
        await listening.mediator.send(Do())

        assert listening.heard == [
            "inner is done",
            "outer 1",
            "inner 1",
            "innermost",
            "inner 2",
            "outer 2",
        ]

    async def test_nested_in_middleware(self):
        """A send made by a middleware is nested as one made by the handler is."""
        listening = nesting()

        async def sending(request: Any, handle: Handle) -> Any:
            await listening.mediator.send(Innermost())
            answer = await handle(request)
            await listening.mediator.send(Innermost())
            return answer

        listening.mediator.use(sending, only=Inner)
        await listening.mediator.send(Inner())

        assert listening.heard == [
            "innermost",
            "inner 1",
            "innermost",
            "inner 2",
            "innermost",
        ]

    async def test_nested_in_tasks(self):
        """Sends in child tasks that are awaited are nested, too."""
        listening = nesting()

        @listening.mediator.handles(Task)
        async def handle(request: Task) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(listening.mediator.send(Innermost()))
            listening.heard.append("tasks are done")

        await listening.mediator.send(Task())

        assert listening.heard == ["tasks are done", *["innermost"] * 3]

    async def test_nested_answer(self):
        """A nested send answers at once, before anything is emitted."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            if request.name == "inner":
                return "inner answer"
            return f"outer and {await mediator.send(Do('inner'))}"

        assert await mediator.send(Do("outer")) == "outer and inner answer"

    async def test_task_outlives(self):
        """A send in a task that outlives the send it was started in emits by itself."""
        listening = Listening()
        tasks: list[asyncio.Task[Any]] = []

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "background":
                return

            async def later() -> None:
                await pause(10)
                await listening.mediator.send(Do("background"))
                listening.heard.append("background is done")

            tasks.append(asyncio.create_task(later()))

        await listening.mediator.send(Do("front"))
        assert listening.heard == ["front"]
        await tasks[0]
        assert listening.heard == ["front", "background", "background is done"]

    async def test_send_outlives(self):
        """A send that was begun in another and ends after it emits by itself."""
        listening = Listening()
        tasks: list[asyncio.Task[Any]] = []
        ended = asyncio.Event()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "background":
                await ended.wait()
                await listening.mediator.send(Do("nested"))
            elif request.name == "front":
                tasks.append(
                    asyncio.create_task(listening.mediator.send(Do("background")))
                )
                await asyncio.sleep(0)

        await listening.mediator.send(Do("front"))
        ended.set()
        await tasks[0]

        assert listening.heard == ["front", "background", "nested"]

    async def test_task_outlives_into_emission(self):
        """A task left behind is on its own as soon as the request was handled."""
        listening = Listening()
        tasks: list[asyncio.Task[Any]] = []
        emitting = asyncio.Event()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "front":

                async def later() -> None:
                    await emitting.wait()
                    await listening.mediator.send(Do("background"))

                tasks.append(asyncio.create_task(later()))

        @listening.mediator.handles(Happened)
        async def wait(event: Happened) -> None:
            if event.name == "front":
                emitting.set()
                await tasks[0]
                listening.heard.append("front is done")

        await listening.mediator.send(Do("front"))

        assert listening.heard == ["front", "background", "front is done"]

    @pytest.mark.parametrize("outer_fails", [False, True])
    async def test_independent(self, outer_fails: bool):
        """A send of the independent view emits, whatever becomes of the outer one."""
        listening = Listening()
        independent = listening.mediator.independent()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Happened(request.name))
            if request.name == "outer":
                answer = await independent.send(Do("own"))
                listening.heard.append(f"{answer} is done")
                await listening.mediator.send(Do("joined"))
                if outer_fails:
                    raise FailedError
            return request.name

        if outer_fails:
            with pytest.raises(FailedError):
                await listening.mediator.send(Do("outer"))
            assert listening.heard == ["own", "own is done"]
        else:
            await listening.mediator.send(Do("outer"))
            assert listening.heard == ["own", "own is done", "outer", "joined"]

    async def test_independent_failure(self):
        """A send of the independent view that fails leaves the outer one as it was."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "own":
                raise FailedError
            with pytest.raises(FailedError):
                await listening.mediator.independent().send(Do("own"))
            collect(Happened("goes on"))

        await listening.mediator.send(Do("outer"))

        assert listening.heard == ["outer", "goes on"]

    async def test_nested_in_independent(self):
        """Sends nested in one of the independent view join that one."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "outer":
                await listening.mediator.independent().send(Do("own"))
            elif request.name == "own":
                await listening.mediator.send(Do("nested"))
                listening.heard.append("nested is done")

        await listening.mediator.send(Do("outer"))

        assert listening.heard == ["nested is done", "own", "nested", "outer"]

    @pytest.mark.parametrize("guarded", [False, True])
    async def test_another_mediator_between(self, guarded: bool):
        """Each mediator emits its own events: A → B → A joins the outer A."""
        log: list[str] = []
        a, b = Mediator(), Mediator()
        for name, mediator in (("a", a), ("b", b)):

            @mediator.handles(Happened)
            async def hear(event: Happened, name: str = name) -> None:
                log.append(f"{name}: {event.name}")

        if guarded:

            async def with_guard(request: Any, handle: Handle) -> Any:
                try:
                    return await handle(request)
                except FailedError:
                    return None

            a.use(with_guard)
            b.use(with_guard)

        @a.handles(Do)
        async def outer(request: Do) -> None:
            collect(Happened("outer"))
            if request.name == "outer":
                await b.send(Inner())
                log.append("b is done")

        @b.handles(Inner)
        async def inner(request: Inner) -> None:
            collect(Happened("inner"))
            await a.send(Do("nested"))
            log.append("nested is done")

        await a.send(Do("outer"))

        assert log == [
            "nested is done",
            "b: inner",
            "b is done",
            "a: outer",
            "a: outer",
        ]

    async def test_another_mediator_in_event_handler(self):
        """A handler of B's event that sends to A joins the A around B."""
        log: list[str] = []
        a, b = Mediator(), Mediator()

        @a.handles(Happened)
        async def hear(event: Happened) -> None:
            log.append(event.name)

        @a.handles(Do)
        async def outer(request: Do) -> None:
            collect(Happened(request.name))
            if request.name == "outer":
                await b.send(Inner())
                log.append("b is done")

        @b.handles(Inner)
        async def inner(request: Inner) -> None:
            collect(Happened("of b"))

        @b.handles(Happened)
        async def react(event: Happened) -> None:
            await a.send(Do("reaction"))
            log.append("reaction is done")

        await a.send(Do("outer"))

        assert log == ["reaction is done", "b is done", "outer", "reaction"]

    async def test_another_mediator_of_the_same_emitter(self):
        """Two mediators on one emitter stay two: the inner one emits at once."""
        log: list[str] = []
        event_map = EventMap()
        emitter = EventEmitter(event_map=event_map)
        a = Mediator(event_emitter=emitter)
        b = Mediator(event_emitter=emitter)

        @event_map.handles(Happened)
        async def hear(event: Happened) -> None:
            log.append(event.name)

        @a.handles(Do)
        async def outer(request: Do) -> None:
            collect(Happened("of a"))
            await b.send(Inner())

        @b.handles(Inner)
        async def inner(request: Inner) -> None:
            collect(Happened("of b"))

        await a.send(Do())

        assert log == ["of b", "of a"]

    async def test_sends_of_event_handlers(self):
        """A send in the handler of an event joins what this handler raises."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(f"{request.name} 1"))
            collect(Happened(f"{request.name} 2"))

        @listening.mediator.handles(Happened)
        async def react(event: Happened) -> None:
            if event.name == "outer 1":
                await listening.mediator.send(Do("inner"))
                listening.heard.append("inner is done")

        await listening.mediator.send(Do("outer"))

        assert listening.heard == [
            "outer 1",
            "inner is done",
            "outer 2",
            "inner 1",
            "inner 2",
        ]

    async def test_tasks_of_event_handlers(self):
        """So does a send in a task that the handler of an event awaits."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(Happened(f"{request.name} 1"))
            collect(Happened(f"{request.name} 2"))

        @listening.mediator.handles(Happened)
        async def react(event: Happened) -> None:
            if event.name == "outer 1":
                await asyncio.create_task(listening.mediator.send(Do("inner")))
                listening.heard.append("inner is done")

        await listening.mediator.send(Do("outer"))

        assert listening.heard == [
            "outer 1",
            "inner is done",
            "outer 2",
            "inner 1",
            "inner 2",
        ]

    @pytest.mark.parametrize("event", [Announced(name="it"), Happened("bad")])
    async def test_collecting_while_the_send_emits(self, event: Event):
        """A task left behind cannot raise an event while its send emits."""
        emitting, done = asyncio.Event(), asyncio.Event()
        heard: list[str] = []

        async def late() -> None:
            await emitting.wait()
            try:
                collect(Happened("late"))
            finally:
                done.set()

        class Waiting:
            async def publish(self, messages: Any, /) -> list[None]:
                emitting.set()
                await done.wait()
                return [None for _ in messages]

        mediator = Mediator(message_broker=Waiting())
        tasks: list[asyncio.Task[None]] = []

        @mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            heard.append(event.name)
            if event.name == "bad":
                emitting.set()
                await done.wait()
                raise FailedError

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            tasks.append(asyncio.create_task(late()))
            collect(event)

        with suppress(EventsError):
            await mediator.send(Do())
        with pytest.raises(NoSendError):
            await tasks[0]

        assert "late" not in heard

    async def test_attempt_in_the_background(self):
        """Events of a part that ends after its send are refused, not lost."""
        listening = Listening()
        tasks: list[asyncio.Task[Any]] = []
        inside, over = asyncio.Event(), asyncio.Event()

        async def accept(request: Any, handle: Handle) -> str:
            tasks.append(asyncio.create_task(handle(request)))
            await inside.wait()
            return "accepted"

        listening.mediator.use(accept)

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            inside.set()
            collect(Happened("it"))
            await over.wait()

        assert await listening.mediator.send(Do()) == "accepted"
        over.set()
        with pytest.raises(NoSendError, match="has to await what it starts"):
            await tasks[0]

        assert listening.heard == []

    async def test_emitting_oneself(self):
        """What is given to the emitter itself is emitted at once, not collected."""
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            await listening.mediator.event_emitter.emit(Happened("now"))
            listening.heard.append("emitted")

        await listening.mediator.send(Do())

        assert listening.heard == ["now", "emitted"]

"""Law 5: all ways of raising an event below a send are the same."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from lagom import Singleton

from diator import Event, EventHandler, Mediator, RequestHandler, collect
from diator.exceptions import NoSendError, NotAMessageError
from tests.unit.fakes import Do, Happened, Listening, pause


class Appending(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        self.events.append(Happened("first"))
        self.events.extend([Happened("second")])
        self.events += [Happened("third")]


class Assigning(RequestHandler[Do, None]):
    """Empties its events as one is used to, and sets them at the end."""

    def __init__(self) -> None:
        self.events = []

    async def handle(self, request: Do) -> None:
        self.events.append(Happened("first"))
        self.events = [Happened("second"), Happened("third")]


class Original(RequestHandler[Do, None]):
    """Keeps its events itself, as handlers of diator 0.1 do."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    @property
    def events(self) -> list[Event]:
        return self._events

    async def handle(self, request: Do) -> None:
        self._events.append(Happened("first"))
        self._events.append(Happened("second"))
        self.events.append(Happened("third"))


class OriginalWithNewLists(RequestHandler[Do, None]):
    """Gives its events as a new list each time."""

    def __init__(self) -> None:
        self._names: list[str] = []

    @property
    def events(self) -> list[Event]:
        return [Happened(name) for name in self._names]

    async def handle(self, request: Do) -> None:
        self._names += ["first", "second", "third"]


class OriginalWithTuple(RequestHandler[Do, None]):
    """Gives its events as something that is not a list."""

    @property
    def events(self) -> tuple[Event, ...]:  # type: ignore[override]  # on purpose
        return Happened("first"), Happened("second"), Happened("third")

    async def handle(self, request: Do) -> None: ...


class Unrelated:
    """Has nothing from diator, but an attribute of the right name."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, request: Do) -> None:
        self.events.append(Happened("first"))
        self.events.extend([Happened("second"), Happened("third")])


class Slotted:
    """Keeps its events where nothing can be put in their place."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def handle(self, request: Do) -> None:
        self.events.append(Happened("first"))
        self.events.extend([Happened("second"), Happened("third")])


class Repository:
    async def save(self) -> None:
        collect(Happened("first"))
        await asyncio.sleep(0)
        collect(Happened("second"))


class Aggregate:
    def change(self) -> None:
        collect(Happened("third"))


class CollectingBelow(RequestHandler[Do, None]):
    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    async def handle(self, request: Do) -> None:
        await self.repository.save()
        Aggregate().change()


class CollectingInTasks(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        async def work(name: str) -> None:
            collect(Happened(name))
            await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for name in ("first", "second", "third"):
                group.create_task(work(name))


class CollectingInThread(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        for name in ("first", "second", "third"):
            await asyncio.to_thread(collect, Happened(name))


class Mixing(RequestHandler[Do, None]):
    async def handle(self, request: Do) -> None:
        collect(Happened("first"))
        self.events.append(Happened("second"))
        collect(Happened("third"))


WAYS = [
    Appending,
    Assigning,
    Original,
    OriginalWithNewLists,
    OriginalWithTuple,
    Unrelated,
    Slotted,
    CollectingBelow,
    CollectingInTasks,
    CollectingInThread,
    Mixing,
]

# What gives its old events again and again cannot be told from what raises them anew.
KEPT = [way for way in WAYS if way is not OriginalWithNewLists]


def add_in_place(handler: Any, event: Event) -> None:
    handler._events += [event]


def add(handler: Any, event: Event) -> None:
    handler._events = handler._events + [event]  # noqa: RUF005  # the other spelling is tested, too


def unpack(handler: Any, event: Event) -> None:
    handler._events = [*handler._events, event]


def copy_by_method(handler: Any, event: Event) -> None:
    handler._events = handler._events.copy()
    handler._events.append(event)


def copy_by_module(handler: Any, event: Event) -> None:
    handler._events = copy.copy(handler._events)
    handler._events.append(event)


def copy_by_slice(handler: Any, event: Event) -> None:
    handler._events = handler._events[:]
    handler._events.append(event)


def insert(handler: Any, event: Event) -> None:
    handler._events.insert(0, event)


CHANGES = [
    add_in_place,
    add,
    unpack,
    copy_by_method,
    copy_by_module,
    copy_by_slice,
    insert,
]


class TestLaw05RaisingEvents:
    @pytest.mark.parametrize("handler", WAYS)
    async def test_ways(self, handler: type):
        """However events are raised, they are emitted, each once, in this order."""
        listening = Listening()
        listening.mediator.bind(Do, handler)

        await listening.mediator.send(Do())

        assert listening.heard == ["first", "second", "third"]

    @pytest.mark.parametrize("handler", KEPT)
    async def test_kept_handlers(self, handler: type):
        """A handler that the container keeps raises each event once as well."""
        listening = Listening()
        listening.mediator.container[handler] = Singleton(handler)
        listening.mediator.bind(Do, handler)

        for _ in range(3):
            await listening.mediator.send(Do())

        assert listening.heard == ["first", "second", "third"] * 3

    async def test_events_can_be_read(self):
        """`events` shows what was raised so far, by whom ever."""
        seen: list[list[Event]] = []

        class Reading(RequestHandler[Do, None]):
            async def handle(self, request: Do) -> None:
                self.events.append(Happened("a"))
                collect(Happened("b"))
                seen.append(list(self.events))

        mediator = Mediator()
        mediator.bind(Do, Reading)
        await mediator.send(Do())

        assert seen == [[Happened("a"), Happened("b")]]

    async def test_in_constructor(self):
        """An event raised while the handler is built counts, too."""

        class Eager(RequestHandler[Do, None]):
            def __init__(self) -> None:
                self.events.append(Happened("built"))

            async def handle(self, request: Do) -> None: ...

        listening = Listening()
        listening.mediator.bind(Do, Eager)
        await listening.mediator.send(Do())

        assert listening.heard == ["built"]

    @pytest.mark.parametrize("way", ["append", "assign", "collect", "own"])
    async def test_event_handlers(self, way: str):
        """Handlers of events raise events in the same ways."""

        class Raising(EventHandler[Happened]):
            if way == "own":

                def __init__(self) -> None:
                    self._events: list[Event] = []

                @property
                def events(self) -> list[Event]:
                    return self._events

            async def handle(self, event: Happened) -> None:
                if event.name != "cause":
                    return
                if way == "assign":
                    self.events = [Happened("effect")]
                elif way == "collect":
                    collect(Happened("effect"))
                else:
                    self.events.append(Happened("effect"))

        listening = Listening()
        listening.mediator.bind(Happened, Raising)
        await listening.mediator.event_emitter.emit(Happened("cause"))

        assert listening.heard == ["cause", "effect"]

    async def test_assigned_again(self):
        """Assigning the events so far and one more raises each once."""

        class Reassigning(RequestHandler[Do, None]):
            async def handle(self, request: Do) -> None:
                self.events = [*self.events, Happened("a")]
                self.events = [*self.events, Happened("b")]

        listening = Listening()
        listening.mediator.bind(Do, Reassigning)
        await listening.mediator.send(Do())

        assert listening.heard == ["a", "b"]

    @pytest.mark.parametrize("change", CHANGES)
    async def test_own_list_is_a_list(self, change: Callable[[Any, Event], None]):
        """A handler does with its own list whatever lists can do."""

        class Changing(Original):
            async def handle(self, request: Do) -> None:
                change(self, Happened("it"))

        listening = Listening()
        listening.mediator.bind(Do, Changing)
        await listening.mediator.send(Do())

        assert listening.heard == ["it"]

    async def test_own_list_filled_in_constructor(self):
        """Events that its own list has from the constructor leave, too, and first."""

        class Eager(Original):
            def __init__(self) -> None:
                self._events = [Happened("constructor")]

            async def handle(self, request: Do) -> None:
                self._events.append(Happened("handle"))

        listening = Listening()
        listening.mediator.bind(Do, Eager)
        await listening.mediator.send(Do())

        assert listening.heard == ["constructor", "handle"]

    async def test_kept_handler_that_gives_copies(self):
        """A kept handler whose `events` is a copy each time raises each once."""

        class Copying(Original):
            @property
            def events(self) -> list[Event]:
                return list(self._events)

            async def handle(self, request: Do) -> None:
                self._events.append(Happened(request.name))

        listening = Listening()
        listening.mediator.container[Copying] = Singleton(Copying)
        listening.mediator.bind(Do, Copying)
        await listening.mediator.send(Do("a"))
        await listening.mediator.send(Do("b"))

        assert listening.heard == ["a", "b"]

    async def test_outside_a_send(self):
        """Where no send is running an event cannot be raised, instead of being lost."""
        with pytest.raises(NoSendError, match="no send is running here"):
            collect(Happened("lost"))
        with pytest.raises(NoSendError):
            Appending().events.append(Happened("lost"))

    async def test_after_the_send(self):
        """In a task that outlives its send an event is refused, not lost."""
        tasks: list[asyncio.Task[None]] = []
        listening = Listening()

        @listening.mediator.handles(Do)
        async def handle(request: Do) -> None:
            async def late() -> None:
                await pause(10)
                collect(Happened("late"))

            tasks.append(asyncio.create_task(late()))

        await listening.mediator.send(Do())
        with pytest.raises(NoSendError, match="a request of its own"):
            await tasks[0]

        assert listening.heard == []

    async def test_assigned_after_the_send(self):
        """Assigning events there is refused as well."""
        tasks: list[asyncio.Task[None]] = []

        class Late(RequestHandler[Do, None]):
            async def handle(self, request: Do) -> None:
                tasks.append(asyncio.create_task(self.assign()))

            async def assign(self) -> None:
                await pause(10)
                self.events = [Happened("late")]

        mediator = Mediator()
        mediator.bind(Do, Late)
        await mediator.send(Do())

        with pytest.raises(NoSendError):
            await tasks[0]

    @pytest.mark.parametrize("thing", ["text", None, Happened, Do()])
    async def test_no_event(self, thing: object):
        """What is no event is refused where it is collected."""
        mediator = Mediator()

        @mediator.handles(Do)
        async def handle(request: Do) -> None:
            collect(thing)  # type: ignore[arg-type]  # on purpose

        with pytest.raises(NotAMessageError, match="is not an event"):
            await mediator.send(Do())

    def test_events_of_a_class(self):
        """A handler's class can be asked for `events`, by documentation tools say."""
        assert RequestHandler.events is not None

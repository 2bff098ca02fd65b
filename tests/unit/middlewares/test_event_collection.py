"""Collecting events inside a transaction, or in its place."""

from __future__ import annotations

from typing import Any

import pytest

from diator import Mediator, collect
from diator.exceptions import EventHandlingError, EventsError, NoSendError
from diator.middlewares.base import Handle
from diator.middlewares.event_collection import EventCollectionMiddleware
from tests.unit.fakes import Announced, Do, FailedError, FakeBroker, Happened, Retrying


class Collecting:
    """A mediator that collects events, and a log of what happened."""

    def __init__(self, *middlewares: Any, within: bool) -> None:
        self.log: list[str] = []
        self.broker = FakeBroker()
        self.mediator = mediator = Mediator(message_broker=self.broker)
        for middleware in middlewares:
            mediator.use(middleware)
        mediator.use(
            EventCollectionMiddleware(mediator.event_emitter if within else None)
        )

        @mediator.handles(Do)
        async def handle(request: Do) -> str:
            collect(Announced(name=request.name))
            collect(Happened(request.name))
            self.log.append("handled")
            return "answer"


async def look(request: Any, handle: Handle) -> Any:
    return await handle(request)


class TestEventCollectionMiddleware:
    @pytest.mark.parametrize("within", [False, True])
    async def test_answer(self, within: bool):
        """The answer passes."""
        assert await Collecting(within=within).mediator.send(Do()) == "answer"

    async def test_held(self):
        """Without an emitter, events are held until the outermost send is done."""
        collecting = Collecting(within=False)

        @collecting.mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            collecting.log.append(event.name)

        await collecting.mediator.send(Do("it"))

        assert collecting.log == ["handled", "it"]
        assert collecting.broker.names == ["it"]

    async def test_each_attempt(self):
        """With an emitter, each attempt has its events handled; the last one counts."""

        async def fail_once(request: Any, handle: Handle) -> Any:
            answer = await handle(request)
            if collecting.log.count("it") == 1:
                raise FailedError
            return answer

        collecting = Collecting(Retrying(), fail_once, within=True)

        @collecting.mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            collecting.log.append(event.name)

        await collecting.mediator.send(Do("it"))

        assert collecting.log == ["handled", "it", "handled", "it"]
        assert collecting.broker.names == ["it"]

    async def test_failure(self):
        """A failure within is raised with the answer, and nothing leaves."""
        collecting = Collecting(look, within=True)

        @collecting.mediator.handles(Happened)
        async def fail(event: Happened) -> None:
            raise FailedError

        with pytest.raises(EventsError) as caught:
            await collecting.mediator.send(Do())

        assert caught.value.response == "answer"
        [failure] = caught.value.exceptions
        assert isinstance(failure, EventHandlingError)
        assert failure.handler is fail
        assert collecting.broker.names == []

    async def test_all_are_tried(self):
        """Within, too, a failing handler does not keep others from the event."""
        collecting = Collecting(within=True)

        @collecting.mediator.handles(Happened)
        async def fail(event: Happened) -> None:
            raise FailedError

        @collecting.mediator.handles(Happened)
        async def hear(event: Happened) -> None:
            collecting.log.append(event.name)

        with pytest.raises(EventsError):
            await collecting.mediator.send(Do("it"))

        assert collecting.log == ["handled", "it"]

    async def test_not_below_a_send(self):
        """On its own, outside a mediator, it has nowhere to collect to."""
        with pytest.raises(NoSendError):
            await EventCollectionMiddleware()(Do(), look)  # type: ignore[arg-type]  # never called

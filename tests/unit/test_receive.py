"""Events that come from another process."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from diator import DomainEvent, EventEmitter, Mediator, NotificationEvent, collect
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.exceptions import EventsError


@dataclass(frozen=True, kw_only=True)
class UserJoined(NotificationEvent):
    user_id: int


@dataclass(frozen=True, kw_only=True)
class UserWelcomed(NotificationEvent):
    user_id: int


class TestReceive:
    @pytest.mark.parametrize("chained", [False, True])
    async def test_not_published_again(self, chained: bool):
        """It reaches its handlers, and only what they raise is published."""
        broker = InMemoryMessageBroker()
        mediator = Mediator(message_broker=broker)
        handled = []

        async def pass_on(event, handle):
            return await handle(event)

        if chained:
            mediator.event_emitter.use(pass_on)

        @mediator.handles(UserJoined)
        async def welcome(event: UserJoined) -> None:
            handled.append(event)
            collect(UserWelcomed(user_id=event.user_id))

        event = UserJoined(user_id=7)
        await mediator.receive(event)

        assert handled == [event]
        assert [message.message_name for message in broker.messages] == ["UserWelcomed"]

    async def test_failure(self):
        """Its failure is raised, also by an emitter that logs its own."""
        mediator = Mediator(event_emitter=EventEmitter(failures="log"))

        @mediator.handles(UserJoined)
        async def fail(event: UserJoined) -> None:
            raise ConnectionError

        with pytest.raises(EventsError) as caught:
            await mediator.receive(UserJoined(user_id=7))

        [failure] = caught.value.exceptions
        assert isinstance(failure.__cause__, ConnectionError)

    async def test_domain_event(self):
        """Any event can be received."""
        mediator = Mediator()
        handled = []

        class Happened(DomainEvent):
            pass

        @mediator.handles(Happened)
        async def remember(event: Happened) -> None:
            handled.append(event)

        await mediator.receive(Happened())

        assert len(handled) == 1

    async def test_bad_key(self):
        """An event whose key cannot be told keeps the others from nothing."""
        broker = InMemoryMessageBroker()
        emitter = EventEmitter(message_broker=broker)
        emitter.registry.add(UserJoined, key=lambda event: 1 / event.user_id)
        events = [UserJoined(user_id=0), UserWelcomed(user_id=0)]

        with pytest.raises(EventsError) as caught:
            await emitter.emit(*events)

        [failure] = caught.value.exceptions
        assert failure.event is events[0]
        assert isinstance(failure.__cause__, ZeroDivisionError)
        assert [message.message_name for message in broker.messages] == ["UserWelcomed"]

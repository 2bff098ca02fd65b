"""The broker within the process."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.protocol import EVENTS, Message, MessageBroker
from diator.exceptions import ConfigurationError, EncodingError


@dataclass
class Counted:
    number: Any


def make_message(number):
    return Message(
        message_type="ecst_event",
        message_name="Counted",
        message_id=uuid4(),
        payload=Counted(number),
    )


def numbers(deliveries):
    return [msgspec.json.decode(each.body)["payload"]["number"] for each in deliveries]


class TestInMemoryMessageBroker:
    async def test_remembers(self):
        """Messages and their bodies are there to look at, oldest first."""
        broker: MessageBroker = InMemoryMessageBroker()
        messages = [make_message(1), make_message(2), make_message(3)]

        assert await broker.publish(messages[:2]) == [None, None]
        assert await broker.publish(messages[2:]) == [None]

        assert broker.messages == messages
        assert broker.bodies == [encode(message) for message in messages]

    async def test_nothing(self):
        """No messages, no answers."""
        assert await InMemoryMessageBroker().publish([]) == []

    async def test_unencodable(self):
        """What could not leave the process fails here too, and alone."""
        broker = InMemoryMessageBroker()
        messages = [make_message(1), make_message(1j), make_message(2)]

        first, second, third = await broker.publish(messages)

        assert (first, third) == (None, None)
        assert isinstance(second, EncodingError)
        assert broker.messages == [messages[0], messages[2]]

    async def test_held_back(self):
        """What cannot be encoded is not overtaken by what has the same key."""
        broker = InMemoryMessageBroker()
        messages = [
            msgspec.structs.replace(make_message(number), key=key)
            for number, key in ((1j, "a"), (2, "a"), (3j, None), (4, None), (5, "b"))
        ]

        results = await broker.publish(messages)

        assert [type(result) for result in results] == [
            *(EncodingError, ConnectionError, EncodingError, type(None), type(None))
        ]
        assert "held back" in str(results[1])
        assert broker.messages == messages[3:]

    async def test_is_bounded(self):
        """Only the last messages are kept."""
        broker = InMemoryMessageBroker(keep=2)

        await broker.publish([make_message(number) for number in range(5)])

        assert [message.payload.number for message in broker.messages] == [3, 4]
        assert len(broker.bodies) == 2

    async def test_keeps_a_thousand(self):
        """A thousand messages are kept where nothing else is said."""
        broker = InMemoryMessageBroker()

        await broker.publish([make_message(number) for number in range(1_001)])

        assert len(broker.messages) == 1_000

    async def test_clear(self):
        """What was published can be forgotten."""
        broker = InMemoryMessageBroker()
        await broker.publish([make_message(1)])

        broker.clear()

        assert (broker.messages, broker.bodies) == ([], [])

    async def test_looking_changes_nothing(self):
        """What is given to look at is a copy."""
        broker = InMemoryMessageBroker()
        await broker.publish([make_message(1)])

        broker.messages.clear()

        assert len(broker.messages) == 1

    def test_keep_is_checked(self):
        """A negative number of messages cannot be kept."""
        with pytest.raises(ConfigurationError, match="at least 0, not -1"):
            InMemoryMessageBroker(keep=-1)


class TestGarbage:
    @pytest.fixture(autouse=True)
    def without_collector(self):
        gc.disable()
        yield
        gc.enable()

    async def test_unencodable(self):
        """What cannot be encoded leaves nothing to the garbage collector."""
        broker = InMemoryMessageBroker()

        async def fail():
            assert any(await broker.publish([make_message(1j)]))

        await fail()
        gc.collect()

        await fail()

        assert gc.collect() == 0


class TestGroups:
    async def test_begins_with_what_is_remembered(self):
        """A new group gets what is remembered of its topics."""
        broker = InMemoryMessageBroker(keep=2)
        await broker.publish([make_message(number) for number in range(3)])
        await broker.publish([msgspec.structs.replace(make_message(3), topic="other")])

        async with broker.subscribe([EVENTS], group="g") as member:
            [delivery] = await member.receive(10)

        assert numbers([delivery]) == [2]

    async def test_one_member_has_a_key(self):
        """Messages with the same key go to one member at a time, in their order."""
        broker = InMemoryMessageBroker()
        messages = [
            msgspec.structs.replace(make_message(number), key="ab"[number % 2])
            for number in range(6)
        ]
        await broker.publish(messages)
        async with (
            broker.subscribe([EVENTS], group="g") as one,
            broker.subscribe([EVENTS], group="g") as other,
        ):
            first = await one.receive(1)
            second = await other.receive(10)
            assert (numbers(first), numbers(second)) == ([0], [1, 3, 5])
            await one.nack(first)
            again = await other.receive(1)
            assert numbers(again) == [0]
            waiting = asyncio.create_task(one.receive(10))
            await asyncio.sleep(0)
            assert not waiting.done()

            await other.ack(again)

            assert numbers(await waiting) == [2, 4]

    async def test_settled_too_late(self):
        """What was given back when a member left is not its to settle any more."""
        broker = InMemoryMessageBroker()
        await broker.publish([make_message(1)])
        async with broker.subscribe([EVENTS], group="g") as left:
            deliveries = await left.receive(1)
        async with broker.subscribe([EVENTS], group="g") as member:
            [again] = await member.receive(1)

            await left.ack(deliveries)
            await left.nack(deliveries)
            await left.dead_letter(deliveries[0], "too late")

            assert await broker.dead_letters(EVENTS, "g").list() == []
            await member.nack([again])
            [again] = await member.receive(1)
            assert again.attempt == 1  # none of them came to nothing

    async def test_asked_for_dead_letters_first(self):
        """To look at its dead letters takes no messages from a group to be."""
        broker = InMemoryMessageBroker()
        await broker.publish([make_message(1)])

        assert await broker.dead_letters(EVENTS, "g").list() == []

        async with broker.subscribe([EVENTS], group="g") as member:
            async with asyncio.timeout(5):
                assert numbers(await member.receive(1)) == [1]

    async def test_forgotten_for_looking_alone(self):
        """What is cleared is still delivered."""
        broker = InMemoryMessageBroker()
        async with broker.subscribe([EVENTS], group="g") as member:
            await broker.publish([make_message(1)])
            broker.clear()

            assert numbers(await member.receive(1)) == [1]

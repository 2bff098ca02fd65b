"""The broker within the process."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.events.message_brokers.protocol import Message, MessageBroker
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

"""What no broker would take can be looked at, published after all, or dropped."""

from __future__ import annotations

import json
from datetime import UTC
from uuid import uuid4

import pytest

from diator.messages.headers import sending_headers
from diator.outbox.dead_letters import DeadLetters
from diator.outbox.relay import Relay
from tests.unit.outbox.parts import (
    Moved,
    RecordingBroker,
    commit,
    make_outbox,
    waiting,
)


@pytest.fixture
def outbox(engine):
    return make_outbox(engine)


async def give_up(outbox, *events):
    broker = RecordingBroker()
    broker.refused = {event.name: ValueError("too odd") for event in events}
    with sending_headers({"correlation_id": "7"}):
        await commit(outbox, *events)
    relay = Relay(outbox, broker, max_attempts=1)
    while await relay._work.relay(relay._publish):
        pass
    await relay._work.release()


class TestList:
    async def test_letter(self, outbox):
        """A dead letter tells all about the message, and why it was given up."""
        event = Moved(name="it", key="a")
        await give_up(outbox, event)

        [letter] = await DeadLetters(outbox).list()

        assert letter.message_id == event.event_id
        assert (letter.message_type, letter.message_name) == (
            "notification_event",
            "moved.v1",
        )
        assert (letter.topic, letter.key) == ("moves", "a")
        assert json.loads(letter.payload)["name"] == "it"
        assert (letter.attempts, letter.last_error) == (1, "ValueError: too odd")
        assert letter.created_at.tzinfo is UTC
        assert letter.created_at <= letter.died_at

    async def test_limit(self, outbox):
        """The last ones are given first, up to a limit."""
        await give_up(outbox, Moved(name="first"))
        await give_up(outbox, Moved(name="second"))

        [letter] = await DeadLetters(outbox).list(limit=1)

        assert json.loads(letter.payload)["name"] == "second"
        assert (await outbox.status()).dead == 2


class TestReplay:
    async def test_published(self, outbox):
        """What is replayed is published as if it had never failed."""
        event, other = Moved(name="it", key="a"), Moved(name="other")
        await give_up(outbox, event, other)
        letters = DeadLetters(outbox)

        assert await letters.replay([event.event_id, uuid4()]) == 1

        [row] = await waiting(outbox)
        assert (row.message_id, row.attempts, row.available_at) == (
            event.event_id,
            0,
            None,
        )
        assert json.loads(row.headers) == {"correlation_id": "7"}
        assert [letter.message_id for letter in await letters.list()] == [
            other.event_id
        ]

    async def test_wakes(self, outbox):
        """Relays of this process are woken."""
        event = Moved(name="it")
        await give_up(outbox, event)
        broker = RecordingBroker()

        async with Relay(outbox, broker, poll_seconds=3600):
            await DeadLetters(outbox).replay([event.event_id])
            await broker.asked.wait()

        assert broker.names == ["it"]

    async def test_none(self, outbox):
        """What is not there cannot be replayed."""
        assert await DeadLetters(outbox).replay([uuid4()]) == 0


class TestDrop:
    async def test_gone(self, outbox):
        """What is dropped is gone for good."""
        event = Moved(name="it")
        await give_up(outbox, event)
        letters = DeadLetters(outbox)

        assert await letters.drop([event.event_id]) == 1
        assert await letters.drop([event.event_id]) == 0

        assert await letters.list() == []
        assert await waiting(outbox) == []

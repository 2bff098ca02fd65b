"""What no broker would take can be looked at, published after all, or dropped."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC
from uuid import uuid4

import pytest

from diator.exceptions import DeadLetterNotFoundError
from diator.messages.headers import sending_headers
from diator.outbox.dead_letters import OutboxDeadLetters
from diator.outbox.relay import Relay
from tests.unit.outbox.parts import (
    Moved,
    RecordingBroker,
    commit,
    make_outbox,
    names_waiting,
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
    await relay_all(outbox, broker)


async def relay_all(outbox, broker):
    relay = Relay(outbox, broker, max_attempts=1)
    while await relay._work.relay(relay._publish):
        pass
    await relay._work.release()


class TestList:
    async def test_letter(self, outbox):
        """A dead letter tells all about the message, and why it was given up."""
        event = Moved(name="it", key="a")
        await give_up(outbox, event)

        [letter] = await OutboxDeadLetters(outbox).list()

        assert letter.letter_id == letter.message_id == str(event.event_id)
        assert (letter.message_name, letter.topic) == ("moved.v1", "moves")
        assert (letter.key, letter.headers) == ("a", {"correlation_id": "7"})
        assert json.loads(letter.body)["name"] == "it"
        assert (letter.attempts, letter.cause) == (1, "ValueError: too odd")
        assert letter.died_at.tzinfo is UTC
        assert await OutboxDeadLetters(outbox).get(letter.letter_id) == letter

    async def test_no_headers(self, outbox):
        """A dead letter may have no headers."""
        await commit(outbox, Moved(name="it"))
        await give_up(outbox, Moved(name="it"))

        found = await OutboxDeadLetters(outbox).list()

        headers = [letter.headers for letter in found]
        assert sorted(headers, key=len) == [{}, {"correlation_id": "7"}]

    @pytest.mark.parametrize("letter_id", [str(uuid4()), "no id at all"])
    async def test_missing(self, outbox, letter_id):
        """A dead letter that is not there is told so."""
        with pytest.raises(DeadLetterNotFoundError, match=letter_id):
            await OutboxDeadLetters(outbox).get(letter_id)

    async def test_again(self, outbox):
        """What was written once more, and died once more, is there as of then."""
        event = Moved(name="it")
        await give_up(outbox, event)
        [before] = await OutboxDeadLetters(outbox).list()

        await give_up(outbox, event)

        [letter] = await OutboxDeadLetters(outbox).list()
        assert letter.letter_id == before.letter_id
        assert letter.died_at > before.died_at
        assert await waiting(outbox) == []

    @pytest.mark.parametrize("is_dropped", [False, True])
    async def test_after(self, outbox, is_dropped):
        """The list goes on after one, even if that is gone, or others died with it."""
        await give_up(outbox, *(Moved(name=name) for name in "abcd"))
        letters = OutboxDeadLetters(outbox)
        found = await letters.list()
        if is_dropped:
            await letters.drop([found[1].letter_id])

        assert await letters.list(after=found[1]) == found[2:]
        assert await letters.list(1, after=found[0]) == found[1 + is_dropped :][:1]
        assert await letters.list(after=found[-1]) == []

    async def test_limit(self, outbox):
        """The oldest ones are given, up to a limit."""
        await give_up(outbox, Moved(name="first"))
        await give_up(outbox, Moved(name="second"))

        [letter] = await OutboxDeadLetters(outbox).list(limit=1)

        assert json.loads(letter.body)["name"] == "first"
        assert (await outbox.status()).dead == 2


class TestReplay:
    async def test_published(self, outbox):
        """What is replayed is published as if it had never failed."""
        event, other = Moved(name="it", key="a"), Moved(name="other")
        await give_up(outbox, event, other)
        letters = OutboxDeadLetters(outbox)

        assert await letters.replay([str(event.event_id), str(uuid4())]) == 1

        [row] = await waiting(outbox)
        assert (row.message_id, row.attempts, row.available_at) == (
            event.event_id,
            0,
            None,
        )
        assert json.loads(row.headers) == {"correlation_id": "7"}
        assert [letter.message_id for letter in await letters.list()] == [
            str(other.event_id)
        ]

    async def test_wakes(self, outbox):
        """Relays of this process are woken."""
        event = Moved(name="it")
        await give_up(outbox, event)
        broker = RecordingBroker()

        async with asyncio.timeout(20), Relay(outbox, broker, poll_seconds=3600):
            await OutboxDeadLetters(outbox).replay([str(event.event_id)])
            await broker.asked.wait()

        assert broker.names == ["it"]

    async def test_order(self, outbox):
        """Those that died first are published first, whatever order is asked for."""
        events = [Moved(name=name, key="a") for name in "abcdef"]
        for event in events:
            await give_up(outbox, event)
        asked = [str(event.event_id) for event in reversed(events)]

        assert await OutboxDeadLetters(outbox).replay(asked) == len(events)

        assert await names_waiting(outbox) == list("abcdef")

    async def test_pending(self, outbox):
        """What waits already, because it was written anew, is published once."""
        event = Moved(name="it")
        await give_up(outbox, event)
        await commit(outbox, event)

        assert await OutboxDeadLetters(outbox).replay([str(event.event_id)]) == 1

        assert await names_waiting(outbox) == ["it"]
        assert await OutboxDeadLetters(outbox).list() == []

    async def test_at_the_same_time(self, outbox):
        """Of those who replay or drop it at the same time, one has it."""
        letters = OutboxDeadLetters(outbox)
        for _ in range(10):
            event = Moved(name="it")
            await give_up(outbox, event)
            ids = [str(event.event_id)]

            replayed, dropped = await asyncio.gather(
                letters.replay(ids), letters.drop(ids)
            )

            assert replayed + dropped == 1
            assert await names_waiting(outbox) == ["it"] * replayed
            await relay_all(outbox, RecordingBroker())

    async def test_none(self, outbox):
        """What is not there cannot be replayed."""
        assert await OutboxDeadLetters(outbox).replay([str(uuid4())]) == 0


class TestDrop:
    async def test_gone(self, outbox):
        """What is dropped is gone for good."""
        event = Moved(name="it")
        await give_up(outbox, event)
        letters = OutboxDeadLetters(outbox)

        assert await letters.drop([str(event.event_id)]) == 1
        assert await letters.drop([str(event.event_id)]) == 0

        assert await letters.list() == []
        assert await waiting(outbox) == []

"""The example of the meetings, tested as its users would."""

from __future__ import annotations

import pytest

from diator.events.message_brokers.memory import InMemoryMessageBroker
from diator.testing.harness import Harness
from examples.meetings import (
    JoinMeeting,
    MeetingIsFullError,
    SeatTaken,
    UserJoined,
    build_mediator,
)


class TestMeetings:
    async def test_joining_until_it_is_full(self):
        """Who gets a seat is announced, and nobody else."""
        harness = Harness(build_mediator(InMemoryMessageBroker()))
        await harness.send(JoinMeeting(meeting_id=1, user_id=7))

        with pytest.raises(MeetingIsFullError):
            await harness.send(JoinMeeting(meeting_id=1, user_id=9))

        harness.published.one(UserJoined, user_id=7)
        assert harness.raised.one(SeatTaken).seats_left == 0

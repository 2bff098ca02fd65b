"""Which message of another process is being handled."""

from __future__ import annotations

from diator.messages.received import Received, handling, received_message


class TestReceived:
    def test_handling(self):
        """What is being handled is known inside, and not outside."""
        received = Received(message="it", message_id="1", group="mail")

        assert received_message() is None
        with handling(received):
            assert received_message() is received
        assert received_message() is None

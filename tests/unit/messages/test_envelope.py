"""What a message says of itself."""

from __future__ import annotations

import msgspec

from diator.messages.envelope import read_envelope


class TestReadEnvelope:
    def test_default_body(self):
        """The payload of a body stays as it is, for the type to decode it."""
        envelope = read_envelope(
            b'{"payload": {"a" : 1}, "message_type": "command", '
            b'"message_name": "n", "message_id": "1"}'
        )

        assert envelope.payload == msgspec.Raw(b'{"a" : 1}')
        assert (envelope.message_type, envelope.message_name) == ("command", "n")
        assert (envelope.message_id, envelope.headers) == ("1", {})

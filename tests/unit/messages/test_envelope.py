"""What a message says of itself."""

from __future__ import annotations

import msgspec
import pytest

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

    @pytest.mark.parametrize("control", [r"\u0000", r"\n", r"\u007f", r"\u0085"])
    def test_control_characters(self, control: str):
        """An id that not every inbox could keep is refused."""
        body = (
            '{"payload": {}, "message_type": "command", "message_name": "n", '
            f'"message_id": "1{control}"}}'
        )

        with pytest.raises(msgspec.ValidationError, match="message_id"):
            read_envelope(body.encode())

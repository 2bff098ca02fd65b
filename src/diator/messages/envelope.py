"""What a received message says of itself, before its payload is decoded."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

MAX_ID_LENGTH = 200
"""How many characters an id may have: as many as an inbox has room for."""

Name = Annotated[str, msgspec.Meta(min_length=1)]
Id = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_ID_LENGTH,
        # No control characters: PostgreSQL has no place for NUL, nor logs for others.
        pattern=r"\A[^\x00-\x1f\x7f-\x9f]*\Z",
    ),
]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the body of a message, or what stands beside it, says of the payload.

    Attributes:
        message_id: Its id.
        message_name: The name of its type, in whatever version.
        payload: The JSON of the event or command.
        message_type: Its kind, where the format tells it.
        headers: Headers that the format has a place for in the body.

    """

    message_id: Id
    message_name: Name
    payload: msgspec.Raw
    message_type: str | None = None
    headers: dict[str, str] = {}


class _Body(msgspec.Struct, frozen=True):
    """The default body, which has these fields and no others that count."""

    message_type: Name
    message_name: Name
    message_id: Id
    payload: msgspec.Raw


_decode: Any = msgspec.json.Decoder(_Body).decode


def read_envelope(body: bytes) -> Envelope:
    """
    Read a body of the default format.

    Raises:
        msgspec.ValidationError: It lacks something, or something has another type.

    """
    decoded: _Body = _decode(body)
    return Envelope(
        message_id=decoded.message_id,
        message_name=decoded.message_name,
        payload=decoded.payload,
        message_type=decoded.message_type,
    )

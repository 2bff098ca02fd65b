"""Make of a received message what was sent, and of nothing else anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from diator.events.message_brokers.encoding import MAX_BODY_BYTES
from diator.events.message_brokers.subscription import Delivery
from diator.exceptions import ConfigurationError, DecodingError, UnknownMessageError
from diator.handler import qualified_name
from diator.messages.cloud_events import read_cloud_event
from diator.messages.envelope import Envelope, read_envelope
from diator.messages.registry import Entry, MessageRegistry

MAX_SHOWN = 200  # The names of types are no longer; others may be anything.

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
Decode = Callable[[msgspec.Raw], Any]


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """
    A message that was decoded.

    Attributes:
        message: The event or command.
        message_id: Its id.
        headers: What came beside it, or in a place of its format.

    """

    message: Any
    message_id: str
    headers: dict[str, str]


class MessageDecoder:
    """
    Decodes messages of the types in a registry, in all formats that there are.

    What it is given may be anything. What is too large, is not JSON, has a key twice,
    is nested too deeply, or is not exactly what the type says, is refused before an
    object is made of it.

    Args:
        registry: The types, and what reads older versions of them.

    Raises:
        ConfigurationError: A type in the registry has fields that cannot be received,
            or older versions lead to none.

    """

    def __init__(self, registry: MessageRegistry) -> None:
        registry.check()
        self._registry = registry
        self._plans: dict[str, tuple[Entry, Decode]] = {}
        for _, entry in registry:
            self._plan(entry.name)

    def decode(self, delivery: Delivery) -> Incoming:
        """
        Decode a message.

        Args:
            delivery: The message as it was received.

        Raises:
            UnknownMessageError: No type in the registry has its name.
            DecodingError: It is not what that type looks like.

        """
        try:
            _check(delivery.body)
            envelope = read_cloud_event(delivery.body, delivery.headers)
            if envelope is None:
                envelope = read_envelope(delivery.body)
        except DecodingError:
            raise
        except Exception as error:  # noqa: BLE001  # a message may cause any
            # Without it as the cause, for it may hold the body.
            raise DecodingError(_sentence("the message", error)) from None
        return Incoming(
            message=self._decode_payload(envelope),
            message_id=envelope.message_id,
            headers={**envelope.headers, **delivery.headers},
        )

    def _decode_payload(self, envelope: Envelope) -> Any:
        entry, decode = self._plans.get(envelope.message_name) or self._plan(
            envelope.message_name
        )
        if envelope.message_type not in (None, entry.message_type):
            msg = (
                f"{entry.name} is a {entry.message_type}, but the message says that it "
                "is of another kind: give what its sender and this program call by the "
                "same name two names, with registry.add(..., name=...)"
            )
            raise DecodingError(msg)
        try:
            return decode(envelope.payload)
        except Exception as error:
            sentence = _sentence(envelope.message_name, error)
            msg = (
                f"{sentence}; where its sender is right, give the type a new version "
                "and the registry an upcaster from this one"
            )
            raise DecodingError(msg) from error

    def _plan(self, name: str) -> tuple[Entry, Decode]:
        newest, upcasters = self._registry.upcasters(name)
        message_type = self._registry.type_of(newest)
        if message_type is None:
            msg = (
                f"no type in the registry is called {name[:MAX_SHOWN]!r}: add it with "
                "registry.add, or have the consumer pass over such messages, by "
                "unknown='skip'"
            )
            raise UnknownMessageError(msg)
        plan = self._registry.entry(message_type), _decoder(message_type, upcasters)
        self._plans[name] = plan
        return plan


def _decoder(message_type: Any, upcasters: Sequence[Upcaster]) -> Decode:
    try:
        decoder: Any = msgspec.json.Decoder(message_type, dec_hook=_decode_other)
    except Exception as error:
        msg = f"{message_type.__qualname__} cannot be received: {error}"
        raise ConfigurationError(msg) from error
    decode: Decode = decoder.decode
    if not upcasters:
        return decode

    def upcast(payload: msgspec.Raw) -> Any:
        upcasted: Any = msgspec.json.decode(payload, type=dict[str, Any])
        for upcaster in upcasters:
            upcasted = upcaster(upcasted)
        return msgspec.convert(upcasted, message_type, dec_hook=_decode_other)

    return upcast


def _decode_other(expected: Any, value: Any) -> Any:
    """Decode what msgspec does not know: pydantic's models, without importing it."""
    validate: Any = getattr(expected, "model_validate_json", None)
    if validate is None:
        msg = f"{qualified_name(expected)} has no form in JSON"
        raise TypeError(msg)
    try:
        return validate(msgspec.json.encode(value), strict=True)
    except ValueError as error:
        raise ValueError(_pydantic_sentence(error)) from None


def _pydantic_sentence(error: Any) -> str:
    """Say what pydantic found, without the values, which its own text would show."""
    if not hasattr(error, "errors"):
        return str(error)
    found: list[Any] = error.errors(
        include_url=False, include_context=False, include_input=False
    )
    return "; ".join(
        f"{finding['msg']} - at `{'.'.join(map(str, finding['loc']))}`"
        for finding in found
    )


def _check(body: bytes) -> None:
    """Refuse what no producer sends, before anything is made of it."""
    if len(body) > MAX_BODY_BYTES:
        msg = f"it has {len(body):,} bytes, more than the {MAX_BODY_BYTES:,} allowed"
        raise ValueError(msg)
    _read_strictly(body.decode())


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two values for a key, each reader may take another one.
    read = dict(pairs)
    if len(read) != len(pairs):
        msg = "an object has a key twice"
        raise ValueError(msg)
    return read


_read_strictly = json.JSONDecoder(object_pairs_hook=_without_duplicates).decode


def _sentence(name: str, error: Exception) -> str:
    if isinstance(error, RecursionError):
        reason = "it is nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        # Its own text would show a part of the message.
        reason = "it is not UTF-8"
    elif isinstance(error, (msgspec.MsgspecError, ValueError)):
        reason = str(error)
    else:
        reason = f"{type(error).__name__}: {error}"
    return f"{name[:MAX_SHOWN]} cannot be decoded: {reason}"

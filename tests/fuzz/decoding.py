"""
Look for messages that decoding does not survive.

Any exception but our own two ends it, and libFuzzer leaves the message behind. atheris
is no part of the tests' environment, because it has no wheels for every Python.

    pip install atheris
    python tests/fuzz/decoding.py -max_total_time=600 -rss_limit_mb=2048
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

# Its coverage leads the fuzzer to what has not been tried yet.
with atheris.instrument_imports(include=["diator", "json"]):
    from diator.events.message_brokers.subscription import Delivery
    from diator.exceptions import DecodingError, UnknownMessageError
    from diator.messages.decoding import MessageDecoder
    from tests.unit.messages.fake_messages import make_registry

BINARY = {
    "ce_specversion": "1.0",
    "ce_id": "1",
    "ce_source": "/meetings",
    "ce_type": "user.joined.v1",
}
HEADERS = [{}, {"content-type": "application/cloudevents+json"}, BINARY]

VALUES = [
    *(None, True, 0, -1, 10**400, 1.5, "", "7", "\ud800", "\0", {}, []),
    *("user.joined.v0", "user.joined.v1", "OpenRoom", "PydanticCommand", "low"),
    *("notification_event", "ecst_event", "command", "1.0", "application/json"),
    *("2026-03-07T09:26:02.588855Z", "9f62e977-73f7-462b-92cb-8ea658d3bcb5"),
]
NAMES = [
    *("message_type", "message_name", "message_id", "payload", "specversion", "id"),
    *("source", "type", "data", "time", "subject", "datacontenttype", "traceparent"),
    *("event_id", "event_timestamp", "meeting_id", "user_id", "meeting", "user"),
    *("level", "items", "name", "price", "best_before", "seats", "number", "since"),
]
MESSAGES = [
    json.loads(file.read_bytes())
    for file in sorted((ROOT / "tests" / "golden").iterdir())
]
OLDER = {
    "message_type": "notification_event",
    "message_name": "user.joined.v0",
    "message_id": "1",
    "payload": {"meeting": 1, "user": "7"},
}
MESSAGES.append(OLDER)

registry = make_registry()


@registry.upcasts("user.joined.v0", to="user.joined.v1")
def use_ids(payload: dict[str, Any]) -> dict[str, Any]:
    return {"meeting_id": payload["meeting"], "user_id": int(payload["user"])}


decoder = MessageDecoder(registry)


def decode(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    headers = dict(provider.PickValueInList(HEADERS))
    if provider.ConsumeBool():
        body = provider.ConsumeBytes(len(data))
    else:
        body = json.dumps(message(provider)).encode(errors="surrogatepass")
    try:
        decoder.decode(Delivery(topic="it", body=body, headers=headers))
    except (DecodingError, UnknownMessageError) as error:
        # What a dead letter says has to be text.
        str(error).encode(errors="backslashreplace")


def message(provider: Any) -> Any:
    """Make something that is almost a message, which random bytes seldom are."""
    made = dict(provider.PickValueInList(MESSAGES))
    for _ in range(provider.ConsumeIntInRange(0, 4)):
        name, new = provider.PickValueInList(NAMES), value(provider, 3)
        payload = made.get("payload")
        if provider.ConsumeBool() and isinstance(payload, dict):
            made["payload"] = {**payload, name: new}
        else:
            made[name] = new
    return made


def value(provider: Any, depth: int) -> Any:
    kind = provider.ConsumeIntInRange(0, 9)
    if kind < 2 and depth:
        return [value(provider, depth - 1) for _ in range(kind + 1)]
    if kind < 4 and depth:
        return {
            provider.PickValueInList(NAMES): value(provider, depth - 1)
            for _ in range(kind)
        }
    if kind == 4:
        return provider.ConsumeInt(16)
    if kind == 5:
        return provider.ConsumeFloat()
    if kind == 6:
        return provider.ConsumeUnicode(20)
    return provider.PickValueInList(VALUES)


def main() -> None:
    corpus = Path(mkdtemp(prefix="diator-fuzz-"))
    for file in (ROOT / "tests" / "golden").iterdir():
        (corpus / file.name).write_bytes(file.read_bytes())
    atheris.Setup([*sys.argv, str(corpus)], decode)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

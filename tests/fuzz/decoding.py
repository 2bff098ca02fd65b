"""
Look for messages that decoding does not survive.

Any exception but our own two ends it, and libFuzzer leaves the message behind. atheris
is no part of the tests' environment, because it has no wheels for every Python.

    pip install atheris
    python tests/fuzz/decoding.py -max_total_time=600 -rss_limit_mb=2048
"""

from __future__ import annotations

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

registry = make_registry()


@registry.upcasts("user.joined.v0", to="user.joined.v1")
def use_ids(payload: dict[str, Any]) -> dict[str, Any]:
    return {"meeting_id": payload["meeting"], "user_id": int(payload["user"])}


decoder = MessageDecoder(registry)


def decode(data: bytes) -> None:
    for headers in HEADERS:
        try:
            decoder.decode(Delivery(topic="it", body=data, headers=headers))
        except (DecodingError, UnknownMessageError) as error:
            # What a dead letter says has to be text.
            str(error).encode(errors="backslashreplace")


def main() -> None:
    corpus = Path(mkdtemp(prefix="diator-fuzz-"))
    for file in (ROOT / "tests" / "golden").iterdir():
        (corpus / file.name).write_bytes(file.read_bytes())
    (corpus / "older").write_bytes(
        b'{"message_type":"notification_event","message_name":"user.joined.v0",'
        b'"message_id":"1","payload":{"meeting":1,"user":"7"}}'
    )
    atheris.Setup([*sys.argv, str(corpus)], decode)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""What messages look like in Redis Streams: names of streams, fields of entries."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from diator.events.message_brokers.encoding import encode
from diator.events.message_brokers.protocol import Message
from diator.events.message_brokers.redis_streams_appending import Appending
from diator.events.message_brokers.subscription import Delivery
from diator.exceptions import ConfigurationError, EncodingError

# What is safe in names of streams, and cannot be taken for one of their other parts.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

HEADER = b"h:"
"""What the names of those fields begin with that are headers."""


class Entry(NamedTuple):
    """
    An entry of a stream: what a delivery is known by.

    Attributes:
        stream: The stream.
        entry_id: The id that Redis gave it.
        fields: Names and values, as they were found.
        ownership: In which ownership of the stream it was read, where there are any.

    """

    stream: bytes
    entry_id: bytes
    fields: Sequence[bytes]
    ownership: int = 0


class StreamNames:
    """
    The names of the streams of topics.

    Args:
        prefix: What all of them begin with.
        partitions: How many streams a topic has, for those that are partitioned.

    Raises:
        ConfigurationError: A name has characters that are not safe in it, or a topic
            less than one partition.

    """

    def __init__(self, prefix: str, partitions: Mapping[str, int]) -> None:
        self._prefix = check_name("prefix", prefix)
        # Not everybody checks types.
        given: Any = partitions
        if not isinstance(given, Mapping):
            msg = (
                "partitions must tell the number for each topic, as in "
                f"{{'events': 4}}, unlike {given!r}"
            )
            raise ConfigurationError(msg)
        self.partitions = dict(partitions)
        for topic, count in self.partitions.items():
            check_name("topic", topic)
            if count < 1:
                msg = f"{topic!r} must have at least 1 partition, not {count}"
                raise ConfigurationError(msg)
        self._of_topics: dict[str, list[bytes]] = {}

    def all_of(self, topic: str) -> list[bytes]:
        """Give the streams of a topic: one, or one for each partition, in order."""
        streams = self._of_topics.get(topic)
        if streams is None:
            stream = f"{self._prefix}:{check_name('topic', topic)}"
            count = self.partitions.get(topic)
            streams = self._of_topics[topic] = (
                [stream.encode()]
                if count is None
                else [f"{stream}:{number}".encode() for number in range(count)]
            )
        return streams

    def one_of(self, topic: str, key: str | None, message_id: str) -> bytes:
        """Give the stream that a message belongs to."""
        streams = self.all_of(topic)
        if len(streams) == 1:
            return streams[0]
        # Those without a key have no order to keep, so they may go anywhere.
        hashed = message_id if key is None else key
        return streams[partition_of(hashed.encode(), len(streams))]

    def partition_count(self, topic: str) -> bytes:
        """Give the key under which it is noted how many partitions a topic has."""
        return f"{self._prefix}:{check_name('topic', topic)}:partitions".encode()

    def dead(self, topic: str, group: str) -> bytes:
        """Give the stream of what a group could not handle of a topic."""
        check_name("topic", topic)
        check_name("group", group)
        return f"{self._prefix}:{topic}:dead:{group}".encode()


def partition_of(key: bytes, count: int) -> int:
    """
    Tell which partition a key belongs to: its CRC-32, modulo their number.

    That is the same in every process, on every machine and in every release.

    Args:
        key: The key, in UTF-8.
        count: How many partitions there are.

    """
    return zlib.crc32(key) % count


def check_name(kind: str, name: Any) -> str:
    """Refuse a name that is not safe as part of a stream's name."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        msg = (
            f"a {kind} consists of up to 200 letters, digits, dots, underscores and "
            f"hyphens, unlike {name!r}"
        )
        raise ConfigurationError(msg)
    return name


def to_appending(message: Message, names: StreamNames) -> Appending:
    """
    Make of a message what is appended to its stream.

    The fields are `id`, `type` and `name`, as in the body; `key`, if there is one; one
    with the name `h:<name>` for each header; and `body`.

    Raises:
        ConfigurationError: Its topic has characters that are not safe.
        EncodingError: Something of it has no form on the wire.

    """
    message_id = str(message.message_id)
    try:
        stream = names.one_of(message.topic, message.key, message_id)
        fields = [
            *(b"id", message_id.encode()),
            *(b"type", message.message_type.encode()),
            *(b"name", message.message_name.encode()),
        ]
        key = None if message.key is None else message.key.encode()
        if key is not None:
            fields += (b"key", key)
        for name, value in message.headers.items():
            fields += (HEADER + name.encode(), value.encode())
    except UnicodeEncodeError as error:
        msg = (
            f"{message.message_name}: its key or headers are no text, which half of a "
            f"surrogate pair is not, for one; clean them where they are made: {error}"
        )
        raise EncodingError(msg) from error
    fields += (b"body", encode(message))
    # Without partitions there is no order that those who receive it could keep.
    ordered = key if message.topic in names.partitions else None
    return Appending(message.topic, stream, ordered, fields)


def to_delivery(
    topic: str,
    entry: Entry,
    attempt: int,
) -> Delivery:
    """Make a delivery of an entry, whatever fields it has."""
    fields = entry.fields
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    get = values.get
    key = get(b"key")
    return Delivery(
        topic=topic,
        body=get(b"body", b""),
        message_id=to_text(get(b"id", b"")),
        message_type=to_text(get(b"type", b"")),
        message_name=to_text(get(b"name", b"")),
        key=None if key is None else to_text(key),
        headers={
            to_text(name[len(HEADER) :]): to_text(value)
            for name, value in values.items()
            if name.startswith(HEADER)
        },
        attempt=attempt,
        receipt=entry,
    )


def position(entry_id: bytes) -> tuple[int, int]:
    """Tell where in its stream an entry is."""
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


def to_text(value: bytes) -> str:
    """Make text of what anybody may have written."""
    return value.decode(errors="replace")


def pairs(reply: Any) -> Iterator[tuple[Any, Any]]:
    """Give the pairs of a reply that RESP3 makes a map of, and RESP2 a list."""
    # Not narrowed by what `isinstance` knows: Redis's replies have no types.
    found: Any = reply
    return iter(found.items() if isinstance(reply, dict) else found or ())

"""What messages look like in Redis Streams, which others may rely on."""

from __future__ import annotations

import pytest

from diator.events.message_brokers.redis_streams_entries import (
    StreamNames,
    partition_of,
    position,
)


class TestPartitions:
    @pytest.mark.parametrize(
        "key,count,partition",
        [
            ("", 8, 0),
            ("a", 8, 3),
            ("user-7", 8, 1),
            ("9f62e977-73f7-462b-92cb-8ea658d3bcb5", 8, 7),
            ("ключ", 8, 2),
            ("user-7", 3, 0),
            ("user-7", 1, 0),
        ],
    )
    def test_golden(self, key, count, partition):
        """A key belongs to the same partition for ever."""
        assert partition_of(key.encode(), count) == partition

    def test_spread(self):
        """Keys, and messages without one, are spread over all partitions."""
        names = StreamNames("p", {"t": 4})
        streams = {f"p:t:{number}".encode() for number in range(4)}

        assert {names.one_of("t", f"{n}", "") for n in range(100)} == streams
        assert {names.one_of("t", None, f"{n}") for n in range(100)} == streams


class TestPositions:
    def test_numbers(self):
        """Ids are compared as numbers, not as text."""
        ids = [b"9-1", b"10-2", b"10-10", b"100-0"]

        assert sorted(ids, key=position) == ids

"""Whose turn it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diator.consumer.lanes import Lanes


def taken(lanes):
    items = []
    while (item := lanes.take()) is not None:
        items.append(item)
    return items


class TestLanes:
    def test_without_lanes(self):
        """What is in no lane has its turn at once."""
        lanes = Lanes()
        for item in "abc":
            lanes.add(item, None)

        assert taken(lanes) == ["a", "b", "c"]
        lanes.leave(None)
        assert taken(lanes) == []

    def test_one_after_the_other(self):
        """In a lane, each waits for the one before it."""
        lanes = Lanes()
        for item in "abc":
            lanes.add(item, 1)
        lanes.add("x", 2)

        assert taken(lanes) == ["a", "x"]
        lanes.leave(1)
        assert taken(lanes) == ["b"]
        lanes.leave(1)
        assert taken(lanes) == ["c"]
        lanes.leave(1)
        lanes.add("d", 1)
        assert taken(lanes) == ["d"]

    def test_again(self):
        """What has its turn a second time keeps those behind it waiting."""
        lanes = Lanes()
        for item in "ab":
            lanes.add(item, 1)
        lanes.take()
        lanes.add("x", None)
        lanes.again("a")

        assert taken(lanes) == ["x", "a"]
        lanes.leave(1)
        assert taken(lanes) == ["b"]

    @given(
        st.lists(st.tuples(st.integers(), st.sampled_from([None, 1, 2, 3]))),
        st.randoms(),
    )
    def test_any_order_of_leaving(self, items, random):
        """Whoever leaves when, each lane keeps its order and nobody is left out."""
        lanes = Lanes()
        left = list(enumerate(items))
        having = []
        had = []
        while left or having:
            if left and (not having or random.random() < 0.5):
                number, (_, lane) = left.pop(0)
                lanes.add((number, lane), lane)
            else:
                number, lane = having.pop(random.randrange(len(having)))
                had.append((number, lane))
                lanes.leave(lane)
            having += taken(lanes)
            busy = [lane for _, lane in having if lane is not None]
            assert len(busy) == len(set(busy))

        assert len(had) == len(items)
        for lane in (1, 2, 3):
            numbers = [number for number, of in had if of == lane]
            assert numbers == sorted(numbers)

"""Laws of blocks: their bounds follow from the messages, however a log is cut into batches."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.blocks import BlockPlace, BlockStart, begin_blocks, count_events, pass_messages

sizes = st.integers(1, 12)
logs = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), max_size=40).map(
    lambda steps: [(sum(gap for gap, _ in steps[: n + 1]), events) for n, (_, events) in enumerate(steps)]
)
"""Offsets with holes, as compaction and transaction markers leave them, and events of each message."""


@given(logs, sizes, st.data())
def test_bounds_do_not_depend_on_batches(log: list[tuple[int, int]], size: int, data: st.DataObject):
    whole, starts = pass_messages(begin_blocks(0).place, log, size)
    place, begun = begin_blocks(0).place, list[BlockStart]()
    rest = log
    while rest:
        taken = data.draw(st.integers(1, len(rest)))
        place, more = pass_messages(place, rest[:taken], size)
        begun += more
        rest = rest[taken:]
    assert (place, begun) == (whole, list(starts))


@given(logs, sizes)
def test_a_block_ends_with_the_message_that_fills_it(log: list[tuple[int, int]], size: int):
    place, starts = pass_messages(begin_blocks(0).place, log, size)
    assert [start.block for start in starts] == list(range(2, len(starts) + 2))
    bounds = [0, *(start.offset for start in starts), log[-1][0] + 1 if log else 1]
    blocks = [[events for offset, events in log if low <= offset < high] for low, high in pairwise(bounds)]
    for events in blocks[:-1]:
        assert sum(events) >= size > sum(events[:-1])
    assert place == BlockPlace(len(blocks), bounds[-2], sum(blocks[-1]))


def test_the_events_that_bound_a_block_are_counted_in_the_raw_message():
    assert count_events(b'[{"idempotencyKey":"a"},{"idempotencyKey":"b"}]') == 2
    assert [count_events(value) for value in (b"", b"{}", b"[]", b"not JSON")] == [1, 1, 1, 1]

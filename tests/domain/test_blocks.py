"""Laws of blocks: their bounds follow from the messages, however a log is cut into batches."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.blocks import (
    LONGEST_MS,
    BlockMessage,
    BlockPlace,
    BlockStart,
    begin_blocks,
    count_events,
    pass_messages,
)

START_MS = 1_773_585_000_000
sizes = st.integers(1, 12)
hours = st.integers(-1, 4).map(lambda hour: hour * LONGEST_MS // 6)
logs = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9), hours), max_size=40).map(
    lambda steps: [
        BlockMessage(sum(one[0] for one in steps[: n + 1]), step[1], START_MS + sum(one[2] for one in steps[: n + 1]))
        for n, step in enumerate(steps)
    ]
)
"""Offsets with holes, as compaction and transaction markers leave them, and times that may go back a little."""


@given(logs, sizes, st.data())
def test_bounds_do_not_depend_on_batches(log: list[BlockMessage], size: int, data: st.DataObject):
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
def test_a_block_ends_once_it_is_full_or_old(log: list[BlockMessage], size: int):
    place, starts = pass_messages(begin_blocks(0).place, log, size)
    assert [start.block for start in starts] == list(range(2, len(starts) + 2))
    bounds = [0, *(start.offset for start in starts), log[-1].offset + 1 if log else 1]
    blocks = [[message for message in log if low <= message.offset < high] for low, high in pairwise(bounds)]
    for block, after in pairwise(blocks):
        events = [message.events for message in block]
        assert sum(events[:-1]) < size
        assert sum(events) >= size or after[0].received_ms - block[0].received_ms >= LONGEST_MS
    assert all(message.received_ms - block[0].received_ms < LONGEST_MS for block in blocks for message in block)
    last = blocks[-1]
    counted, began_ms = sum(message.events for message in last), last[0].received_ms if last else 0
    assert place == BlockPlace(len(blocks), bounds[-2], counted, began_ms)


def test_the_events_that_bound_a_block_are_counted_in_the_raw_message():
    assert count_events(b'[{"idempotencyKey":"a"},{"idempotencyKey":"b"}]') == 2
    assert count_events(b'{"metadata":{"idempotencyKey":"a"},"idempotencyKey":"b"}') == 1
    assert [count_events(value) for value in (b"", b"{}", b"[]", b"not JSON")] == [1, 1, 1, 1]

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiokafka import TopicPartition
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch import Batch, FetchedRecord, Partition, Record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

P0, P1 = Partition("interactions", 0), Partition("interactions", 1)


def record(offset: int, value: bytes | None = b"{}") -> FetchedRecord:
    return FetchedRecord(offset, 0, None, value)


def list_offsets(slices: Mapping[Partition, Sequence[Record]]) -> dict[Partition, list[int]]:
    return {partition: [record.offset for record in records] for partition, records in slices.items()}


def test_a_batch_keeps_the_messages_of_a_partition_in_the_order_they_were_taken():
    batch = Batch(generation=1)
    assert batch.take({P0: [record(0), record(1)], P1: [record(7)]}) == {}
    assert batch.take({P0: [record(2)]}) == {}
    assert list_offsets(batch.slices) == {P0: [0, 1, 2], P1: [7]}


def test_a_batch_counts_its_events_and_bytes():
    batch = Batch(generation=1)
    array = b'[{"idempotencyKey":"b"},{"idempotencyKey":"c"}]'
    batch.take({P0: [record(0, b'{"idempotencyKey":"a"}'), record(1, None)], P1: [record(0, array)]})
    assert (batch.events, batch.size_bytes) == (4, 22 + 47)


@pytest.mark.parametrize("limits", [{"max_events": 3}, {"max_bytes": 5}])
def test_messages_beyond_the_limit_are_left_over(limits: dict[str, int]):
    batch = Batch(generation=1, **limits)
    left_over = batch.take({P0: [record(n) for n in range(5)], P1: [record(7)]})
    assert batch.is_full
    assert list_offsets(batch.slices) == {P0: [0, 1, 2]}
    assert list_offsets(left_over) == {P0: [3, 4], P1: [7]}
    assert batch.take(left_over) == left_over


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=3), limit=st.integers(1, 9))
def test_repeatedly_taking_left_over_messages_loses_and_repeats_none(lengths: list[int], limit: int):
    fetched = {Partition("t", n): [record(offset) for offset in range(length)] for n, length in enumerate(lengths)}
    left_over: dict[Partition, Sequence[Record]] = dict(fetched)
    taken: dict[Partition, list[int]] = {}
    while left_over:
        batch = Batch(generation=1, max_events=limit)
        left_over = batch.take(left_over)
        assert batch.events <= limit
        for partition, offsets in list_offsets(batch.slices).items():
            taken.setdefault(partition, []).extend(offsets)
    assert taken == {partition: offsets for partition, offsets in list_offsets(fetched).items() if offsets}


def test_a_partition_equals_the_clients_own_types():
    assert {P0: "found"}[TP("interactions", 0)] == "found"
    assert {P0: "found"}[TopicPartition("interactions", 0)] == "found"

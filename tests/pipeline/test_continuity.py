from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline import continuity
from pipeline.batch import Batch, FetchedRecord, Partition
from pipeline.commit import Committer
from pipeline.continuity import Continuation, continue_from, drop_repeated, find_gap
from pipeline.faults import make_kill_hook
from pipeline.positions import Positions
from pipeline.prepare import PreparedBatch, Preparer
from pipeline.privacy import PrivacyFilter
from pipeline.tenant_cache import TenantCache
from rapport.domain.blocks import begin_blocks
from rapport.kafka.sources import name_source
from rapport.metrics import StreamMetrics
from rapport.settings import KafkaSettings, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rapport.storage.client import Store

LAW = settings(max_examples=300, deadline=None)
P0, P1 = Partition("interactions", 0), Partition("interactions", 1)
NOWHERE = KafkaSettings(bootstrap="127.0.0.1:1")

offsets = st.lists(st.integers(0, 6), max_size=7)


def records(offsets: Sequence[int]) -> list[FetchedRecord]:
    return [FetchedRecord(offset, 0, None, None) for offset in offsets]


def continue_offsets(slices: dict[Partition, list[int]], next_offset: dict[Partition, int]) -> Continuation:
    """Return the messages that continue the progress, in cases that need no query of the log."""
    fetched = {partition: records(offsets) for partition, offsets in slices.items()}
    return asyncio.run(continue_from(fetched, next_offset, NOWHERE))


def list_offsets(continuation: Continuation | PreparedBatch) -> dict[Partition, list[int]]:
    return {partition: [r.offset for r in kept] for partition, kept in continuation.slices.items()}


@pytest.mark.parametrize(
    ("offsets", "expected", "gap"),
    [
        ([], 5, None),
        ([5], 5, None),
        ([5, 6, 7], 5, None),
        ([7], 5, (0, 5, 7)),
        ([5, 8], 5, (1, 6, 8)),
        ([5, 6, 8, 9, 12], 5, (2, 7, 8)),
        ([3, 4, 5, 6], 5, None),
        ([3, 4], 5, None),
        ([3, 9], 5, (1, 5, 9)),
        ([5, 5, 6], 5, None),
        ([5, 6, 5, 6, 7], 5, None),
    ],
)
def test_a_gap_is_found_at_missing_offsets(offsets: list[int], expected: int, gap: tuple[int, int, int] | None):
    assert find_gap(records(offsets), expected) == gap


@LAW
@given(length=st.integers(0, 7), expected=st.integers(0, 6), missing=st.sets(st.integers(0, 12)))
def test_in_ascending_messages_the_first_missing_offset_is_found(length: int, expected: int, missing: set[int]):
    present = [offset for offset in range(expected, expected + length) if offset not in missing]
    gap = find_gap(records(present), expected)
    lost = sorted(missing & set(range(expected, max(present, default=expected))))
    if not lost:
        assert gap is None
    else:
        found = next(offset for offset in present if offset > lost[0])
        assert gap == (present.index(found), lost[0], found)


@LAW
@given(offsets=offsets, expected=st.integers(0, 6))
@example(offsets=[0, 0, 2], expected=0)
def test_repeated_messages_never_hide_a_missing_one(offsets: list[int], expected: int):
    reached = expected
    gap = None
    for index, offset in enumerate(offsets):
        if offset > reached:
            gap = (index, reached, offset)
            break
        reached = max(reached, offset + 1)
    assert find_gap(records(offsets), expected) == gap


@LAW
@given(offsets=offsets, expected=st.integers(0, 6))
def test_repeated_and_older_messages_are_dropped(offsets: list[int], expected: int):
    kept = [record.offset for record in drop_repeated(records(offsets), expected)]
    assert kept == [offset for n, offset in enumerate(offsets) if offset > max([expected - 1, *offsets[:n]])]


def test_messages_that_continue_the_progress_are_kept_unchanged():
    continuation = continue_offsets({P0: [5, 6], P1: [0]}, {P0: 5, P1: 0})
    assert list_offsets(continuation) == {P0: [5, 6], P1: [0]}
    assert continuation.rewind == {}


def test_messages_below_the_progress_are_cut_off():
    continuation = continue_offsets({P0: [3, 4, 5, 6], P1: [0, 1]}, {P0: 5, P1: 2})
    assert list_offsets(continuation) == {P0: [5, 6]}
    assert continuation.rewind == {}


def test_a_partition_without_a_known_position_is_left_out():
    assert continue_offsets({P0: [5], P1: [0]}, {P1: 0}) == continue_offsets({P1: [0]}, {P1: 0})


@pytest.mark.parametrize("fetched", [[5, 6, 6, 7], [5, 6, 7, 5, 6, 7], [4, 5, 5, 6, 7]])
def test_a_repeated_message_is_kept_once(fetched: list[int]):
    assert list_offsets(continue_offsets({P0: fetched}, {P0: 5})) == {P0: [5, 6, 7]}


def test_a_batch_that_starts_behind_a_hole_of_the_log_itself_is_applied(store: Store, monkeypatch: pytest.MonkeyPatch):
    class CompactedLog:
        """Log without the offset 5, as a transaction's marker or compaction leaves it."""

        async def find_first_at_or_after(self, _partition: Partition, offset: int) -> int:
            return max(offset, 6)

    @asynccontextmanager
    async def open_compacted(_settings: KafkaSettings) -> AsyncIterator[CompactedLog]:
        yield CompactedLog()

    monkeypatch.setattr(continuity, "open_log", open_compacted)
    settings, metrics = Settings(), StreamMetrics()
    positions = Positions(store, settings.kafka, "cluster", metrics)
    positions.sources[P0] = name_source("cluster", *P0, 0)
    positions.owned[P0] = begin_blocks(5)
    tenant_cache = TenantCache(dict, refresh_s=10)
    privacy = PrivacyFilter(lambda _since_ms: (), dict, metrics, refresh_s=10)
    preparer = Preparer(settings, store, positions, tenant_cache, privacy, metrics, make_kill_hook(""))
    batch = Batch(generation=1)
    batch.take({P0: records([6, 7])})
    prepared = asyncio.run(preparer.prepare(batch))
    assert (list_offsets(prepared), prepared.rewind) == ({P0: [6, 7]}, {})
    assert Committer(settings, store, positions, privacy, metrics, make_kill_hook(""), _drop).is_next(prepared)


async def _drop(letters: Sequence[object]) -> None:
    assert not letters

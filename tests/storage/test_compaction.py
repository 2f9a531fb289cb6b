"""Compaction of summary rows: no reader sees another count, whatever happens in between."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from rapport.domain.privacy import hash_customer
from rapport.storage.compaction import compact, compact_crowded, delete_emptied, list_crowded
from rapport.storage.customer_reads import read_stored_summaries
from rapport.storage.repairs import request_repairs
from rapport.storage.stream import read_positions
from rapport.storage.tombstones import write_tombstones
from tests.storage.applied_log import (
    LOG,
    SOURCES,
    apply_messages,
    compared,
    list_blocks,
    read_recorded,
    read_rows,
    tamper,
)

if TYPE_CHECKING:
    from rapport.storage.client import Store

BLOCKS = {"block_events": 2}
COLUMNS = (
    "tenant_id, customer_id, scope, period_type, period_key, offer_id, impressions, positive, negative, total_value"
)
LAST = "last_contact_at, last_outcome, last_direction"


@pytest.fixture
def applied(store: Store) -> Store:
    """Fill a store with rows of many blocks of two sources."""
    for first in range(0, 3 * len(LOG), len(LOG)):
        apply_messages(store, LOG, first_offset=first, **BLOCKS)
    apply_messages(store, LOG, partition=1, **BLOCKS)
    return store


def read_view(store: Store) -> list[tuple[object, ...]]:
    """Read what analysts see."""
    sql = f"SELECT {COLUMNS}, {LAST} FROM interaction_summaries ORDER BY ALL"
    return [tuple(row) for row in store.client.query(sql).result_rows]


def test_closed_blocks_become_one_and_every_reader_sees_the_same(applied: Store):
    right, seen = read_rows(applied), read_view(applied)
    assert list_blocks(applied) == list(range(1, 10))
    assert compact_crowded(applied, crowded_rows=1) == 3
    assert list_blocks(applied) == [0, 3, 9]  # the open block of each source stays
    assert read_rows(applied).equals(right)
    assert read_view(applied) == seen
    assert compared(applied).is_clean
    assert delete_emptied(applied) == 0  # too early
    assert delete_emptied(applied, empty_s=-1) > 0
    assert read_view(applied) == seen
    assert {row.block for row in read_stored_summaries(applied, [("acme", "ann")])} == {0, 3, 9}
    apply_messages(applied, LOG, first_offset=3 * len(LOG), **BLOCKS)
    assert compared(applied).is_clean
    assert compact_crowded(applied, crowded_rows=1) == 3
    assert compared(applied).is_clean


def test_compactions_at_once_or_cut_off_change_nothing(applied: Store):
    seen = read_view(applied)
    early = read_recorded(applied, *SOURCES)
    apply_messages(applied, LOG, first_offset=3 * len(LOG), **BLOCKS)
    later = read_view(applied)
    assert later != seen
    now = read_recorded(applied, *SOURCES)
    # Of two that began at different times the overtaken one ends last, and one was cut off after its first source.
    compact(applied, {SOURCES[0]: now[SOURCES[0]]}, "acme", ["ann", "bob"])
    compact(applied, early, "acme", ["ann", "bob"])
    assert read_view(applied) == later
    compact(applied, now, "acme", ["ann", "bob"])
    compact(applied, now, "acme", ["ann", "bob"])
    assert read_view(applied) == later
    delete_emptied(applied, empty_s=-1)
    assert read_view(applied) == later
    assert compared(applied).is_clean


def test_a_late_writer_brings_no_emptied_block_back(applied: Store):
    seen = read_view(applied)
    rows = applied.client.query_arrow("SELECT * FROM interaction_summary_state FINAL WHERE block < 3")
    compact_crowded(applied, crowded_rows=1)
    applied.client.insert_arrow("interaction_summary_state", rows)
    assert read_view(applied) == seen
    delete_emptied(applied, empty_s=-1)
    assert read_view(applied) == seen


def test_blocks_with_a_row_that_counts_are_not_deleted(applied: Store):
    """A repair empties single rows of the open block; when it is closed, its other rows still count."""
    tamper(applied, block=9, applied_offset=17, positive=0, negative=0)
    seen = read_view(applied)
    delete_emptied(applied, empty_s=-1)
    assert read_view(applied) == seen


def test_only_crowded_customers_are_compacted_page_by_page(applied: Store, monkeypatch: pytest.MonkeyPatch):
    positions = {name: one.position for name, one in read_positions(applied).items()}
    counts = {
        customer: sum(row.block not in (3, 9) or (row.block == 3 and row.source == SOURCES[0]) for row in rows)
        for customer in ("ann", "bob")
        for rows in [list(read_stored_summaries(applied, [("acme", customer)]))]
    }
    assert counts["ann"] > counts["bob"] > 0
    assert list_crowded(applied, positions, ("", ""), counts["bob"] + 1) == [("acme", "ann")]
    assert list_crowded(applied, positions, ("", ""), counts["ann"] + 1) == []
    everybody = list_crowded(applied, positions, ("", ""), 1)
    assert everybody == sorted(everybody)
    assert all(list_crowded(applied, positions, one, 1)[0] == other for one, other in pairwise(everybody))
    monkeypatch.setattr("rapport.storage.compaction.PAGE", 1)
    assert compact_crowded(applied, crowded_rows=1) == len(everybody)


def test_erased_customers_and_pending_repairs_are_left_alone(applied: Store):
    write_tombstones(applied, "acme", [hash_customer("acme", "ann")], erased_at_ms=1, receipt_id="r")
    request_repairs(applied, "r1", tamper(applied, customer_id="bob", positive=9))
    positions = {name: one.position for name, one in read_positions(applied).items()}
    assert list_crowded(applied, positions, ("", ""), 1) == [("kiwi", "ann")]

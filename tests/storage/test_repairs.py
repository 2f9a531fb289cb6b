from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest

from rapport.storage.customer_reads import read_stored_summaries
from rapport.storage.reconcile import reconcile
from rapport.storage.repairs import list_pending_repairs, repair, request_repairs, settle_rows_ahead
from rapport.storage.stream import (
    read_positions,
)
from tests.storage.applied_log import (
    HOUR_MS,
    LOG,
    NOW,
    SOURCES,
    SUBJECT_KEYS,
    apply_messages,
    compared,
    list_blocks,
    read_recorded,
    read_rows,
    tamper,
)

if TYPE_CHECKING:
    from rapport.storage.client import Store


@pytest.fixture
def applied(store: Store) -> Store:
    """Fill a store by applying two sources."""
    apply_messages(store, LOG)
    apply_messages(store, LOG[:3], partition=1)
    return store


def test_applied_events_agree_with_the_history(applied: Store):
    found = compared(applied)
    assert found.is_clean
    assert dict(found.totals.select("period_type", "contacts").iter_rows()) == dict.fromkeys(
        ("daily", "weekly", "monthly", "alltime"), 8
    )


def test_refunds_agree_with_the_history_and_are_repaired(applied: Store):
    back = {"offerId": "loan", "outcome": "refund", "conversionValue": -3.750001, "timestamp": NOW}
    apply_messages(applied, [back, {"offerId": "loan", "outcome": "dismiss", "conversionValue": 9}], first_offset=6)
    assert compared(applied).is_clean
    right = read_rows(applied)
    tamper(applied, applied_offset=7, negative=3, total_value=Decimal("3.75"), last_outcome="dismiss")
    found = compared(applied)
    assert found.drift["value_off"].to_list() == [Decimal("3.750001")]
    request_repairs(applied, "r1", found.drift)
    repair(applied, "r1", read_recorded(applied, SOURCES[0], SOURCES[1]))
    assert compared(applied).is_clean
    assert read_rows(applied).equals(right)


def test_a_repeated_row_is_no_drift(applied: Store):
    tamper(applied)
    assert compared(applied).is_clean


TAMPERED = [
    {"positive": 3},
    {"impressions": 1, "positive": 1},
    {"converts": 1},
    {"total_value": Decimal("3.750001")},
    {"last_outcome": "dismiss"},
    {"last_direction": "outbound"},
    {"last_contact_at_ms": NOW - HOUR_MS - 1},
    {"offer_id": "mortgage"},
    {"period_type": "daily", "period_key": "2026-03-01"},
    {"source": SOURCES[1], "applied_offset": 2},
    {"impressions": 0, "positive": 0, "negative": 0},
]


def test_exactly_the_wrong_rows_are_found_and_repaired(store: Store):
    customers = [f"c{n}" for n in range(len(TAMPERED) + 1)]
    apply_messages(store, [[m | {"customerId": customer} for customer in customers] for m in LOG])
    apply_messages(store, LOG[:3], partition=1)
    right = read_rows(store)
    wrong = [tamper(store, customer_id=c, **changes) for c, changes in zip(customers, TAMPERED, strict=False)]
    found = compared(store)
    assert set(found.drift.select(SUBJECT_KEYS).rows()) == {rows.row(0) for rows in wrong}
    request_repairs(store, "r1", found.drift)
    repair(store, "r1", read_recorded(store, SOURCES[0], SOURCES[1]))
    assert compared(store).is_clean
    assert read_rows(store).equals(right)


def test_missing_rows_are_found_and_repaired(applied: Store):
    right = read_rows(applied)
    applied.client.command("TRUNCATE TABLE interaction_summary_state")
    found = compared(applied)
    assert found.drift.height == right.height
    request_repairs(applied, "r1", found.drift)
    repair(applied, "r1", read_recorded(applied, SOURCES[0], SOURCES[1]))
    assert read_rows(applied).equals(right)


def test_drift_says_by_how_much_a_row_is_off(applied: Store):
    tamper(applied, positive=4, negative=0, converts=2, total_value=Decimal(3))
    columns = ("contacts_off", "converts_off", "value_off")
    assert compared(applied).drift.select(columns).rows() == [(1, 2, Decimal("-0.75"))]


@pytest.mark.parametrize("slices", [1, 3])
def test_drift_is_the_same_for_any_number_of_slices(applied: Store, slices: int):
    for customer in ("ann", "bob", "cleo", "dora"):
        tamper(applied, customer_id=customer, positive=9)
    found = reconcile(applied, slices=slices, sleep=lambda _seconds: None)
    assert sorted(found.drift["customer_id"]) == ["ann", "bob", "cleo", "dora"]


@pytest.mark.parametrize("crash", ["interactions", "summaries"])
def test_a_half_written_batch_is_no_drift(applied: Store, crash: str):
    apply_messages(applied, LOG, first_offset=len(LOG), crash=crash)
    assert compared(applied).is_clean


def test_a_half_written_first_batch_of_a_source_is_no_drift(applied: Store):
    apply_messages(applied, LOG, partition=2, crash="summaries")
    assert compared(applied).is_clean


def test_a_repair_counts_up_to_the_progress_and_the_stream_continues_from_there(applied: Store):
    apply_messages(applied, LOG, first_offset=len(LOG), crash="interactions")
    request_repairs(applied, "r1", tamper(applied, positive=9))
    repair(applied, "r1", read_recorded(applied, SOURCES[0]))
    assert compared(applied).is_clean
    applied.client.command("OPTIMIZE TABLE interaction_summary_state FINAL")  # see the next test
    apply_messages(applied, LOG, first_offset=len(LOG))
    found = compared(applied)
    assert found.is_clean
    assert set(found.totals["contacts"]) == {13}


def test_of_rows_of_equal_version_the_last_written_is_read(store: Store):
    for n in range(40):
        tamper(store, customer_id=f"c{n}", positive=9)
        tamper(store, customer_id=f"c{n}", positive=2)
        assert [row.positive for row in read_stored_summaries(store, [("acme", f"c{n}")])] == [2]


def test_a_repair_touches_only_the_customers_and_sources_it_names(applied: Store):
    wrong = [tamper(applied, positive=9, customer_id=c, source=s) for c in ("ann", "bob") for s in SOURCES]
    request_repairs(applied, "r1", wrong[0])
    repair(applied, "r1", read_recorded(applied, SOURCES[0], SOURCES[1]))
    still = compared(applied).drift.select("customer_id", "source").rows()
    assert sorted(still) == [("ann", SOURCES[1]), ("bob", SOURCES[0]), ("bob", SOURCES[1])]


def test_a_repair_is_pending_until_it_is_done_once(applied: Store):
    both = pl.concat([tamper(applied, positive=9), tamper(applied, positive=9, customer_id="bob")])
    request_repairs(applied, "r1", pl.concat([both, both]))
    assert list_pending_repairs(applied, SOURCES) == [("r1", SOURCES[0], 2)]
    assert list_pending_repairs(applied, SOURCES[1:]) == []
    repair(applied, "r1", read_recorded(applied, SOURCES[1]))
    assert list_pending_repairs(applied, SOURCES) == [("r1", SOURCES[0], 2)]
    repair(applied, "r1", read_recorded(applied, SOURCES[0]))
    assert list_pending_repairs(applied, SOURCES) == []
    tamper(applied, positive=9)
    repair(applied, "r1", read_recorded(applied, SOURCES[0]))
    assert compared(applied).drift.height == 1


def test_a_key_that_the_history_holds_twice_within_the_horizon_is_reported(applied: Store):
    apply_messages(applied, [{"idempotencyKey": "0:0"}], first_offset=len(LOG))
    found = compared(applied)
    assert found.drift.is_empty()
    assert found.double_counted.rows() == [("acme", "ann", "0:0", 2)]
    assert not found.is_clean


def test_a_key_reused_after_the_horizon_and_then_repeated_is_reported(store: Store):
    for offset, days in enumerate((20, 2, 1)):
        apply_messages(
            store,
            [{"idempotencyKey": "k"}],
            first_offset=offset,
            received_at_ms=NOW - days * 24 * HOUR_MS,
        )
    assert compared(store).double_counted["idempotency_key"].to_list() == ["k"]


def test_an_event_at_the_epoch_is_repaired_like_any_other(store: Store):
    apply_messages(store, [{"timestamp": 0}])
    right = read_rows(store)
    everybody = pl.DataFrame({"source": [SOURCES[0]], "tenant_id": ["acme"], "customer_id": ["ann"]})
    request_repairs(store, "r1", everybody)
    repair(store, "r1", read_recorded(store, SOURCES[0]))
    assert read_rows(store).equals(right)


BLOCKS = {"block_events": 2}


def test_blocks_count_what_one_block_would(store: Store):
    apply_messages(store, LOG)
    right = read_rows(store)
    store.client.command("TRUNCATE TABLE interaction_summary_state")
    store.client.command("TRUNCATE TABLE stream_progress")
    apply_messages(store, LOG[:3], **BLOCKS)
    apply_messages(store, LOG[3:], first_offset=3, **BLOCKS)
    assert list_blocks(store) == [1, 2, 3]
    assert read_rows(store).equals(right)
    assert compared(store).is_clean


@pytest.mark.parametrize("wrong_block", [1, 2, 3])
def test_a_repair_puts_closed_blocks_together_and_the_stream_goes_on(store: Store, wrong_block: int):
    apply_messages(store, LOG, **BLOCKS)
    right = read_rows(store)
    wrong = tamper(store, block=wrong_block, applied_offset=2 * wrong_block - 1, positive=9)
    assert compared(store).drift.height == 1
    request_repairs(store, "r1", wrong)
    repair(store, "r1", read_recorded(store, SOURCES[0]))
    assert read_rows(store).equals(right)
    assert compared(store).is_clean
    # A worker that was suspended writes the closed block again, as it was.
    tamper(store, block=1, applied_offset=1, positive=1, negative=1)
    assert read_rows(store).equals(right)
    apply_messages(store, LOG, first_offset=len(LOG), **BLOCKS)
    assert [found.is_clean for found in [compared(store)]] == [True]


def test_rows_that_an_old_worker_left_ahead_of_its_progress_are_taken_back(store: Store):
    apply_messages(store, LOG)
    store.client.command("ALTER TABLE stream_progress UPDATE block = 0 WHERE 1 SETTINGS mutations_sync = 2")
    sql = "INSERT INTO interaction_summary_state SELECT * REPLACE (0 AS block) FROM interaction_summary_state FINAL"
    store.client.command(sql)
    store.client.command("ALTER TABLE interaction_summary_state DELETE WHERE block > 0 SETTINGS mutations_sync = 2")
    right = read_rows(store)
    assert compared(store).is_clean
    tamper(store, block=0, applied_offset=7, positive=4)  # two more, of which the progress knows nothing
    tamper(store, block=0, applied_offset=6, positive=1, customer_id="new")
    (recorded,) = read_positions(store, SOURCES[:1]).values()
    assert not recorded.has_blocks
    settle_rows_ahead(store, SOURCES[0], recorded.position)
    assert read_rows(store).equals(right)
    apply_messages(store, [*LOG[:2], {"customerId": "new"}], first_offset=len(LOG))
    found = compared(store)
    assert found.is_clean
    assert list_blocks(store) == [0, 1]

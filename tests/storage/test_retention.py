"""Expired rows are deleted, others are not, and the remaining tables agree with each other."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.blocks import begin_blocks
from rapport.domain.periods import DAY_MS, PeriodType, make_period_key
from rapport.domain.retention import DataClass, find_first_kept_period, find_first_provable_periods
from rapport.storage.erasure import count_remains
from rapport.storage.personal_data import ErasureScope
from rapport.storage.reconcile import reconcile, repair_drift
from rapport.storage.repairs import name_block
from rapport.storage.retention import RetentionConfig, apply_retention, load_configs, save_config

if TYPE_CHECKING:
    from rapport.storage.client import Store

NOW = 1_773_585_000_000
SOURCE = "cluster/interactions/0"
DAYS = 200
STEP = 5


def fill(store: Store) -> None:
    """Fill two tenants: one event every five days, the newest today, received when it happened; all of it applied."""
    store.execute(f"""
        INSERT INTO interaction_log (tenant_id, customer_id, id, idempotency_key, received_at, occurred_at, local_date,
            outcome, category, channel_id, source, offset, item)
        SELECT tenant, 'ann', toString(number), toString(number),
            fromUnixTimestamp64Milli({NOW} - toInt64(number) * {STEP * DAY_MS}, 'UTC') AS at, at, toDate(at, 'UTC'),
            'impression', 'impression', 'web', '{SOURCE}', {DAYS} - number, 0
        FROM numbers({DAYS // STEP}) ARRAY JOIN ['acme', 'other'] AS tenant
    """)
    for tenant in ("acme", "other"):
        who = {"tenant_id": tenant, "customer_ids": ["ann"], **name_block(SOURCE, begin_blocks(DAYS + 1))}
        store.command("privacy/recompute", who)
    store.execute(f"INSERT INTO stream_progress (source, next_offset) VALUES ('{SOURCE}', {DAYS + 1})")


def keep(store: Store, data_class: DataClass, days: int, *, legal_hold: bool = False) -> None:
    save_config(store, "acme", RetentionConfig(data_class=data_class, retention_days=days, legal_hold=legal_hold))


def counts(store: Store, tenant: str = "acme") -> dict[str, int]:
    """Count interactions, and rows of the summaries by period type."""
    sql = """
        SELECT 'events', count() FROM interaction_log WHERE tenant_id = {t:String}
        UNION ALL
        SELECT period_type, count() FROM interaction_summary_state FINAL WHERE tenant_id = {t:String} GROUP BY 1
    """
    return dict(store.client.query(sql, parameters={"t": tenant}).result_rows)


def impressions(store: Store) -> int:
    sql = "SELECT impressions FROM interaction_summaries WHERE tenant_id = 'acme' AND period_type = 'alltime'"
    return store.client.query(f"{sql} AND scope = 'offer'").result_rows[0][0]


def is_clean(store: Store) -> bool:
    return reconcile(store, sleep=lambda _s: None).is_clean


def test_without_configuration_everything_is_kept(store: Store):
    fill(store)
    before = counts(store)
    assert apply_retention(store, "acme", NOW) == {}
    assert counts(store) == before
    assert {one.retention_days for one in load_configs(store, "acme")} == {0}


def test_summaries_outlive_their_interactions_and_reconcile_stays_clean(store: Store):
    fill(store)
    before = counts(store)
    keep(store, DataClass.INTERACTIONS, 100)
    assert apply_retention(store, "acme", NOW) == {"interactions": 19}
    assert counts(store) == {**before, "events": 21}
    assert counts(store, "other") == before
    assert impressions(store) == DAYS // STEP
    assert is_clean(store)
    assert count_remains(store, ErasureScope("acme", ("ann",), 0)) == {}
    assert apply_retention(store, "acme", NOW) == {}


def test_a_repair_after_retention_changes_only_periods_with_a_complete_history(store: Store):
    fill(store)
    keep(store, DataClass.INTERACTIONS, 100)
    apply_retention(store, "acme", NOW)
    store.execute(f"""
        INSERT INTO interaction_summary_state
        SELECT * REPLACE (impressions + 7 AS impressions, {DAYS + 1} AS applied_offset)
        FROM interaction_summary_state FINAL
        WHERE period_type = 'daily' AND tenant_id = 'acme' AND period_key >= '2026-03'
    """)
    found = reconcile(store, sleep=lambda _s: None)
    assert set(found.drift["contacts_off"]) == {7}
    store.execute(f"INSERT INTO stream_progress (source, next_offset) VALUES ('{SOURCE}', {DAYS + 2})")
    repair_drift(store, found.drift, wait_s=0)
    assert is_clean(store)
    assert impressions(store) == DAYS // STEP


def test_old_summaries_are_deleted_by_period_without_drift(store: Store):
    fill(store)
    keep(store, DataClass.SUMMARIES_DAILY, 30)
    keep(store, DataClass.SUMMARIES_WEEKLY, 60)
    apply_retention(store, "acme", NOW)
    left = counts(store)
    assert (left["daily"], left["events"], left["alltime"]) == (7, DAYS // STEP, 1)
    assert left["weekly"] < counts(store, "other")["weekly"]
    assert is_clean(store)


def test_a_legal_hold_keeps_everything(store: Store):
    fill(store)
    keep(store, DataClass.INTERACTIONS, 1, legal_hold=True)
    assert apply_retention(store, "acme", NOW) == {}


@pytest.mark.parametrize("data_class", list(DataClass))
def test_every_class_of_data_can_be_applied(store: Store, data_class: DataClass):
    fill(store)
    keep(store, data_class, 3_650)
    assert apply_retention(store, "acme", NOW) == {}


@given(st.integers(0, 40_000), st.sampled_from([PeriodType.DAILY, PeriodType.WEEKLY, PeriodType.MONTHLY]))
def test_a_period_that_is_provable_begins_after_every_deleted_event(days: int, period_type: PeriodType):
    day = date(1970, 1, 2) + timedelta(days=days)
    before_ms = int(datetime(day.year, day.month, day.day, 23, 59, tzinfo=UTC).timestamp() * 1000)
    latest = day + timedelta(days=2)  # a day ahead of the broker, in the easternmost time zone
    assert make_period_key(period_type, latest) < find_first_provable_periods(before_ms)[period_type]
    assert find_first_kept_period(period_type, before_ms, 0) == make_period_key(period_type, day)

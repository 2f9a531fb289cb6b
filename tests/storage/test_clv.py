"""Customer lifetime values as the database computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pytest

from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.clv import ClvRules, compute_churn_probability, predict_revenue
from rapport.storage.clv import compute_values, find_contacted, read_values

if TYPE_CHECKING:
    from rapport.storage.client import Store

NOW_MS: Final = 1_773_837_000_000
MILLIS: Final = pl.Datetime("ms", "UTC")


def contacted(store: Store, customer: str, days_ago: float, frequency: int, value: float = 0, **more: Any) -> None:
    row = {
        "tenant_id": "acme",
        "customer_id": customer,
        "period_type": "alltime",
        "period_key": "alltime",
        "source": "s",
        "applied_offset": 1,
        "impressions": frequency,
        "total_value": value,
        "last_contact_at": NOW_MS - round(days_ago * DAY_MS),
        **more,
    }
    types = {"applied_offset": pl.UInt64, "impressions": pl.UInt64, "total_value": pl.Decimal(38, 6)}
    store.insert(
        "interaction_summary_state",
        pl.DataFrame([row]).with_columns(pl.col("last_contact_at").cast(MILLIS)).cast(types),  # type: ignore[arg-type]
    )


def scores(store: Store, *customers: str) -> dict[str, float]:
    found = read_values(store, "acme", customers)
    return {name: round(value.score, 6) for name, value in found.items()}


def test_a_rank_is_the_share_of_lower_customers_plus_half_of_the_equal_ones(store: Store):
    contacted(store, "best", 1, 9, 50)
    contacted(store, "same", 2, 5, 20)
    contacted(store, "like", 2, 5, 20)
    contacted(store, "last", 9, 1, 0)
    compute_values(store, "acme", NOW_MS)
    assert scores(store, "best", "same", "like", "last") == {"best": 87.5, "same": 50, "like": 50, "last": 12.5}


def test_weights_determine_the_score(store: Store):
    contacted(store, "recent", 1, 1, 1)
    contacted(store, "frequent", 2, 9, 1)
    contacted(store, "rich", 3, 1, 99)
    compute_values(store, "acme", NOW_MS, ClvRules(recency_weight=0, frequency_weight=0, monetary_weight=7))
    assert scores(store, "recent", "frequent", "rich") == pytest.approx(
        {"recent": 100 / 3, "frequent": 100 / 3, "rich": 250 / 3}, abs=1e-6
    )


def test_values_add_up_all_summaries_of_a_customer(store: Store):
    contacted(store, "ann", 40, 2, 5, channel_id="web")
    contacted(store, "ann", 3.9, 3, 6, channel_id="app", source="t")
    contacted(store, "ann", 1, 100, 100, period_type="daily", period_key="2026-03-17")
    compute_values(store, "acme", NOW_MS)
    value = read_values(store, "acme", ["ann"])["ann"]
    assert (value.recency_days, value.frequency, value.monetary, value.score) == (3, 5, 11, 50)


def test_refunds_make_a_negative_value(store: Store):
    contacted(store, "kept", 1, 1, 20)
    contacted(store, "nothing", 1, 1, 0)
    contacted(store, "returned", 1, 1, -20.5)
    compute_values(store, "acme", NOW_MS)
    values = read_values(store, "acme", ["kept", "nothing", "returned"])
    assert values["returned"].monetary == -20.5
    assert values["returned"].score < values["nothing"].score < values["kept"].score


def test_segments_are_quartiles_and_customers_without_recent_contact_are_at_risk(store: Store):
    for number in range(1, 9):
        contacted(store, f"c{number}", 0, number)
    contacted(store, "away", 30, 99, 99)
    contacted(store, "nearly", 29.9, 99, 99)
    assert compute_values(store, "acme", NOW_MS) == {"high": 2, "medium": 4, "low": 3, "at_risk": 1}
    found = read_values(store, "acme", ["away", "nearly", "c8"])
    assert {name: value.segment for name, value in found.items()} == {"away": "at_risk", "nearly": "high", "c8": "high"}
    again = compute_values(store, "acme", NOW_MS + 1, ClvRules(at_risk_days=29))
    assert again["at_risk"] == 2


def test_customers_are_ranked_within_their_tenant(store: Store):
    contacted(store, "ann", 1, 1)
    contacted(store, "bob", 1, 9, tenant_id="other")
    assert sum(compute_values(store, "acme", NOW_MS).values()) == 1
    assert scores(store, "ann", "bob") == {"ann": 50}
    assert find_contacted(store, "acme", ["ann", "bob"]) == {"ann"}


def test_a_tenant_without_customers_has_no_values(store: Store):
    contacted(store, "repaired", 1, 0)
    assert compute_values(store, "acme", NOW_MS) == {"high": 0, "medium": 0, "low": 0, "at_risk": 0}
    assert find_contacted(store, "acme", ["repaired"]) == frozenset()


def test_revenue_and_churn_are_those_of_the_documented_examples():
    assert predict_revenue(360) == 1440
    assert predict_revenue(-5) == 0
    assert compute_churn_probability(5) == pytest.approx(0.119, abs=5e-4)
    assert compute_churn_probability(30) == 0.5
    assert compute_churn_probability(10**9) == 1
    assert compute_churn_probability(None) is None

"""Lifetime values of CDNOW's customers, compared with pandas; fails with a reason if no package registry answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import polars as pl
import pytest

from rapport.application.imports.feeds import Message
from rapport.datasets import cdnow
from rapport.datasets.catalogue import open_cdnow
from rapport.domain.blocks import begin_blocks
from rapport.domain.profiles.clv import ClvRules
from rapport.storage.clv import compute_values, read_values
from rapport.storage.repairs import repair, request_repairs

if TYPE_CHECKING:
    from rapport.domain.profiles.clv import CustomerValue
    from rapport.storage.client import Store

NOW: Final = datetime(1998, 7, 1, tzinfo=UTC)
NOW_MS: Final = round(NOW.timestamp() * 1000)
SOURCE: Final = "cluster/interactions/0"


@pytest.fixture(scope="module")
def purchases(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    feed = open_cdnow("demo", tmp_path_factory.mktemp("wheels"))
    return [json.loads(entry.value) for chunk in feed.chunks for entry in chunk.entries if isinstance(entry, Message)]


def write_history(store: Store, purchases: list[dict[str, Any]]) -> None:
    """Write purchases into the history and the summaries."""
    events = pl.DataFrame(purchases).select(
        tenant_id="tenantId",
        customer_id="customerId",
        occurred_at=pl.col("timestamp").str.to_datetime(time_unit="ms", time_zone="UTC"),
        outcome="outcome",
        offer_id="offerId",
        channel_id="channelId",
        conversion_value=pl.col("conversionValue").cast(pl.Decimal(18, 6)),
    )
    events = events.with_row_index("offset").with_columns(
        id=pl.format("{}", pl.col("offset") + 10**9),
        received_at="occurred_at",
        local_date=pl.col("occurred_at").dt.date(),
        offset=pl.col("offset").cast(pl.UInt64),
        classification=pl.lit("positive"),
        category=pl.lit("response"),
        is_conversion=pl.lit(value=True),
        direction=pl.lit("inbound"),
        source=pl.lit(SOURCE),
    )
    store.insert("interaction_log", events)
    request_repairs(store, "all", events)
    repair(store, "all", {SOURCE: begin_blocks(len(events))})


def compute_expected(purchases: list[dict[str, Any]], at_risk_days: int) -> pd.DataFrame:
    """Compute scores and segments by customer from the purchases themselves."""
    table = pd.DataFrame(purchases)
    table["cents"] = (table["conversionValue"] * 100).round().astype("int64")
    table["at"] = pd.to_datetime(table["timestamp"])
    customers = table.groupby("customerId").agg(last=("at", "max"), frequency=("at", "size"), cents=("cents", "sum"))
    customers["recency"] = (pd.Timestamp(NOW) - customers["last"]).dt.days
    n = len(customers)

    def rank(column: pd.Series[Any]) -> pd.Series[Any]:
        return (column.rank(method="average") - 0.5) / n

    weighted = 0.35 * rank(-customers["recency"]) + 0.35 * rank(customers["frequency"]) + 0.3 * rank(customers["cents"])
    customers["score"] = (100 * weighted).round(9)
    high, medium = customers["score"].quantile([0.75, 0.25]).round(9)
    customers["segment"] = "low"
    customers.loc[customers["score"] >= medium, "segment"] = "medium"
    customers.loc[customers["score"] >= high, "segment"] = "high"
    customers.loc[customers["recency"] >= at_risk_days, "segment"] = "at_risk"
    return customers


@pytest.mark.parametrize(("at_risk_days", "smallest"), [(30, 0), (500, 1_000)])
def test_segments_and_values_of_cdnow_agree_with_pandas(
    store: Store, purchases: list[dict[str, Any]], at_risk_days: int, smallest: int
):
    expected = compute_expected(purchases, at_risk_days)
    write_history(store, purchases)
    sizes = compute_values(store, "demo", NOW_MS, ClvRules(at_risk_days=at_risk_days))
    assert sum(sizes.values()) == len(expected) == cdnow.TOTALS.customers
    assert sizes == {name: int((expected["segment"] == name).sum()) for name in sizes}
    assert min(sizes.values()) >= smallest

    found: dict[str, CustomerValue] = dict(read_values(store, "demo", list(expected.index)))
    assert {name: value.segment for name, value in found.items()} == expected["segment"].to_dict()
    assert {name: value.recency_days for name, value in found.items()} == expected["recency"].to_dict()
    assert {name: value.frequency for name, value in found.items()} == expected["frequency"].to_dict()
    assert {name: round(value.monetary * 100) for name, value in found.items()} == expected["cents"].to_dict()
    assert {name: value.score for name, value in found.items()} == pytest.approx(expected["score"].to_dict(), abs=1e-8)

    def best(scores: dict[str, float]) -> list[str]:
        return sorted(scores, key=lambda name: (-round(scores[name], 6), name))[:20]

    assert best({name: value.score for name, value in found.items()}) == best(expected["score"].to_dict())

"""Rows of the summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl

from rapport.domain.periods import DAY_MS, PeriodType, make_period_key, to_local_date
from rapport.storage.stream import MILLIS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.storage.client import Store

NOW: Final = 1_772_000_000_123
ZONE: Final = "Pacific/Auckland"
COUNTS: Final = ("impressions", "positive", "negative", "neutral", "converts")


def contact(store: Store, *rows: Mapping[str, Any], tenant: str = "acme") -> None:
    """Write summary rows: customer_id, period_type, and the counts that are not zero."""
    today = to_local_date(NOW, ZONE)
    filled = [
        {
            "tenant_id": tenant,
            "period_key": make_period_key(PeriodType(row["period_type"]), today),
            "source": "a",
            "applied_offset": number,
            "last_contact_at": NOW - DAY_MS,
            **dict.fromkeys(COUNTS, 0),
            "total_value": 0.0,
            **row,
        }
        for number, row in enumerate(rows)
    ]
    frame = pl.DataFrame(filled).with_columns(
        pl.col("last_contact_at").cast(MILLIS),
        pl.col("total_value").cast(pl.Decimal(38, 6)),
        pl.col("applied_offset").cast(pl.UInt64),
        *(pl.col(name).cast(pl.UInt64) for name in COUNTS),
    )
    store.insert("interaction_summary_state", frame)

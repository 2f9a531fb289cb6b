"""Rows of the summaries' state, as a worker writes and reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.fold import STATE_SCHEMA
from rapport.storage.stream import (
    read_summary_state,
)

if TYPE_CHECKING:
    from rapport.storage.client import Store

SOURCE = "cluster/interactions/0"


def state(applied_offset: int, **changes: Any) -> pl.DataFrame:
    row = {
        "tenant_id": "acme",
        "customer_id": "ann",
        "period_type": "alltime",
        "period_key": "alltime",
        "offer_id": "",
        "creative_id": "",
        "channel_id": "web",
        "source": SOURCE,
        "applied_offset": applied_offset,
        "impressions": 1,
        "positive": 2,
        "negative": 3,
        "neutral": 4,
        "converts": 5,
        "total_value": Decimal("6.000007"),
        "last_contact_at_ms": 1_773_585_000_008,
        "last_outcome": "click",
        "last_direction": "inbound",
    }
    return pl.DataFrame([row | changes], STATE_SCHEMA)


def read_state(store: Store, period_key: str = "alltime", **asked: str) -> pl.DataFrame:
    subject = ("tenant_id", "customer_id", "offer_id", "creative_id", "channel_id", "source")
    about = state(0).select(subject).with_columns(**{name: pl.lit(value) for name, value in asked.items()})
    return read_summary_state(store, about, [period_key])

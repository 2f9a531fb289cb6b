"""Rows of the summaries' state, as a worker writes and reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.fold import STATE_SCHEMA
from rapport.storage.customer_reads import read_stored_summaries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.domain.summaries import StoredSummary
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
        "block": 1,
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


def read_state(store: Store, period_key: str = "alltime", customer_id: str = "ann") -> pl.DataFrame:
    return frame_rows(read_stored_summaries(store, [("acme", customer_id)], [period_key]))


def frame_rows(rows: Iterable[StoredSummary]) -> pl.DataFrame:
    """Frame stored rows as ``pipeline.fold`` has them."""
    named = [{**row._asdict(), "last_contact_at_ms": row.last_contact_ms} for row in rows]
    return pl.DataFrame([{name: row[name] for name in STATE_SCHEMA} for row in named], STATE_SCHEMA)

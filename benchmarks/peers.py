"""The job that the peers of the stream do: the same four counts of each event, in one table."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

CONSUMING: Final = "first message"
"""Line that a peer prints once it has taken its first message."""
WINDOWS: Final = {"daily": timedelta(days=1), "weekly": timedelta(days=7), "monthly": timedelta(days=30)}
ALLTIME: Final = "alltime"
ROWS_PER_EVENT: Final = 4


def make_table_statement(table: str) -> str:
    """Make the statement that creates a peer's table."""
    return f"""
CREATE TABLE {table}
(
    period_type LowCardinality(String),
    tenant_id LowCardinality(String),
    customer_id String,
    offer_id String,
    creative_id String,
    channel_id String,
    outcome LowCardinality(String),
    contacts UInt64,
    occurred_at String
)
ENGINE = MergeTree ORDER BY (tenant_id, customer_id, period_type)
"""

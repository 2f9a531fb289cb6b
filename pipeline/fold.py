"""Batch fold: polars does to a whole batch what ``rapport.domain.summaries.fold`` does event by event.

A summary row counts one key in one block of one source's log. What the open blocks count so far is known by subject and
day, so a batch needs no summary row to write the next version of those that it changes.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.periods import PeriodType, make_period_key
from rapport.storage.stream import STATE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable

VALUE: Final = pl.Decimal(38, 6)
COUNTS: Final = ("impressions", "positive", "negative", "neutral", "converts")
_SUBJECT: Final[dict[str, Any]] = {
    **dict.fromkeys(("tenant_id", "customer_id", "offer_id", "creative_id", "channel_id", "source"), pl.String),
    "block": pl.UInt32,
}
_COUNT_COLUMNS: Final[dict[str, Any]] = {
    "applied_offset": pl.UInt64,
    **dict.fromkeys(COUNTS, pl.UInt64),
    "total_value": VALUE,
    "last_contact_at_ms": pl.Int64,
    "last_outcome": pl.String,
    "last_direction": pl.String,
}
STATE_SCHEMA: Final = pl.Schema({key: _SUBJECT.get(key, pl.String) for key in STATE_KEYS} | _COUNT_COLUMNS)
DAY_SCHEMA: Final = pl.Schema({**_SUBJECT, "local_date": pl.Date, **_COUNT_COLUMNS})
_DAY_KEYS: Final = (*_SUBJECT, "local_date")
_SORT_INDEX: Final = "sort_index"


class FoldedBatch(NamedTuple):
    """Result of folding a batch.

    Attributes:
        rows: The changed summary rows (``STATE_SCHEMA``).
        days: What blocks count after the batch, by subject and day (``DAY_SCHEMA``).
    """

    rows: pl.DataFrame
    days: pl.DataFrame


def select_contacts(events: pl.DataFrame) -> pl.DataFrame:
    """Select the events that count in summaries: all but recommendations."""
    return events.filter(pl.col("category") != OutcomeCategory.RECOMMENDATION.value)


def list_period_keys(days: Iterable[date]) -> pl.DataFrame:
    """List the periods that some calendar days lie in: columns local_date, period_type, period_key."""
    rows = [(day, p.value, make_period_key(p, day)) for day in days for p in PeriodType]
    schema = {"local_date": pl.Date, "period_type": pl.String, "period_key": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def count_days(contacts: pl.DataFrame) -> pl.DataFrame:
    """Count contacts by subject, block and day.

    Args:
        contacts: With the columns that ``_measure_contacts`` reads, and ``block``, in any order.

    Returns:
        Columns as ``DAY_SCHEMA``.
    """
    if contacts.is_empty():
        return DAY_SCHEMA.to_frame()
    return _total(_measure_contacts(contacts), _DAY_KEYS).cast(DAY_SCHEMA)


def fold_batch(days: pl.DataFrame, contacts: pl.DataFrame) -> FoldedBatch:
    """Fold contacts into the summary rows they count in.

    Args:
        days: What the open blocks count before the batch (``DAY_SCHEMA``).
        contacts: From :func:`select_contacts`, with their ``block``.
    """
    if contacts.is_empty():
        return FoldedBatch(STATE_SCHEMA.to_frame(), days)
    # By customer alone, which is cheaper; rows of their other subjects are left out below.
    is_touched = pl.col("customer_id").is_in(contacts["customer_id"].unique().implode())
    before = days.filter(is_touched)
    changed = pl.concat([before, count_days(contacts)])
    if not before.is_empty():
        changed = _total(changed.sort("last_contact_at_ms", maintain_order=True), _DAY_KEYS)
    first_offsets = contacts.group_by("source").agg(pl.col("offset").min().alias("first_offset"))
    rows = _by_period(changed, list_period_keys(changed["local_date"].unique()))
    rows = rows.join(first_offsets, on="source", how="left", maintain_order="left")
    return FoldedBatch(
        rows.filter(pl.col("applied_offset") >= pl.col("first_offset")).select(list(STATE_SCHEMA)),
        pl.concat([days.filter(~is_touched), changed]),
    )


def _measure_contacts(contacts: pl.DataFrame) -> pl.DataFrame:
    """Make one row per contact with its counts, ordered so that the last row of a group is the last contact."""
    is_response = pl.col("category") == OutcomeCategory.RESPONSE.value
    is_positive = pl.col("classification") == Classification.POSITIVE.value
    is_refund = pl.col("conversion_value") < 0
    return contacts.sort("occurred_at_ms", "offset", "item").select(
        *_DAY_KEYS,
        pl.col("offset").alias("applied_offset"),
        (pl.col("category") == OutcomeCategory.IMPRESSION.value).cast(pl.UInt64).alias("impressions"),
        (is_response & is_positive).cast(pl.UInt64).alias("positive"),
        (is_response & (pl.col("classification") == Classification.NEGATIVE.value)).cast(pl.UInt64).alias("negative"),
        (is_response & (pl.col("classification") == Classification.NEUTRAL.value)).cast(pl.UInt64).alias("neutral"),
        pl.col("is_conversion").cast(pl.UInt64).alias("converts"),
        pl.when(is_positive | is_refund).then(pl.col("conversion_value")).fill_null(0).cast(VALUE).alias("total_value"),
        pl.col("occurred_at_ms").alias("last_contact_at_ms"),
        pl.col("outcome").alias("last_outcome"),
        pl.col("direction").alias("last_direction"),
    )


def _total(rows: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    """Total rows by some keys; the last row of a group has its last contact."""
    indexes = [pl.col(_SORT_INDEX).min()] if _SORT_INDEX in rows.columns else []
    return rows.group_by(keys, maintain_order=True).agg(
        *indexes,
        pl.col("applied_offset").max(),
        *(pl.col(count).sum() for count in COUNTS),
        pl.col("total_value").sum(),
        pl.col("last_contact_at_ms").last(),
        pl.col("last_outcome").last(),
        pl.col("last_direction").last(),
    )


def _by_period(days: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """Roll daily totals up to periods; if every period holds one of the days, no sum is needed.

    The rows come in the order of the table's sorting key, or nearly so, which saves ClickHouse the sorting.
    """
    day_count = periods["local_date"].n_unique()
    rolled: list[pl.DataFrame] = []
    days = days.sort(list(_SUBJECT)).with_row_index(_SORT_INDEX)
    # A group's last row must stay its last contact.
    days = days.sort("last_contact_at_ms", "applied_offset") if day_count > 1 else days
    for period_type in PeriodType:
        keys = periods.filter(pl.col("period_type") == period_type.value)
        if day_count == 1:
            only = keys.row(0, named=True)
            rows = days.with_columns(period_type=pl.lit(only["period_type"]), period_key=pl.lit(only["period_key"]))
        else:
            rows = days.join(keys, on="local_date", how="left", maintain_order="left")
            if keys["period_key"].n_unique() < day_count:
                rows = _total(rows, STATE_KEYS)
        rolled.append(rows.select(_SORT_INDEX, *STATE_SCHEMA))
    return pl.concat(rolled).sort(_SORT_INDEX, "period_type", maintain_order=True).drop(_SORT_INDEX)

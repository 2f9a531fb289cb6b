"""Batch fold: polars does to a whole batch what ``rapport.domain.summaries.fold`` does event by event."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.periods import PeriodType, make_period_key
from rapport.storage.stream import STATE_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable

VALUE: Final = pl.Decimal(38, 6)
COUNTS: Final = ("impressions", "positive", "negative", "neutral", "converts")
_STATE_COLUMNS: Final[dict[str, Any]] = {
    **dict.fromkeys(STATE_KEYS, pl.String),
    "applied_offset": pl.UInt64,
    **dict.fromkeys(COUNTS, pl.UInt64),
    "total_value": VALUE,
    "last_contact_at_ms": pl.Int64,
    "last_outcome": pl.String,
    "last_direction": pl.String,
}
STATE_SCHEMA: Final = pl.Schema(_STATE_COLUMNS)
_SORT_INDEX: Final = "sort_index"
_SUBJECT: Final = ("tenant_id", "customer_id", "offer_id", "creative_id", "channel_id", "source")


def select_contacts(events: pl.DataFrame) -> pl.DataFrame:
    """Select the events that count in summaries: all but recommendations."""
    return events.filter(pl.col("category") != OutcomeCategory.RECOMMENDATION.value)


def list_period_keys(days: Iterable[date]) -> pl.DataFrame:
    """List the periods that some calendar days lie in: columns local_date, period_type, period_key."""
    rows = [(day, p.value, make_period_key(p, day)) for day in days for p in PeriodType]
    schema = {"local_date": pl.Date, "period_type": pl.String, "period_key": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def fold_batch(state: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Fold contacts into the summary rows they count in.

    Args:
        state: The newest rows of the keys in question (``STATE_SCHEMA``); empty if there are none.
        contacts: From :func:`select_contacts`, in the order of each source's log.

    Returns:
        The changed rows (``STATE_SCHEMA``).
    """
    if contacts.is_empty():
        return STATE_SCHEMA.to_frame()
    state = state.select(list(STATE_SCHEMA)).cast(STATE_SCHEMA) if state.width else STATE_SCHEMA.to_frame()
    added = _measure_contacts(contacts)
    periods = list_period_keys(contacts["local_date"].unique())
    if _is_reapplied(state, contacts):
        # After a crash some rows hold the batch already and some do not: decide row by row.
        already = state.select(*STATE_KEYS, pl.col("applied_offset").alias("already"))
        candidates = added.join(periods, on="local_date", how="left", maintain_order="left").join(
            already, on=STATE_KEYS, how="left", maintain_order="left"
        )
        pending = candidates.filter(pl.col("already").is_null() | (pl.col("applied_offset") > pl.col("already")))
        changes = _total(pending, STATE_KEYS)
    else:
        changes = _by_period(_total(added, (*_SUBJECT, "local_date")), periods)
    return _merge(state, changes)


def _measure_contacts(contacts: pl.DataFrame) -> pl.DataFrame:
    """Make one row per contact with its counts, ordered so that the last row of a group is the last contact."""
    is_response = pl.col("category") == OutcomeCategory.RESPONSE.value
    is_positive = pl.col("classification") == Classification.POSITIVE.value
    is_refund = pl.col("conversion_value") < 0
    return contacts.sort("occurred_at_ms", "offset", "item").select(
        *_SUBJECT,
        "local_date",
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
    """Roll daily totals up to periods; if every period holds one day of the batch, no sum is needed.

    The rows come in the order of the table's sorting key, or nearly so, which saves ClickHouse the sorting.
    """
    day_count = periods["local_date"].n_unique()
    rolled: list[pl.DataFrame] = []
    days = days.sort(_SUBJECT).with_row_index(_SORT_INDEX)
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


def _is_reapplied(state: pl.DataFrame, contacts: pl.DataFrame) -> bool:
    """Return whether any contact of the batch may already be in some row."""
    if state.is_empty():
        return False
    reached = state.group_by("source").agg(pl.col("applied_offset").max())
    first = contacts.group_by("source").agg(pl.col("offset").min())
    return not first.join(reached, on="source").filter(pl.col("offset") <= pl.col("applied_offset")).is_empty()


def _merge(state: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    if state.is_empty():
        return changes.select(list(STATE_SCHEMA))
    both = changes.join(state, on=STATE_KEYS, how="left", suffix="_before", maintain_order="left")
    is_last = pl.col("last_contact_at_ms_before").is_null() | (
        pl.col("last_contact_at_ms") >= pl.col("last_contact_at_ms_before")
    )
    return both.select(
        *STATE_KEYS,
        "applied_offset",
        *(pl.col(count) + pl.col(f"{count}_before").fill_null(0) for count in COUNTS),
        pl.col("total_value") + pl.col("total_value_before").fill_null(0),
        *(
            pl.when(is_last).then(pl.col(name)).otherwise(pl.col(f"{name}_before")).alias(name)
            for name in ("last_contact_at_ms", "last_outcome", "last_direction")
        ),
    ).cast(STATE_SCHEMA)

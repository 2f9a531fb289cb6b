from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_hexdigest

from pipeline.decode import EVENT_SCHEMA
from pipeline.fold import DAY_SCHEMA, STATE_SCHEMA, count_days, fold_batch, select_contacts
from rapport.domain.blocks import BlockPlace, LogPosition
from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.summaries import Contact, Summary, SummaryKey, fold
from rapport.kafka.sources import Source, make_event_id
from rapport.storage.customer_reads import read_stored_summaries
from rapport.storage.stream import read_block_contacts, write_interactions, write_summaries
from tests.fixtures.contacts import BLOCK_MESSAGES, SOURCES, flatten, log_pairs, single_logs
from tests.storage.state_rows import frame_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.storage.client import Store

LAW = settings(max_examples=40, deadline=None)
ON_THE_ENGINE = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Messages = list[list[Contact]]
Rows = dict[SummaryKey, Summary]
KEYS = [field.name for field in fields(SummaryKey)]
VALUES = [field.name for field in fields(Summary)]

FROM_HISTORY = """
SELECT
    tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source,
    toUInt32(intDiv(c.offset, 4) + 1) AS block,
    max(c.offset) AS applied_offset,
    sum(c.impressions) AS impressions,
    sum(c.positive) AS positive,
    sum(c.negative) AS negative,
    sum(c.neutral) AS neutral,
    sum(c.converts) AS converts,
    sum(c.value) AS total_value,
    toUnixTimestamp64Milli(max(c.occurred_at)) AS last_contact_at_ms,
    argMax(c.outcome, (c.occurred_at, c.offset, c.item)) AS last_outcome,
    argMax(c.direction, (c.occurred_at, c.offset, c.item)) AS last_direction
FROM interaction_contacts AS c
GROUP BY tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, block
"""


def source_named(name: str) -> Source:
    return Source("cluster", "interactions", 0, name, xxh3_64_hexdigest(name.encode())[:9])


def build_frame(contacts: Iterable[Contact]) -> pl.DataFrame:
    """Build decoded events from contacts; a value of zero is left out, as a producer may."""
    rows = [
        {
            **{name: getattr(c, name) for name in EVENT_SCHEMA if hasattr(c, name)},
            "id": make_event_id(c.occurred_at_ms, source_named(c.source), c.offset, c.item),
            "received_at_ms": c.occurred_at_ms,
            "local_date": c.local_day,
            "classification": c.classification.value,
            "category": c.category.value,
            "conversion_value": c.conversion_value or None,
            "placement_id": "",
            "recommendation_id": "",
            "rank": 0,
            "idempotency_key": f"{c.source}:{c.offset}:{c.item}",
            "key_hash": 0,
            "payload_hash": 0,
            "text_hash": 0,
            "context": "",
            "outcome_details": "",
            "metadata": "",
            "block": c.block,
        }
        for c in contacts
    ]
    return pl.DataFrame(
        rows, {**EVENT_SCHEMA, "block": pl.UInt32, "conversion_value": pl.Decimal(18, 6), "local_date": pl.Date}
    )


def to_summary_rows(frame: pl.DataFrame) -> Rows:
    rows = {
        SummaryKey(*(row[name] for name in KEYS)): Summary(**{name: row[name] for name in VALUES})
        for row in frame.iter_rows(named=True)
    }
    assert len(rows) == frame.height, "a key occurs twice"
    return rows


def fold_frames(days: pl.DataFrame, contacts: Iterable[Contact]) -> tuple[Rows, pl.DataFrame]:
    folded = fold_batch(days, select_contacts(build_frame(contacts)))
    assert folded.rows.schema == STATE_SCHEMA
    return to_summary_rows(folded.rows), folded.days


def count_open(log: Messages, until: int) -> pl.DataFrame:
    """Count by day what the open block of a log has before a message."""
    first = (until - 1) // BLOCK_MESSAGES * BLOCK_MESSAGES if until else 0
    return count_days(select_contacts(build_frame(flatten(log[first:until]))))


def in_order(days: pl.DataFrame) -> pl.DataFrame:
    return days.select(list(DAY_SCHEMA)).sort(list(DAY_SCHEMA))


@LAW
@given(logs=log_pairs)
def test_the_batch_fold_agrees_with_the_reference(logs: list[Messages]):
    contacts = flatten([*logs[0], *logs[1]])
    assert fold_frames(DAY_SCHEMA.to_frame(), contacts)[0] == fold({}, contacts)


@LAW
@given(logs=log_pairs, data=st.data())
def test_the_batch_fold_agrees_with_the_reference_on_top_of_the_open_blocks(logs: list[Messages], data: st.DataObject):
    cuts = [data.draw(st.integers(0, len(log))) for log in logs]
    before = fold({}, flatten(message for log, cut in zip(logs, cuts, strict=True) for message in log[:cut]))
    contacts = flatten(message for log, cut in zip(logs, cuts, strict=True) for message in log[cut:])
    days = pl.concat([count_open(log, cut) for log, cut in zip(logs, cuts, strict=True)])
    assert fold_frames(days, contacts)[0] == fold(before, contacts)


@LAW
@given(log=single_logs, data=st.data())
def test_neither_rows_nor_days_depend_on_batch_boundaries(log: Messages, data: st.DataObject):
    rows: Rows = {}
    days, start = DAY_SCHEMA.to_frame(), 0
    while start < len(log):
        end = data.draw(st.integers(start + 1, len(log)))
        changed, days = fold_frames(days, flatten(log[start:end]))
        rows |= changed
        days = days.filter(pl.col("block") == (end - 1) // BLOCK_MESSAGES + 1)  # what a worker keeps
        assert in_order(days).equals(in_order(count_open(log, end)))
        start = end
    assert rows == fold({}, flatten(log))


@ON_THE_ENGINE
@given(logs=log_pairs, data=st.data())
def test_the_history_in_sql_agrees_with_the_folds(store: Store, logs: list[Messages], data: st.DataObject):
    store.client.command("TRUNCATE TABLE interaction_log")
    contacts = flatten([*logs[0], *logs[1]])
    write_interactions(store, build_frame(contacts))
    again = data.draw(st.lists(st.sampled_from(contacts), max_size=5)) if contacts else []
    write_interactions(store, build_frame(again))  # a crash wrote some of them twice
    from_history = pl.DataFrame(store.client.query_arrow(FROM_HISTORY, use_strings=True))
    rows, _ = fold_frames(DAY_SCHEMA.to_frame(), contacts)
    assert to_summary_rows(from_history) == fold({}, contacts) == rows
    cuts = [data.draw(st.integers(0, len(log))) for log in logs]
    positions = {
        source: LogPosition(
            cut, BlockPlace((cut - 1) // BLOCK_MESSAGES + 1, (cut - 1) // BLOCK_MESSAGES * 4, 1, 1_773_585_000_000)
        )
        for source, cut in zip(SOURCES, cuts, strict=True)
        if cut
    }
    found = count_days(read_block_contacts(store, positions)) if positions else DAY_SCHEMA.to_frame()
    counted = pl.concat([count_open(log, cut) for log, cut in zip(logs, cuts, strict=True)])
    assert in_order(found).equals(in_order(counted))


@ON_THE_ENGINE
@given(logs=log_pairs)
def test_folded_rows_survive_a_round_trip_through_the_store(store: Store, logs: list[Messages]):
    store.client.command("TRUNCATE TABLE interaction_summary_state")
    frame = select_contacts(build_frame(flatten([*logs[0], *logs[1]])))
    rows = fold_batch(DAY_SCHEMA.to_frame(), frame).rows
    write_summaries(store, rows)
    found = frame_rows(read_stored_summaries(store, set(frame.select("tenant_id", "customer_id").iter_rows())))
    assert to_summary_rows(found) == to_summary_rows(rows)


def test_no_contacts_change_nothing():
    nothing = DAY_SCHEMA.to_frame()
    for empty in (build_frame([]), select_contacts(build_frame([]))):
        folded = fold_batch(nothing, empty)
        assert (folded.rows.schema, folded.days.schema) == (STATE_SCHEMA, DAY_SCHEMA)
        assert folded.rows.is_empty()


def test_recommendations_are_not_contacts():
    frame = build_frame([]).clear(3).with_columns(category=pl.Series(["recommendation", "response", "impression"]))
    assert select_contacts(frame)["category"].to_list() == ["response", "impression"]


@pytest.mark.parametrize("batches", [1, 2])
def test_a_contact_at_midnight_counts_in_the_new_day_of_its_tenant(batches: int):
    midnight = round(datetime(2024, 12, 29, 11, tzinfo=UTC).timestamp() * 1000)  # in Auckland
    days = [datetime(2024, 12, day, tzinfo=UTC).date() for day in (29, 30)]
    first = Contact(
        tenant_id="kiwi",
        customer_id="ann",
        offer_id="",
        creative_id="",
        channel_id="",
        source="s",
        offset=0,
        item=0,
        occurred_at_ms=midnight - 1,
        local_day=days[0],
        outcome="click",
        classification=Classification.POSITIVE,
        category=OutcomeCategory.RESPONSE,
        is_conversion=False,
        direction="inbound",
    )
    second = replace(first, offset=1, occurred_at_ms=midnight, local_day=days[1])
    rows: Rows = {}
    folded = DAY_SCHEMA.to_frame()
    for batch in ([[first, second]], [[first], [second]])[batches - 1]:
        changed, folded = fold_frames(folded, batch)
        rows |= changed
    counts = {key.period_key: row.positive for key, row in rows.items()}
    assert counts == {
        "2024-12-29": 1,
        "2024-12-30": 1,
        "2024-W52": 1,
        "2025-W01": 1,
        "2024-12": 2,
        "alltime": 2,
    }

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
from pipeline.fold import STATE_SCHEMA, fold_batch, list_period_keys, select_contacts
from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.summaries import Contact, Summary, SummaryKey, fold
from rapport.kafka.sources import Source, make_event_id
from rapport.storage.stream import read_summary_state, write_interactions, write_summaries
from tests.fixtures.contacts import flatten, log_pairs, single_logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
GROUP BY tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source
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
        }
        for c in contacts
    ]
    return pl.DataFrame(rows, {**EVENT_SCHEMA, "conversion_value": pl.Decimal(18, 6), "local_date": pl.Date})


def to_summary_rows(frame: pl.DataFrame) -> Rows:
    rows = {
        SummaryKey(*(row[name] for name in KEYS)): Summary(**{name: row[name] for name in VALUES})
        for row in frame.iter_rows(named=True)
    }
    assert len(rows) == frame.height, "a key occurs twice"
    return rows


def to_state_frame(rows: Mapping[SummaryKey, Summary]) -> pl.DataFrame:
    named = [
        {name: getattr(key, name) for name in KEYS} | {name: getattr(row, name) for name in VALUES}
        for key, row in rows.items()
    ]
    return pl.DataFrame(named, STATE_SCHEMA)


def fold_frames(state: Mapping[SummaryKey, Summary], contacts: Iterable[Contact]) -> Rows:
    return to_summary_rows(fold_batch(to_state_frame(state), select_contacts(build_frame(contacts))))


@LAW
@given(logs=log_pairs)
def test_the_batch_fold_agrees_with_the_reference(logs: list[Messages]):
    contacts = flatten([*logs[0], *logs[1]])
    assert fold_frames({}, contacts) == fold({}, contacts)


@LAW
@given(logs=log_pairs, data=st.data())
def test_the_batch_fold_agrees_with_the_reference_on_top_of_earlier_batches(logs: list[Messages], data: st.DataObject):
    cuts = [data.draw(st.integers(0, len(log))) for log in logs]
    before = fold({}, flatten(message for log, cut in zip(logs, cuts, strict=True) for message in log[:cut]))
    contacts = flatten(message for log, cut in zip(logs, cuts, strict=True) for message in log[cut:])
    assert fold_frames(before, contacts) == fold(before, contacts)


@LAW
@given(logs=log_pairs, data=st.data())
def test_the_batch_fold_agrees_with_the_reference_after_a_crash_during_a_write(
    logs: list[Messages], data: st.DataObject
):
    contacts = flatten([*logs[0], *logs[1]])
    whole = fold({}, contacts)
    stored = data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
    found = {key: row for (key, row), is_stored in zip(whole.items(), stored, strict=True) if is_stored}
    again = fold_frames(found, contacts)
    assert again == fold(found, contacts)
    assert found | again == whole


@LAW
@given(log=single_logs, data=st.data())
def test_the_fold_does_not_depend_on_batch_boundaries(log: Messages, data: st.DataObject):
    rows: Rows = {}
    start = 0
    while start < len(log):
        # A batch may start before where the rows are: what they hold already is passed over.
        end = data.draw(st.integers(start + 1, len(log)))
        overlap = data.draw(st.integers(0, start))
        rows |= fold_frames(rows, flatten(log[overlap:end]))
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
    assert to_summary_rows(from_history) == fold({}, contacts) == fold_frames({}, contacts)


@ON_THE_ENGINE
@given(logs=log_pairs)
def test_folded_rows_survive_a_round_trip_through_the_store(store: Store, logs: list[Messages]):
    store.client.command("TRUNCATE TABLE interaction_summary_state")
    frame = select_contacts(build_frame(flatten([*logs[0], *logs[1]])))
    folded = fold_batch(pl.DataFrame(), frame)
    write_summaries(store, folded)
    periods = list_period_keys(frame["local_date"].unique())["period_key"].unique()
    found = read_summary_state(store, frame, periods)
    assert to_summary_rows(found) == to_summary_rows(folded)
    assert fold_batch(found, frame).is_empty()


def test_no_contacts_change_no_rows():
    state = to_state_frame({})
    for empty in (build_frame([]), select_contacts(build_frame([]))):
        assert fold_batch(state, empty).schema == STATE_SCHEMA
        assert fold_batch(pl.DataFrame(), empty).is_empty()


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
    for batch in ([[first, second]], [[first], [second]])[batches - 1]:
        rows |= fold_frames(rows, batch)
    counts = {key.period_key: row.positive for key, row in rows.items()}
    assert counts == {
        "2024-12-29": 1,
        "2024-12-30": 1,
        "2024-W52": 1,
        "2025-W01": 1,
        "2024-12": 2,
        "alltime": 2,
    }

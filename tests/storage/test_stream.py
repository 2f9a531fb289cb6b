from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pipeline.batch import FetchedRecord, Partition
from pipeline.decode import DecodedBatch, decode_batch
from pipeline.fold import STATE_SCHEMA
from pipeline.tenant_cache import TenantCache
from rapport.domain.blocks import BlockPlace, LogPosition, begin_blocks
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, group_versions
from rapport.domain.tenants import Tenant
from rapport.kafka.sources import name_source
from rapport.storage.sources import begin_generation
from rapport.storage.stream import (
    DeadLetter,
    Progress,
    read_accepted,
    read_all_claims,
    read_claims,
    read_generation,
    read_positions,
    read_progress,
    write_claims,
    write_dead_letters,
    write_decisions,
    write_interactions,
    write_progress,
    write_summaries,
)
from tests.fixtures.events import CLICK, DECISION, to_json
from tests.storage.state_rows import SOURCE, read_state, state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.storage.client import Store

P0 = Partition("interactions", 0)
OTHER = "cluster/interactions/1"
OUTCOMES = group_versions(DEFAULT_OUTCOME_TYPES)
TENANTS = {name: Tenant(name, name, "UTC", OUTCOMES) for name in ("acme", "globex")}
PROGRESS = Progress(
    source=SOURCE,
    cluster_id="cluster",
    topic="interactions",
    partition=0,
    position=LogPosition(7, BlockPlace(2, 5, 2, 1_773_585_000_000)),
    last_occurred_at_ms=1_773_585_000_000,
    last_received_at_ms=1_773_585_000_001,
    batch_messages=5,
    batch_events=4,
    worker="host:1",
)
LETTER = DeadLetter(
    tenant_id="acme",
    code="bad_json",
    detail="It's \\ broken.",
    cluster_id="cluster",
    topic="interactions",
    partition=0,
    source=SOURCE,
    offset=7,
    item=2,
    key=b"acme:\xff\0",
    value=bytes(range(256)),
    received_at_ms=1_773_585_000_000,
)


def decode_now(*values: object, first_offset: int = 0, partition: Partition = P0) -> DecodedBatch:
    """Decode a batch of messages that are received now."""
    now = time.time_ns() // 1_000_000
    records = [FetchedRecord(first_offset + n, now, None, to_json(value)) for n, value in enumerate(values)]
    tenant_cache = TenantCache(lambda: TENANTS, refresh_s=10)
    tenant_cache.refresh()
    return decode_batch({partition: records}, {partition: name_source("cluster", *partition, 0)}, tenant_cache)


def events(*values: object, first_offset: int = 0, partition: Partition = P0) -> pl.DataFrame:
    return decode_now(*values, first_offset=first_offset, partition=partition).events


def merge(store: Store, table: str) -> None:
    store.client.command(f"OPTIMIZE TABLE {table} FINAL")


def test_progress_is_where_the_next_batch_starts(store: Store):
    write_progress(store, [PROGRESS, replace(PROGRESS, source=OTHER, partition=1, position=begin_blocks(2**40))])
    assert read_progress(store, [SOURCE, OTHER, "nowhere"]) == {SOURCE: 7, OTHER: 2**40}
    assert read_progress(store, []) == {}


@pytest.mark.parametrize("is_merged", [False, True])
def test_progress_never_goes_back(store: Store, is_merged: bool):  # noqa: FBT001
    for next_offset in (7, 9, 8, 3):
        position = LogPosition(next_offset, BlockPlace(next_offset // 3, next_offset // 3 * 3, 1, 1_773_585_000_000))
        write_progress(store, [replace(PROGRESS, position=position, worker=f"worker-{next_offset}")])
        if is_merged:
            merge(store, "stream_progress")
    assert read_positions(store, [SOURCE]) == {SOURCE: (LogPosition(9, BlockPlace(3, 9, 1, 1_773_585_000_000)), True)}
    lag = store.client.query("SELECT next_offset, worker, last_occurred_at FROM stream_lag").result_rows
    assert lag == [(9, "worker-9", datetime(2026, 3, 15, 14, 30, tzinfo=UTC))]


def test_a_topic_that_was_recreated_has_a_new_generation(store: Store):
    assert read_generation(store, "cluster", "interactions") == 0
    assert [begin_generation(store, "cluster", "interactions", "it's new") for _ in range(2)] == [1, 2]
    assert read_generation(store, "cluster", "interactions") == 2
    assert read_generation(store, "cluster", "other") == read_generation(store, "other", "interactions") == 0


def test_a_claim_is_read_by_other_sources_and_by_later_messages_of_its_own(store: Store):
    write_claims(store, events(CLICK, first_offset=5))
    for asking, first_offset, partition in ((OTHER, 0, Partition("interactions", 1)), (SOURCE, 6, P0)):
        found = read_claims(
            store, events(CLICK, first_offset=first_offset, partition=partition), {asking: first_offset}
        )
        assert found.select("source", "offset", "item", "has_yielded").rows() == [(SOURCE, 5, 0, 0)]
    assert read_claims(store, events(CLICK, first_offset=5), {SOURCE: 5}).is_empty()


def test_each_source_of_a_batch_has_its_own_start(store: Store):
    ours = events(CLICK, CLICK, first_offset=5)
    theirs = events(CLICK, CLICK, first_offset=2, partition=Partition("interactions", 1))
    write_claims(store, pl.concat([ours, theirs]))
    found = read_claims(store, ours, {SOURCE: 6, OTHER: 3})
    assert sorted(found.select("source", "offset").iter_rows()) == [(SOURCE, 5), (OTHER, 2), (OTHER, 3)]


@pytest.mark.parametrize("other", [{"customerId": "bob"}, {"tenantId": "globex"}, {"idempotencyKey": "k2"}])
def test_claims_of_other_keys_are_left_out(store: Store, other: Mapping[str, str]):
    write_claims(store, events(CLICK, first_offset=5))
    asked = events({**CLICK, **other})
    assert asked.height == 1
    assert read_claims(store, asked, {OTHER: 0}).is_empty()


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_lost_claim_stays_lost(store: Store, is_merged: bool):  # noqa: FBT001
    claimed = events(CLICK)
    for has_yielded in (False, True, False):
        write_claims(store, claimed, has_yielded=has_yielded)
    if is_merged:
        merge(store, "event_claims")
    found = read_all_claims(store, claimed)
    assert found["has_yielded"].to_list() == [1]


def test_a_claim_keeps_its_time_and_payload_hash(store: Store):
    claimed = events(CLICK)
    write_claims(store, claimed)
    found = read_all_claims(store, claimed)
    same = ["key_hash", "payload_hash", "received_at_ms"]
    assert found.select(same).rows() == claimed.select(same).rows()
    assert 0 <= found["age_s"].item() < 60


def test_the_age_of_a_repeated_claim_is_that_of_the_last_write(store: Store):
    claimed = events(CLICK)
    write_claims(store, claimed)
    store.client.command(
        "INSERT INTO event_claims SELECT * REPLACE (stored_at - INTERVAL 10 MINUTE AS stored_at) FROM event_claims"
    )
    write_claims(store, claimed)
    assert read_all_claims(store, claimed)["age_s"].item() < 60


def test_claims_are_kept_longer_than_the_horizon_after_the_write(store: Store):
    month_ago = pl.col("received_at_ms") - 30 * 86_400_000
    claimed = events(CLICK).with_columns(received_at_ms=month_ago)
    write_claims(store, claimed)
    merge(store, "event_claims")
    assert read_all_claims(store, claimed).height == 1


def test_events_in_the_history_are_accepted_items_of_their_message(store: Store):
    batch = events([CLICK, {**CLICK, "idempotencyKey": "k2"}], {**CLICK, "idempotencyKey": "k3"}, first_offset=5)
    write_interactions(store, batch.filter((pl.col("offset") == 6) | (pl.col("item") == 1)))
    asked = batch.select("tenant_id", "customer_id", "source", "offset")
    assert read_accepted(store, asked) == {(SOURCE, 5, 1), (SOURCE, 6, 0)}
    assert read_accepted(store, asked.with_columns(source=pl.lit(OTHER))) == set()
    assert read_accepted(store, asked.with_columns(customer_id=pl.lit("bob"))) == set()


def test_interactions_written_twice_are_in_the_history_once_as_they_were_sent(store: Store):
    said = {"offerId": "o", "conversionValue": 12.34, "rank": 3, "context": {"a": "it's"}, "unknown": 1}
    batch = events({**CLICK, **said}, {**CLICK, "idempotencyKey": "k2"})
    for _ in range(2):
        write_interactions(store, batch)
    columns = "idempotency_key, offer_id, creative_id, conversion_value, rank, context, metadata, direction"
    rows = store.client.query(f"SELECT {columns} FROM interactions ORDER BY idempotency_key").result_rows
    assert rows == [
        ("k1", "o", None, Decimal("12.34"), 3, '{"a": "it\'s"}', '{"unknown":1}', "inbound"),
        ("k2", None, None, None, None, "", "", "inbound"),
    ]


def test_decisions_written_twice_are_kept_once(store: Store):
    decisions = decode_now({**DECISION, "decision": {"offers": [1]}}).decisions
    for _ in range(2):
        write_decisions(store, decisions)
    rows = store.client.query("SELECT recommendation_id, decision FROM decisions FINAL").result_rows
    assert rows == [("r1", '{"offers": [1]}')]


def test_summary_rows_are_read_as_written(store: Store):
    write_summaries(store, state(7))
    assert read_state(store).select(STATE_SCHEMA.names()).cast(STATE_SCHEMA).equals(state(7))


@pytest.mark.parametrize("is_merged", [False, True])
def test_the_version_of_a_summary_row_with_the_highest_applied_offset_counts(store: Store, is_merged: bool):  # noqa: FBT001
    for applied_offset in (7, 9, 8):
        write_summaries(store, state(applied_offset, positive=applied_offset))
    if is_merged:
        merge(store, "interaction_summary_state")
    assert read_state(store).select("applied_offset", "positive").rows() == [(9, 9)]
    seen = store.client.query("SELECT positive FROM interaction_summaries WHERE scope = 'offer'").result_rows
    assert seen == [(9,)]


@pytest.mark.parametrize("asked", [{"customer_id": "bob"}, {"period_key": "2026-03"}])
def test_only_the_given_rows_are_read(store: Store, asked: dict[str, str]):
    write_summaries(store, state(7))
    assert read_state(store, **asked).is_empty()


def test_the_view_adds_the_sources_up_and_takes_the_last_contact_of_the_latest(store: Store):
    write_summaries(store, state(7))
    later = {"last_contact_at_ms": 1_773_585_000_009, "last_outcome": "dismiss", "last_direction": "outbound"}
    write_summaries(store, state(3, source=OTHER, **later))
    columns = "impressions, positive, negative, neutral, converts, total_value, last_outcome, last_direction"
    for scope in ("offer", "channel"):
        rows = store.client.query(f"SELECT {columns} FROM interaction_summaries WHERE scope = '{scope}'").result_rows
        assert rows == [(2, 4, 6, 8, 10, Decimal("12.000014"), "dismiss", "outbound")]


def test_dead_letters_keep_their_bytes_and_are_the_same_when_written_again(store: Store):
    for _ in range(2):
        write_dead_letters(store, [LETTER, replace(LETTER, item=3)])
    columns = "id, tenant_id, code, detail, hex(key), hex(value), received_at"
    rows = store.client.query(f"SELECT {columns} FROM dead_letters ORDER BY id").result_rows
    assert len(rows) == 2
    assert rows[0] == (
        "cluster/interactions/0:7:2",
        "acme",
        "bad_json",
        "It's \\ broken.",
        LETTER.key.hex().upper(),
        LETTER.value.hex().upper(),
        datetime(2026, 3, 15, 14, 30, tzinfo=UTC),
    )


def test_empty_frames_can_be_written(store: Store):
    write_claims(store, events())
    write_interactions(store, events())
    write_decisions(store, decode_now().decisions)
    write_summaries(store, STATE_SCHEMA.to_frame())
    write_summaries(store, pl.DataFrame())
    write_progress(store, [])
    write_dead_letters(store, [])

"""A log applied to the tables as a worker applies it, and what the tables then count."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.batch import FetchedRecord, Partition, pass_records
from pipeline.decode import decode_batch
from pipeline.fold import COUNTS, STATE_SCHEMA, count_days, fold_batch, select_contacts
from pipeline.prepare import add_blocks
from pipeline.tenant_cache import TenantCache
from rapport.domain.blocks import BlockStart, LogPosition, begin_blocks
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, Classification, OutcomeCategory, OutcomeType, group_versions
from rapport.domain.tenants import Tenant
from rapport.kafka.sources import name_source
from rapport.storage.reconcile import Reconciliation, reconcile
from rapport.storage.stream import (
    STATE_KEYS,
    Progress,
    read_block_contacts,
    read_positions,
    write_interactions,
    write_progress,
    write_summaries,
)
from tests.fixtures.events import CLICK, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.storage.client import Store

REFUND = OutcomeType(
    key="refund", classification=Classification.NEGATIVE, category=OutcomeCategory.RESPONSE, allows_negative_value=True
)
OUTCOMES = group_versions([*DEFAULT_OUTCOME_TYPES, REFUND])
TENANTS = {name: Tenant(name, name, zone, OUTCOMES) for name, zone in (("acme", "UTC"), ("kiwi", "Pacific/Auckland"))}
SOURCES = ["cluster/interactions/0", "cluster/interactions/1"]
SUBJECT_KEYS = STATE_KEYS[:-1]
HOUR_MS = 3_600_000
NOW = 1_773_585_000_000
LOG = [
    {"offerId": "loan", "conversionValue": 1.5, "timestamp": NOW - 50 * HOUR_MS},
    {"offerId": "loan", "outcome": "dismiss", "timestamp": NOW - 60 * HOUR_MS},
    {"customerId": "bob", "channelId": "web", "outcome": "impression"},
    {"tenantId": "kiwi", "outcome": "convert", "conversionValue": 7},
    {"outcome": "recommendation"},
    {"offerId": "loan", "conversionValue": 2.25, "timestamp": NOW - 1 * HOUR_MS},
]


def apply_messages(
    store: Store,
    messages: Sequence[dict[str, Any] | list[dict[str, Any]]],
    *,
    partition: int = 0,
    first_offset: int = 0,
    received_at_ms: int = NOW,
    crash: str = "",
    block_events: int = 100,
) -> None:
    """Apply some messages, each of one event or several, as a worker does, up to the step where it crashes."""
    place = Partition("interactions", partition)
    source = name_source("cluster", *place, 0)
    records = [
        FetchedRecord(
            offset,
            received_at_ms,
            None,
            to_json([{**CLICK, "idempotencyKey": f"{partition}:{offset}", **m} for m in items]),
        )
        for offset, items in enumerate(([m] if isinstance(m, dict) else m for m in messages), first_offset)
    ]
    tenant_cache = TenantCache(lambda: TENANTS, refresh_s=10)
    tenant_cache.refresh()
    events = decode_batch({place: records}, {place: source}, tenant_cache).events
    recorded = read_positions(store, [source.name]).get(source.name)
    start = LogPosition(first_offset, recorded.position.place) if recorded else begin_blocks(first_offset)
    end, begun = pass_records(start, records, block_events)
    events = add_blocks(events, {source.name: (BlockStart(0, start.place.block), *begun)})
    days = count_days(read_block_contacts(store, {source.name: start}))
    write_interactions(store, events)
    if crash == "interactions":
        return
    write_summaries(store, fold_batch(days, select_contacts(events)).rows)
    if crash == "summaries":
        return
    progress = Progress(
        source=source.name,
        cluster_id="cluster",
        topic="interactions",
        partition=partition,
        position=end,
        last_occurred_at_ms=NOW,
        last_received_at_ms=NOW,
        batch_messages=len(messages),
        batch_events=events.height,
        worker="host:1",
    )
    write_progress(store, [progress])


def compared(store: Store) -> Reconciliation:
    return reconcile(store, sleep=lambda _seconds: None)


def read_rows(store: Store) -> pl.DataFrame:
    """Read what the current summary rows count, all blocks together."""
    counts = ", ".join(f"sum({name})" for name in (*COUNTS, "total_value"))
    keys = ", ".join(SUBJECT_KEYS)
    sql = f"""
        SELECT {keys}, {counts}, max(last_contact_at), argMax(last_outcome, (last_contact_at, block)),
            argMax(last_direction, (last_contact_at, block))
        FROM interaction_summary_state FINAL
        GROUP BY {keys} HAVING sum(impressions + positive + negative + neutral) > 0 ORDER BY {keys}
    """
    return pl.DataFrame(store.client.query(sql).result_rows, orient="row")


def read_recorded(store: Store, *sources: str) -> dict[str, LogPosition]:
    return {source: recorded.position for source, recorded in read_positions(store, sources).items()}


def tamper(store: Store, **changes: object) -> pl.DataFrame:
    """Overwrite ann's all-time row for the loan in the first source; return the wrong row."""
    row = {
        "tenant_id": "acme",
        "customer_id": "ann",
        "period_type": "alltime",
        "period_key": "alltime",
        "offer_id": "loan",
        "creative_id": "",
        "channel_id": "",
        "source": SOURCES[0],
        "block": 1,
        "applied_offset": 5,
        "impressions": 0,
        "positive": 2,
        "negative": 1,
        "neutral": 0,
        "converts": 0,
        "total_value": Decimal("3.75"),
        "last_contact_at_ms": NOW - HOUR_MS,
        "last_outcome": "click",
        "last_direction": "inbound",
    }
    wrong = pl.DataFrame([row | changes], STATE_SCHEMA)
    write_summaries(store, wrong)
    return wrong.select(SUBJECT_KEYS)


def list_blocks(store: Store) -> list[int]:
    """List the blocks with rows that count something."""
    sql = "SELECT DISTINCT block FROM interaction_summary_state FINAL WHERE positive + impressions > 0 ORDER BY 1"
    return [row[0] for row in store.client.query(sql).result_rows]

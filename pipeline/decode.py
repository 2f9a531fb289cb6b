"""Decoding of a batch of messages into one frame of events; messages that cannot be used become dead letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
from xxhash import xxh3_64_intdigest

from pipeline.dead_letters import make_dead_letter
from rapport.domain.events import (
    NO_OBJECT,
    DecisionMade,
    InteractionRecorded,
    decode_message,
    resolve_time,
)
from rapport.domain.outcomes import explain_negative_value
from rapport.domain.payloads import hash_payload
from rapport.domain.rejections import Rejection, RejectionCode
from rapport.domain.times import LATEST_MS
from rapport.kafka.decompression import find_rejection
from rapport.kafka.sources import make_event_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.batch import Partition, Record
    from pipeline.tenant_cache import TenantCache
    from rapport.kafka.sources import Source
    from rapport.storage.stream import DeadLetter

EVENT_SCHEMA: Final[Mapping[str, Any]] = {
    "tenant_id": pl.String,
    "customer_id": pl.String,
    "id": pl.String,
    "source": pl.String,
    "offset": pl.UInt64,
    "item": pl.UInt32,
    "received_at_ms": pl.Int64,
    "occurred_at_ms": pl.Int64,
    "outcome": pl.String,
    "classification": pl.String,
    "category": pl.String,
    "is_conversion": pl.Boolean,
    "direction": pl.String,
    "offer_id": pl.String,
    "creative_id": pl.String,
    "channel_id": pl.String,
    "placement_id": pl.String,
    "conversion_value": pl.Float64,
    "recommendation_id": pl.String,
    "rank": pl.UInt16,
    "idempotency_key": pl.String,
    "key_hash": pl.UInt64,
    "payload_hash": pl.UInt64,
    "text_hash": pl.UInt64,
    "context": pl.String,
    "outcome_details": pl.String,
    "metadata": pl.String,
}
DECISION_SCHEMA: Final[Mapping[str, Any]] = {
    "tenant_id": pl.String,
    "customer_id": pl.String,
    "recommendation_id": pl.String,
    "occurred_at_ms": pl.Int64,
    "received_at_ms": pl.Int64,
    "decision": pl.String,
    "source": pl.String,
    "offset": pl.UInt64,
}
VALUE: Final = pl.Decimal(18, 6)


@dataclass(slots=True)
class DecodedBatch:
    """A batch after decoding.

    Attributes:
        events: Interactions (``EVENT_SCHEMA`` plus ``local_date``; ``conversion_value`` as Decimal(18, 6)), in the
            order of each partition's log.
        decisions: Recommendations (``DECISION_SCHEMA``).
        dead_letters: Messages and items that cannot be used.
        items: The JSON text of every event, by source and offset of its message, in the message's order.
    """

    events: pl.DataFrame
    decisions: pl.DataFrame
    dead_letters: list[DeadLetter]
    items: Mapping[tuple[str, int], Sequence[bytes]]


def decode_batch(
    slices: Mapping[Partition, Sequence[Record]],
    sources: Mapping[Partition, Source],
    tenant_cache: TenantCache,
    set_aside: Mapping[tuple[Partition, int], Rejection] = MappingProxyType({}),
) -> DecodedBatch:
    """Decode and classify every message of a batch.

    An unknown tenant or outcome is looked up once more in the store before it counts as unknown.

    Args:
        slices: The messages, by partition.
        sources: The sources of the partitions.
        tenant_cache: Tenants and their outcome types.
        set_aside: Messages, by partition and offset, that become dead letters without being decoded, with the reason.
    """
    run = _Decoder(tenant_cache)
    for partition, records in slices.items():
        source = sources[partition]
        for record in records:
            run.add_message(source, record, set_aside.get((partition, record.offset)) if set_aside else None)
    events = _frame(run.events, EVENT_SCHEMA).with_columns(conversion_value=pl.col("conversion_value").cast(VALUE))
    decisions = _frame(run.decisions, DECISION_SCHEMA)
    return DecodedBatch(_with_local_date(events, tenant_cache), decisions, run.dead_letters, run.items)


def _frame(rows: Sequence[tuple[Any, ...]], schema: Mapping[str, Any]) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pl.DataFrame(
        [pl.Series(name, list(values), dtype) for (name, dtype), values in zip(schema.items(), columns, strict=True)]
    )


def _with_local_date(events: pl.DataFrame, tenant_cache: TenantCache) -> pl.DataFrame:
    """Add the calendar day of each event in its tenant's time zone."""
    zones = {tenant: tenant_cache.find_time_zone(tenant) or "UTC" for tenant in events["tenant_id"].unique()}
    instant = pl.col("occurred_at_ms").cast(pl.Datetime("ms", "UTC"))
    if len(set(zones.values())) <= 1:
        zone = next(iter(zones.values()), "UTC")
        return events.with_columns(local_date=instant.dt.convert_time_zone(zone).dt.date())
    day = pl.lit(None, pl.Date)
    for zone in sorted(set(zones.values())):
        tenants = [tenant for tenant, its_zone in zones.items() if its_zone == zone]
        local = instant.dt.convert_time_zone(zone).dt.date()
        day = pl.when(pl.col("tenant_id").is_in(tenants)).then(local).otherwise(day)
    return events.with_columns(local_date=day)


@dataclass(slots=True)
class _Decoder:
    """Decoder of one batch: appends each message's events, decisions and dead letters to its lists."""

    tenant_cache: TenantCache
    events: list[tuple[Any, ...]] = field(default_factory=list)
    decisions: list[tuple[Any, ...]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    items: dict[tuple[str, int], Sequence[bytes]] = field(default_factory=dict)
    has_refreshed: bool = False

    def add_message(self, source: Source, record: Record, rejection: Rejection | None = None) -> None:
        items = rejection or find_rejection(record.value) or decode_message(record.value)
        if not isinstance(items, Rejection) and not 0 <= record.timestamp <= LATEST_MS:
            items = Rejection(
                RejectionCode.TIMESTAMP_OUT_OF_RANGE, "The message's own timestamp must lie between 1970 and 2100."
            )
        if isinstance(items, Rejection):
            self.dead_letters.append(make_dead_letter(source, record, 0, record.value or b"", items))
            return
        self.items[source.name, record.offset] = [text for text, _ in items]
        for index, (text, event) in enumerate(items):
            if isinstance(event, InteractionRecorded):
                why = self._add_interaction(source, record, index, event)
            elif isinstance(event, DecisionMade):
                why = self._add_decision(source, record, event)
            else:
                why = event
            if why is not None:
                self.dead_letters.append(make_dead_letter(source, record, index, text, why))

    def _add_interaction(
        self, source: Source, record: Record, index: int, event: InteractionRecorded
    ) -> Rejection | None:
        received_at_ms = record.timestamp
        meaning = self.tenant_cache.find_meaning(event.tenant_id, event.outcome, received_at_ms)
        if meaning is None:
            unknown = self._why_unknown(event.tenant_id, event.outcome, received_at_ms)
            meaning = self.tenant_cache.find_meaning(event.tenant_id, event.outcome, received_at_ms)
            if unknown is not None or meaning is None:
                return unknown
        if event.conversion_value is not None and event.conversion_value < 0:
            refused = explain_negative_value(event.outcome, event.conversion_value, is_allowed=meaning[4])
            if refused:
                return Rejection(RejectionCode.INVALID_VALUE, refused, event.tenant_id)
        occurred_at_ms = resolve_time(event.timestamp, received_at_ms)
        if isinstance(occurred_at_ms, Rejection):
            return Rejection(occurred_at_ms.code, occurred_at_ms.detail, event.tenant_id)
        # One tuple an event, in the order of EVENT_SCHEMA: this line runs for every event.
        self.events.append(
            (
                event.tenant_id,
                event.customer_id,
                make_event_id(occurred_at_ms, source, record.offset, index),
                source.name,
                record.offset,
                index,
                received_at_ms,
                occurred_at_ms,
                event.outcome,
                meaning[0],
                meaning[1],
                meaning[2],
                event.direction or meaning[3],
                event.offer_id or "",
                event.creative_id or "",
                event.channel_id or "",
                event.placement_id or "",
                event.conversion_value,
                event.recommendation_id or "",
                event.rank or 0,
                event.idempotency_key,
                xxh3_64_intdigest(event.idempotency_key.encode()),
                *hash_payload(event, occurred_at_ms),
                _text(event.context),
                _text(event.outcome_details),
                _text(event.metadata),
            )
        )
        return None

    def _add_decision(self, source: Source, record: Record, event: DecisionMade) -> Rejection | None:
        if self.tenant_cache.find_time_zone(event.tenant_id) is None:
            unknown = self._why_unknown(event.tenant_id, None, record.timestamp)
            if unknown is not None:
                return unknown
        decided_at_ms = resolve_time(event.timestamp, record.timestamp)
        if isinstance(decided_at_ms, Rejection):
            return Rejection(decided_at_ms.code, decided_at_ms.detail, event.tenant_id)
        self.decisions.append(
            (
                event.tenant_id,
                event.customer_id,
                event.recommendation_id,
                decided_at_ms,
                record.timestamp,
                _text(event.decision),
                source.name,
                record.offset,
            )
        )
        return None

    def _why_unknown(self, tenant_id: str, outcome: str | None, received_at_ms: int) -> Rejection | None:
        """Return why a tenant or outcome is unknown; None if it is known after the tenants were loaded afresh."""
        if not self.has_refreshed:  # one refresh a batch sees all tenants made before its events
            self.tenant_cache.refresh(at_least_every_s=0)
            self.has_refreshed = True
        if self.tenant_cache.find_time_zone(tenant_id) is None:
            return Rejection(
                RejectionCode.UNKNOWN_TENANT,
                f"tenantId {tenant_id!r} is not known; create it with `rapport tenant create {tenant_id}`.",
                tenant_id,
            )
        if outcome is not None and self.tenant_cache.find_meaning(tenant_id, outcome, received_at_ms) is None:
            valid = ", ".join(self.tenant_cache.list_outcomes(tenant_id))
            return Rejection(RejectionCode.UNKNOWN_OUTCOME, f"outcome {outcome!r} is not one of: {valid}.", tenant_id)
        return None


def _text(raw: msgspec.Raw) -> str:
    if raw is NO_OBJECT:
        return ""
    text = bytes(raw)
    return "" if text == b"null" else text.decode()

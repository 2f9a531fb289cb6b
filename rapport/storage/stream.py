"""Reads and writes of the stream. All calls may be repeated: every row is identified by its position in a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from rapport.storage.packed_columns import unpack_summary_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rapport.storage.client import Store

STATE_KEYS: Final = (
    "tenant_id",
    "customer_id",
    "period_type",
    "period_key",
    "offer_id",
    "creative_id",
    "channel_id",
    "source",
)
_SUBJECT: Final = ("tenant_id", "customer_id", "offer_id", "creative_id", "channel_id")
MILLIS: Final = pl.Datetime("ms", "UTC")
_LOW_CARDINALITY: Final = (
    "tenant_id",
    "source",
    "period_type",
    "period_key",
    "outcome",
    "classification",
    "category",
    "direction",
    "last_outcome",
    "last_direction",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of one source after one batch; see table ``stream_progress``."""

    source: str
    cluster_id: str
    topic: str
    partition: int
    next_offset: int
    last_occurred_at_ms: int
    last_received_at_ms: int
    batch_messages: int
    batch_events: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message, or an item of one, that could not be used; see table ``dead_letter_state``."""

    tenant_id: str
    code: str
    detail: str
    cluster_id: str
    topic: str
    partition: int
    source: str
    offset: int
    item: int
    key: bytes
    value: bytes
    received_at_ms: int

    @property
    def id(self) -> str:
        """Identity of the letter: its position in the log."""
        return f"{self.source}:{self.offset}:{self.item}"


def read_progress(store: Store, sources: Sequence[str]) -> dict[str, int]:
    """Read the offset at which the next batch of each source starts; unknown sources are left out."""
    frame = store.select("stream/progress", {"sources": list(sources)})
    return dict(frame.iter_rows()) if not frame.is_empty() else {}


def read_generation(store: Store, cluster_id: str, topic: str) -> int:
    """Read how often the topic was recreated."""
    rows = store.rows("stream/generation", {"cluster_id": cluster_id, "topic": topic})
    return int(rows[0]["generation"]) if rows else 0


def write_claims(store: Store, events: pl.DataFrame, *, has_yielded: bool = False) -> None:
    """Claim the idempotency keys of events (columns as in ``pipeline.decode``)."""
    claims = events.select(
        "tenant_id",
        "customer_id",
        "key_hash",
        "source",
        "offset",
        "item",
        "payload_hash",
        received_at=pl.col("received_at_ms").cast(MILLIS),
        has_yielded=pl.lit(int(has_yielded), pl.UInt8),
    )
    store.insert("event_claims", _as_dictionaries(claims.sort("tenant_id", "key_hash")))


def read_claims(store: Store, events: pl.DataFrame, first_offsets: Mapping[str, int]) -> pl.DataFrame:
    """Read the claims of the events' keys by other sources or earlier messages.

    Args:
        store: The database.
        events: Decoded interactions.
        first_offsets: First offset of the batch in each source: the batch's own claims from there on are left out.
    """
    return _read_claims(store, events, events.select("source", "key_hash"), first_offsets)


def read_all_claims(store: Store, events: pl.DataFrame) -> pl.DataFrame:
    """Read every claim of the events' keys, their own included."""
    nobody = events.select(pl.lit("").alias("source"), "key_hash")
    return _read_claims(store, events, nobody, {"": 0})


def _read_claims(
    store: Store, events: pl.DataFrame, keys: pl.DataFrame, first_offsets: Mapping[str, int]
) -> pl.DataFrame:
    starts = {"source": list(first_offsets), "first_offset": list(first_offsets.values())}
    found = store.select(
        "stream/claims",
        {"tenants": events["tenant_id"].unique().to_list()},
        frames={
            "batch_keys": keys,
            "batch_starts": pl.DataFrame(starts, schema={"source": pl.String, "first_offset": pl.UInt64}),
        },
    )
    if found.is_empty():
        return pl.DataFrame()
    return found.join(events, on=["tenant_id", "customer_id", "key_hash"], how="semi")


def read_accepted(store: Store, disputed: pl.DataFrame) -> set[tuple[str, int, int]]:
    """Return those events (tenant_id, customer_id, source, offset) that the history has: (source, offset, item)."""
    found = store.select("stream/accepted", frames={"disputed": disputed})
    return set(found.select("source", "offset", "item").iter_rows()) if not found.is_empty() else set()


def read_summary_state(store: Store, contacts: pl.DataFrame, period_keys: Iterable[str]) -> pl.DataFrame:
    """Read the newest version of every summary row that some contacts, in some periods, may change."""
    found = store.select(
        "stream/summary_state",
        frames={
            "batch_subjects": contacts.select(_SUBJECT).unique(),
            "batch_periods": pl.DataFrame({"period_key": list(period_keys)}, schema={"period_key": pl.String}),
            "batch_sources": contacts.select("source").unique(),
        },
    )
    return pl.DataFrame() if found.is_empty() else keep_newest([unpack_summary_columns(found)])


def keep_newest(versions: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Keep, of several versions of summary rows, the one with the highest applied offset, of equals the last stored.

    Returns:
        An empty frame if there is none.
    """
    found = [frame for frame in versions if not frame.is_empty()]
    if not found:
        return pl.DataFrame()
    together = pl.concat(found, how="diagonal_relaxed")
    order = [name for name in ("applied_offset", "stored_at_ms") if name in together.columns]
    return together.sort(order, maintain_order=True).unique(STATE_KEYS, keep="last", maintain_order=True)


def write_interactions(store: Store, events: pl.DataFrame) -> None:
    """Write accepted events to the history."""
    interactions = events.sort("tenant_id", "customer_id", "id")
    store.insert(
        "interaction_log",
        _as_dictionaries(interactions).select(
            "tenant_id",
            "customer_id",
            "id",
            pl.col("occurred_at_ms").cast(MILLIS).alias("occurred_at"),
            pl.col("received_at_ms").cast(MILLIS).alias("received_at"),
            "local_date",
            "outcome",
            "classification",
            "category",
            "is_conversion",
            "direction",
            "offer_id",
            "creative_id",
            "channel_id",
            "placement_id",
            "conversion_value",
            "recommendation_id",
            "rank",
            "idempotency_key",
            "context",
            "outcome_details",
            "metadata",
            "source",
            "offset",
            "item",
        ),
    )


def write_decisions(store: Store, decisions: pl.DataFrame) -> None:
    """Write recommendations with their traces, and the index by recommendation id."""
    dated = decisions.with_columns(
        decided_at=pl.col("occurred_at_ms").cast(MILLIS), received_at=pl.col("received_at_ms").cast(MILLIS)
    )
    place = ("tenant_id", "customer_id", "recommendation_id", "decided_at")
    store.insert("decisions", dated.select(*place, "received_at", "decision", "source", "offset"))
    store.insert("decision_places", dated.select(place))


def write_summaries(store: Store, rows: pl.DataFrame) -> None:
    """Write changed summary rows (columns as :func:`read_summary_state` returns them)."""
    if not rows.is_empty():
        changed = rows.with_columns(last_contact_at=pl.col("last_contact_at_ms").cast(MILLIS))
        store.insert("interaction_summary_state", _as_dictionaries(changed.drop("last_contact_at_ms")))


def write_progress(store: Store, progress: Sequence[Progress]) -> None:
    """Record that everything before ``next_offset`` is in the tables. Written last."""
    rows = [
        {
            "source": p.source,
            "cluster_id": p.cluster_id,
            "topic": p.topic,
            "partition": p.partition,
            "next_offset": p.next_offset,
            "last_occurred_at": p.last_occurred_at_ms,
            "last_received_at": p.last_received_at_ms,
            "batch_messages": p.batch_messages,
            "batch_events": p.batch_events,
            "worker": p.worker,
        }
        for p in progress
    ]
    overrides: dict[str, Any] = {
        "partition": pl.UInt32,
        "next_offset": pl.UInt64,
        "last_occurred_at": MILLIS,
        "last_received_at": MILLIS,
        "batch_messages": pl.UInt32,
        "batch_events": pl.UInt32,
    }
    store.insert("stream_progress", pl.DataFrame(rows, schema_overrides=overrides))


def write_dead_letters(store: Store, letters: Sequence[DeadLetter]) -> None:
    """Store messages that could not be used, with the reason and the raw bytes."""
    rows = [
        {
            "tenant_id": letter.tenant_id,
            "id": letter.id,
            "code": letter.code,
            "detail": letter.detail,
            "cluster_id": letter.cluster_id,
            "topic": letter.topic,
            "partition": letter.partition,
            "offset": letter.offset,
            "item": letter.item,
            "key": letter.key,
            "value": letter.value,
            "received_at": letter.received_at_ms,
        }
        for letter in letters
    ]
    overrides: dict[str, Any] = {
        "partition": pl.UInt32,
        "offset": pl.UInt64,
        "item": pl.UInt32,
        "key": pl.Binary,
        "value": pl.Binary,
        "received_at": MILLIS,
    }
    store.insert("dead_letter_state", pl.DataFrame(rows, schema_overrides=overrides))


def _as_dictionaries(rows: pl.DataFrame) -> pl.DataFrame:
    """Encode columns with few values as dictionaries, which ClickHouse stores as they are."""
    return rows.with_columns(pl.col(name).cast(pl.Categorical) for name in _LOW_CARDINALITY if name in rows.columns)

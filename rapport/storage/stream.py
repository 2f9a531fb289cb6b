"""Reads and writes of the stream. All calls may be repeated: every row is identified by its position in a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from rapport.domain.blocks import BlockPlace, LogPosition, begin_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    "block",
)
MILLIS: Final = pl.Datetime("ms", "UTC")
FRAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "open_blocks": {"source": pl.String, "block": pl.UInt32, "first_offset": pl.UInt64, "next_offset": pl.UInt64},
    "erased_customers": {"tenant_id": pl.String, "customer_id": pl.String, "erased_at_ms": pl.Int64},
    "known_progress": {"source": pl.String, "next_offset": pl.UInt64},
}
"""Tables sent along with the queries."""
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
    position: LogPosition
    last_occurred_at_ms: int
    last_received_at_ms: int
    batch_messages: int
    batch_events: int
    worker: str


class RecordedPosition(NamedTuple):
    """Position that a source has reached, as recorded.

    Attributes:
        has_blocks: Whether it was recorded with its place; before there were blocks it was not.
    """

    position: LogPosition
    has_blocks: bool


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
    return {source: recorded.position.next_offset for source, recorded in read_positions(store, sources).items()}


def read_positions(store: Store, sources: Sequence[str] | None = None) -> dict[str, RecordedPosition]:
    """Read the position at which the next batch of each source starts; unknown sources are left out.

    Args:
        store: The database.
        sources: Their names; None for all.
    """
    frame = store.select("stream/progress", {"sources": list(sources or ()), "all_sources": sources is None})
    return {
        source: RecordedPosition(LogPosition(next_offset, BlockPlace(*place)), has_blocks=True)
        if place[0]
        else RecordedPosition(begin_blocks(next_offset), has_blocks=False)
        for source, next_offset, *place in frame.iter_rows()
    }


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


def read_claim_progress(store: Store) -> tuple[int, dict[str, int]]:
    """Read the server's time, epoch milliseconds, and the offset up to which each source has been applied."""
    now_ms, sources, next_offsets = store.select("stream/claim_progress").row(0)
    return now_ms, dict(zip(sources, next_offsets, strict=True))


def read_recent_claims(store: Store, progress: Mapping[str, int]) -> pl.DataFrame:
    """Read the claims of the last two hours that are not below a progress of their source, and some that are.

    Returns:
        A row is one insert: ``source``, ``first_offset`` its lowest one, ``key_hash`` as a list, ``now_ms`` the
        server's time, equal in all.
    """
    known = pl.DataFrame(list(progress.items()), schema=dict(FRAMES["known_progress"]), orient="row")
    return store.select("stream/recent_claims", frames={"known_progress": known})


def read_claim_days(store: Store, hours: int) -> pl.DataFrame:
    """Read how many claims were written on each day within the last hours: ``day`` since 1970, ``claims``."""
    return store.select("stream/claim_days", {"hours": hours})


def read_claimed_keys(store: Store, first: int, last: int, hours: int) -> pl.DataFrame:
    """Read the keys from first to last that were claimed within the last hours: ``key_hash``, ``day`` since 1970."""
    return store.select("stream/claimed_keys", {"first": first, "last": last, "hours": hours})


def read_all_claims(store: Store, events: pl.DataFrame) -> pl.DataFrame:
    """Read every claim of the events' keys, their own included."""
    nobody = events.select(pl.lit("").alias("source"), "key_hash")
    return _read_claims(store, events, nobody, {"": 0})


def _read_claims(
    store: Store, events: pl.DataFrame, keys: pl.DataFrame, first_offsets: Mapping[str, int]
) -> pl.DataFrame:
    if events.is_empty():
        return pl.DataFrame()
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


def read_block_contacts(
    store: Store, positions: Mapping[str, LogPosition], erased: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Read the contacts in the history that the open block of each source counts, each once, with their ``block``.

    Args:
        store: The database.
        positions: How far each source has been applied; contacts from there on are left out.
        erased: Only these customers, and only what the broker received after their erasure (tenant_id, customer_id,
            erased_at_ms); None for all customers.
    """
    customers = pl.DataFrame(schema=dict(FRAMES["erased_customers"])) if erased is None else erased
    frames = {"open_blocks": frame_blocks(positions), "erased_customers": customers}
    return store.select("stream/block_contacts", {"all_customers": erased is None}, frames=frames)


def frame_blocks(positions: Mapping[str, LogPosition]) -> pl.DataFrame:
    """Frame the open blocks of sources at some positions: source, block, first_offset, next_offset."""
    rows = [(name, at.place.block, at.place.first_offset, at.next_offset) for name, at in positions.items()]
    return pl.DataFrame(rows, schema=dict(FRAMES["open_blocks"]), orient="row")


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
    """Write changed summary rows (columns as ``pipeline.fold`` returns them)."""
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
            "next_offset": p.position.next_offset,
            "block": p.position.place.block,
            "block_from": p.position.place.first_offset,
            "block_events": p.position.place.events,
            "block_began_at": p.position.place.began_ms,
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
        "block": pl.UInt32,
        "block_from": pl.UInt64,
        "block_events": pl.UInt64,
        "block_began_at": MILLIS,
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

"""Interventions of operators in logs: a topic was recreated, a message is to be skipped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import polars as pl

from rapport.domain.audit import AuditDraft, encode_canonical
from rapport.storage.audit import append_audit
from rapport.storage.stream import read_generation

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rapport.storage.catalogue_changes import Author
    from rapport.storage.client import Store


def begin_generation(store: Store, cluster_id: str, topic: str, reason: str) -> int:
    """Record that a topic was recreated: offsets of its new log count on top of the old one.

    Returns:
        The number of the new generation.
    """
    generation = read_generation(store, cluster_id, topic) + 1
    row = {"cluster_id": [cluster_id], "topic": [topic], "generation": [generation], "reason": [reason]}
    store.insert("stream_sources", pl.DataFrame(row, schema_overrides={"generation": pl.UInt32}))
    return generation


def skip_message(store: Store, source: str, offset: int, reason: str, author: Author, tenants: Collection[str]) -> None:
    """Have a message become a dead letter without decoding it, and audit that for the tenants it may concern."""
    draft = AuditDraft(
        at_ms=time.time_ns() // 1_000_000,
        actor=author.name,
        action="skip",
        entity_type="message",
        entity_id=f"{source}:{offset}",
        after=encode_canonical({"source": source, "offset": offset, "reason": reason}),
        request_id=author.request_id,
    )
    row = {"source": [source], "offset": [offset], "reason": [reason], "skipped_by": [author.name]}
    store.insert("stream_skips", pl.DataFrame(row, schema_overrides={"offset": pl.UInt64}))
    for tenant_id in sorted(tenants):
        append_audit(store, tenant_id, [draft])


def read_skips(store: Store, sources: Sequence[str]) -> dict[tuple[str, int], str]:
    """Read the messages to be skipped: reasons by source and offset."""
    rows = store.rows("stream/skips", {"sources": list(sources)})
    return {(row["source"], row["offset"]): row["reason"] for row in rows}

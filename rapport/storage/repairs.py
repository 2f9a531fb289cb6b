"""Repairs of summary rows: requested by an operator, done by the owner of the source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from rapport.storage.state_gaps import announce_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rapport.storage.client import Store


def request_repairs(store: Store, repair_id: str, customers: pl.DataFrame) -> None:
    """Request that customers (source, tenant_id, customer_id) are recomputed."""
    store.insert(
        "summary_repairs",
        customers.select("source", "tenant_id", "customer_id").unique().with_columns(repair_id=pl.lit(repair_id)),
    )


def list_pending_repairs(store: Store, sources: Iterable[str]) -> list[tuple[str, str, int]]:
    """List the pending repairs of some sources: (repair_id, source, customers)."""
    rows = store.rows("repairs/pending", {"sources": list(sources)})
    return [(row["repair_id"], row["source"], row["customers"]) for row in rows]


def repair(store: Store, repair_id: str, next_offsets: Mapping[str, int]) -> None:
    """Do one repair in some sources.

    The caller must be the only writer of these sources' summary rows: their worker between two batches, or any process
    while no worker runs.

    Args:
        store: The database.
        repair_id: The repair.
        next_offsets: The recorded progress of the sources; rows are recomputed up to there.
    """
    for source, next_offset in next_offsets.items():
        if next_offset > 0:
            store.command(
                "repairs/recompute", {"repair_id": repair_id, "source": source, "applied_offset": next_offset - 1}
            )
        changed: dict[str, list[str]] = {}
        for row in store.rows("repairs/customers", {"repair_id": repair_id, "source": source}):
            changed.setdefault(row["tenant_id"], []).append(row["customer_id"])
        for tenant_id, customer_ids in changed.items():
            announce_change(store, tenant_id, "repairs", customer_ids)
        store.command("repairs/finish", {"repair_id": repair_id, "source": source})

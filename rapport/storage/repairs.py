"""Repairs of summary rows: requested by an operator, done by the owner of the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from rapport.storage.state_gaps import announce_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rapport.domain.blocks import LogPosition
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


def repair(store: Store, repair_id: str, positions: Mapping[str, LogPosition]) -> None:
    """Do one repair in some sources.

    The caller must be the only writer of these sources' summary rows: their worker between two batches, or any process
    while no worker runs.

    Args:
        store: The database.
        repair_id: The repair.
        positions: The recorded progress of the sources; rows are recomputed up to there.
    """
    for source, position in positions.items():
        if position.next_offset > 0:
            store.command("repairs/recompute", {"repair_id": repair_id, **name_block(source, position)})
        changed: dict[str, list[str]] = {}
        for row in store.rows("repairs/customers", {"repair_id": repair_id, "source": source}):
            changed.setdefault(row["tenant_id"], []).append(row["customer_id"])
        for tenant_id, customer_ids in changed.items():
            announce_change(store, tenant_id, "repairs", customer_ids)
        store.command("repairs/finish", {"repair_id": repair_id, "source": source})


def settle_rows_ahead(store: Store, source: str, position: LogPosition) -> None:
    """Recompute the summary rows that a worker has left ahead of its recorded progress, before there were blocks.

    Such a worker wrote the rows of a batch and died before it recorded the progress. The next one counts these messages
    in a block of their own, so what the old rows count of them is taken away. The rows are deleted first: their version
    is higher than that of every row that counts less.

    Args:
        store: The database.
        source: A source without blocks.
        position: Its recorded progress, at which its first block begins.
    """
    ahead = store.select("repairs/rows_ahead", {"source": source, "next_offset": position.next_offset})
    if ahead.is_empty():
        return
    repair_id = f"before-blocks:{source}:{position.next_offset}"
    request_repairs(store, repair_id, ahead.with_columns(source=pl.lit(source)))
    store.command("repairs/delete_rows_ahead", {"source": source, "next_offset": position.next_offset})
    repair(store, repair_id, {source: position})


def name_block(source: str, position: LogPosition) -> dict[str, Any]:
    """Return the parameters of a statement that counts a source up to a position: closed blocks, and the open one."""
    return {
        "source": source,
        "next_offset": position.next_offset,
        "block": position.place.block,
        "block_from": position.place.first_offset,
    }

"""Compaction: puts the closed blocks of customers with many summary rows together.

The invariant: what all rows of a subject count together never changes, whenever a compaction is cut off, repeated, or
overtaken by another. Block 0 counts everything of a source up to its version, and the rows of the blocks that it counts
are emptied by the same insert, under versions that no writer of those blocks has. A compaction that has been overtaken
writes a lower version of block 0, which loses. Emptied rows are deleted later, with every older version of them.

A repair of the same customer at the same moment may be undone; ``rapport reconcile`` finds and repairs it again. An
erased customer is left to the erasure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from rapport.storage.repairs import name_block
from rapport.storage.state_gaps import announce_change
from rapport.storage.stream import frame_blocks, read_positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.domain.blocks import LogPosition
    from rapport.domain.customers.customer import CustomerRef
    from rapport.storage.client import Store

CROWDED_ROWS: Final = 500
"""Customers with so many rows in closed blocks are compacted; fewer lie in one or two granules of the table."""
PAGE: Final = 200
"""Customers of one statement: their rows together stay below one insert."""
EMPTY_S: Final = 3_600
"""Longer than a writer may be suspended without its rows being a matter for ``rapport reconcile``."""
_DELETED_AT_ONCE: Final = 500


def compact_crowded(store: Store, crowded_rows: int = CROWDED_ROWS) -> int:
    """Put the closed blocks of all customers with many summary rows together. May be repeated, and run twice at once.

    Returns:
        How many customers were compacted.

    Raises:
        StorageError: ClickHouse does not answer. Some customers may have been compacted.
    """
    after: CustomerRef = ("", "")
    compacted = 0
    while True:
        recorded = read_positions(store)
        positions = {source: one.position for source, one in recorded.items() if one.has_blocks}
        page = list_crowded(store, positions, after, crowded_rows)
        if not page:
            return compacted
        after = page[-1]
        compacted += len(page)
        by_tenant: dict[str, list[str]] = {}
        for tenant_id, customer_id in page:
            by_tenant.setdefault(tenant_id, []).append(customer_id)
        for tenant_id, customer_ids in by_tenant.items():
            compact(store, positions, tenant_id, customer_ids)
            announce_change(store, tenant_id, "compaction", customer_ids)


def list_crowded(
    store: Store, positions: Mapping[str, LogPosition], after: CustomerRef, crowded_rows: int = CROWDED_ROWS
) -> list[CustomerRef]:
    """List customers with many summary rows in closed blocks, in the order of tenants and ids, behind a given one."""
    parameters = {"after_tenant": after[0], "after_customer": after[1], "rows": crowded_rows, "limit": PAGE}
    frames = {"open_blocks": frame_blocks(positions)}
    return list(store.select("summaries/crowded_customers", parameters, frames=frames).iter_rows())


def compact(store: Store, positions: Mapping[str, LogPosition], tenant_id: str, customer_ids: list[str]) -> None:
    """Put the closed blocks of some customers together.

    Args:
        store: The database.
        positions: Recorded progress of each source.
        tenant_id: Tenant of the customers.
        customer_ids: The customers.
    """
    for source, position in positions.items():
        if position.place.block > 1:
            customers = {"tenant_id": tenant_id, "customer_ids": customer_ids}
            store.command("summaries/put_together", {**customers, **name_block(source, position)})


def delete_emptied(store: Store, empty_s: int = EMPTY_S) -> int:
    """Delete the rows of blocks that were emptied some time ago.

    Returns:
        Of how many customers, one per source.
    """
    deleted = 0
    while True:
        found = store.select("summaries/emptied_blocks", {"seconds": empty_s, "limit": _DELETED_AT_ONCE})
        if found.is_empty():
            return deleted
        hashes, blocks = found["customer_hash"].to_list(), found["until_block"].cast(pl.UInt32).to_list()
        store.command("summaries/delete_emptied", {"customer_hashes": hashes, "until_blocks": blocks})
        deleted += found.height

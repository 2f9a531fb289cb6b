"""Tombstones of erased customers: written by erasures, read by the stream and by sweeps."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import polars as pl

from rapport.domain.privacy import Tombstone, list_hashes

if TYPE_CHECKING:
    from rapport.storage.client import Store

_OVERLAP_MS: Final = 60_000
"""Maximum difference between the clocks of replicas."""
_MILLIS: Final = pl.Datetime("ms", "UTC")


class StoredTombstone(NamedTuple):
    """A tombstone with its tenant and customer hash."""

    tenant_id: str
    customer_hash: str
    tombstone: Tombstone
    receipt_id: str
    stored_at_ms: int


def read_tombstones(store: Store, since_ms: int = 0) -> list[StoredTombstone]:
    """Read the tombstones written since some time, and some from shortly before; all of them by default."""
    return [
        StoredTombstone(
            row["tenant_id"],
            row["customer_hash"],
            Tombstone(row["erased_at_ms"], row["completed_at_ms"]),
            row["receipt_id"],
            row["stored_at_ms"],
        )
        for row in store.rows("privacy/erasures", {"since_ms": max(since_ms - _OVERLAP_MS, 0)})
    ]


def read_erasures(store: Store, customers: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return the time of the latest erasure (epoch milliseconds) of each erased customer among some customers.

    Args:
        store: The database.
        customers: Tenant and customer id of each.
    """
    if not customers:
        return {}
    hashes: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for tenant_id, one in customers:
        for name in list_hashes(tenant_id, one):
            hashes.setdefault((tenant_id, name), []).append((tenant_id, one))
    parameters = {
        "tenants": sorted({tenant_id for tenant_id, _ in hashes}),
        "hashes": sorted({customer_hash for _, customer_hash in hashes}),
    }
    erased: dict[tuple[str, str], int] = {}
    for row in store.rows("privacy/erased_at", parameters):
        for customer in hashes.get((row["tenant_id"], row["customer_hash"]), ()):
            erased[customer] = max(row["erased_at_ms"], erased.get(customer, row["erased_at_ms"]))
    return erased


def write_tombstones(
    store: Store,
    tenant_id: str,
    hashes: Iterable[str],
    *,
    erased_at_ms: int,
    receipt_id: str,
    completed_at_ms: int | None = None,
) -> None:
    """Write the tombstones of customers who are erased together; called again when the erasure is complete."""
    rows = [
        {
            "tenant_id": tenant_id,
            "customer_hash": customer_hash,
            "erased_at": erased_at_ms,
            "receipt_id": receipt_id,
            "completed_at": completed_at_ms,
        }
        for customer_hash in hashes
    ]
    store.insert("erasures", pl.DataFrame(rows, schema_overrides={"erased_at": _MILLIS, "completed_at": _MILLIS}))

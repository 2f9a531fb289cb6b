"""Erasure of customers: deletes all their rows from every table, and keeps them deleted.

The invariant: once an erasure is complete, no table holds a row of the customer from before ``erased_at``, and no later
write will add one. It rests on the order of the steps; each may be repeated, so after a crash the erasure is simply run
again.

1. **Tombstone.** From now on workers that read it leave out messages that the broker received up to ``erased_at``.
   After a crash here, nothing is deleted yet, and replays honour the tombstone already.
2. **Wait** for :data:`WORKERS_KNOW_AFTER_S`. No worker uses tombstones that it read longer ago, so from here on all
   writes respect this one (:mod:`pipeline.privacy`).
3. **Delete**, the history before the summaries. After a crash here, some tables are empty and some are not.
4. **Recompute the summaries** from the remaining history: the customer may have come back meanwhile. A batch that is
   being written at the same time adds rows that the deletion may remove again; so this is repeated until history and
   summaries agree.
5. **Verify** every table. Rows that a slow writer has added are deleted again.
6. **Complete**: write the receipt, and note in the tombstone since when workers may trust the summary rows again.

No order can exclude a worker that is suspended between reading tombstones and writing for longer than all of this
takes. :func:`sweep` finds the rows that such a worker writes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from rapport.domain.privacy import hash_customer
from rapport.storage.contact_profiles import find_named_along
from rapport.storage.personal_data import (
    HISTORY,
    SUMMARIES,
    ErasureScope,
    Location,
    LocationKind,
    count_rows,
    count_summaries,
    delete_rows,
    find_locations,
)
from rapport.storage.receipts import Receipt, write_receipt
from rapport.storage.reconcile import find_drift
from rapport.storage.repairs import name_block
from rapport.storage.state_gaps import announce_change
from rapport.storage.stream import read_positions
from rapport.storage.tombstones import read_tombstones, write_tombstones

if TYPE_CHECKING:
    from rapport.storage.client import Store

WORKERS_KNOW_AFTER_S: Final = 3.0
"""Longer than a worker goes without reading tombstones (``pipeline.privacy``) plus the duration of a write."""
ROUNDS: Final = 5
ABANDONED_MS: Final = 3_600_000
"""An erasure that has not completed after this time is taken to be abandoned by its process."""
_PAUSE_S: Final = 0.2
SUMMARY_ROUNDS: Final = 8
_SUMMARY_PAUSE_S: Final = 0.5
_END: Final = 1 << 62
"""Greater than every offset."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that has begun.

    Attributes:
        requested_by: Name of the key or command that asked for it.
    """

    erased: ErasureScope
    receipt_id: str
    requested_by: str


def begin_erasure(store: Store, erasure: Erasure) -> None:
    """Write the tombstones. :func:`finish_erasure` may follow after :data:`WORKERS_KNOW_AFTER_S`."""
    erased = erasure.erased
    write_tombstones(
        store, erased.tenant_id, erased.hashes, erased_at_ms=erased.until_ms, receipt_id=erasure.receipt_id
    )


def finish_erasure(
    store: Store,
    erasure: Erasure,
    *,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    sleep: Callable[[float], None] = time.sleep,
) -> Receipt:
    """Delete, verify, and complete. May be repeated.

    Args:
        store: The database.
        erasure: An erasure whose tombstones every worker has read.
        clock: Returns epoch milliseconds.
        sleep: Waits for concurrent writes.

    Raises:
        StorageError: The database does not answer. Deleted rows stay deleted; the tombstones stay.
    """
    erased = replace(erasure.erased, only_old=False)
    deleted, is_verified = _delete_all(store, erased, sleep)
    receipt = Receipt(
        receipt_id=erasure.receipt_id,
        customer_hashes=erased.hashes,
        erased_at_ms=erased.until_ms,
        completed_at_ms=clock(),
        deleted=deleted,
        is_verified=is_verified,
        requested_by=erasure.requested_by,
    )
    write_receipt(store, erased.tenant_id, receipt)
    if is_verified:
        write_tombstones(
            store,
            erased.tenant_id,
            erased.hashes,
            erased_at_ms=erased.until_ms,
            receipt_id=erasure.receipt_id,
            completed_at_ms=receipt.completed_at_ms,
        )
    return receipt


def count_remains(store: Store, erased: ErasureScope) -> dict[str, int]:
    """Count the rows that an erasure should have deleted, by table, where there are any."""
    counts: Counter[str] = Counter()
    for location in find_locations(store):
        counts[location.shown] += count_rows(store, location, erased)
    return {name: rows for name, rows in counts.items() if rows}


def sweep(
    store: Store,
    *,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, int]:
    """Search all tables for customers with tombstones, and delete their rows from before the erasure.

    Finds rows that a suspended worker wrote late, and completes erasures whose process died.

    Returns:
        Rows deleted, by table.
    """
    tombstones = {(stored.tenant_id, stored.customer_hash): stored for stored in read_tombstones(store)}
    left: set[tuple[str, str]] = set()
    for location in find_locations(store) if tombstones else ():
        if location.kind in (LocationKind.COLUMN, LocationKind.SUMMARIES, LocationKind.OF_DECISIONS):
            left |= set(store.select("privacy/left_of_erased", location.parameters).iter_rows())
    total: Counter[str] = Counter()
    for tenant_id, customer_id in sorted(left):
        stored = tombstones[tenant_id, hash_customer(tenant_id, customer_id)]
        erased = ErasureScope(tenant_id, (customer_id,), stored.tombstone.erased_at_ms)
        deleted, is_clean = _delete_all(store, erased, sleep) if count_remains(store, erased) else ({}, True)
        total.update(deleted)
        if not is_clean:
            del tombstones[tenant_id, stored.customer_hash]
    for stored in tombstones.values():
        if stored.tombstone.completed_at_ms is None and stored.tombstone.erased_at_ms < clock() - ABANDONED_MS:
            write_tombstones(
                store,
                stored.tenant_id,
                [stored.customer_hash],
                erased_at_ms=stored.tombstone.erased_at_ms,
                receipt_id=stored.receipt_id,
                completed_at_ms=clock(),
            )
    return total


def _delete_all(store: Store, erased: ErasureScope, sleep: Callable[[float], None]) -> tuple[dict[str, int], bool]:
    """Delete until no rows are found: return the rows by table, and whether none were left in the end."""
    deleted: Counter[str] = Counter()
    locations = find_locations(store)
    changed = find_named_along(store, erased.tenant_id, erased.customer_ids)
    for _ in range(ROUNDS):
        found = _count_all(store, locations, erased)
        for location, rows in found.items():
            deleted[location.shown] += rows
            if location.kind is LocationKind.SUMMARIES:
                _rewrite_summaries(store, erased, sleep)
            else:
                delete_rows(store, location, erased)
        is_clean = not count_remains(store, erased)
        announce_change(store, erased.tenant_id, "erasure", changed)
        if is_clean:
            return dict(deleted), True
        sleep(_PAUSE_S)
    return dict(deleted), False


def _count_all(store: Store, locations: Sequence[Location], erased: ErasureScope) -> dict[Location, int]:
    """Count the rows to delete, by location. Of summaries all, because a row does not show which events it counts."""
    found = {location: rows for location in locations if (rows := count_rows(store, location, erased))}
    for location in locations:
        is_touched = location in found or not erased.only_old or any(touched.table == HISTORY for touched in found)
        if location.kind is LocationKind.SUMMARIES and is_touched and (rows := count_summaries(store, erased)):
            found[location] = rows
    return dict(sorted(found.items(), key=lambda pair: locations.index(pair[0])))


def _rewrite_summaries(store: Store, erased: ErasureScope, sleep: Callable[[float], None]) -> bool:
    """Delete the summary rows of customers whose history has been erased, and recompute those of the remaining history.

    A batch that has written its summaries but not yet its progress has rows that are deleted here and not recomputed,
    as the progress does not cover them: then history and summaries differ until the progress is written.

    Returns:
        Whether they agree in the end. If not, messages wait that no worker applies; the worker that applies them
        computes the rows from the history.
    """
    for _ in range(SUMMARY_ROUNDS):
        store.command("privacy/delete", {**erased.hash_parameters, "table": SUMMARIES, "column": "customer_id"})
        sources = [row["source"] for row in store.rows("privacy/sources", erased.parameters)]
        for source, recorded in (read_positions(store, sources) if sources else {}).items():
            store.command("privacy/recompute", {**erased.parameters, **name_block(source, recorded.position)})
        if not _has_drift(store, erased, sources):
            return True
        sleep(_SUMMARY_PAUSE_S)
    return False


def _has_drift(store: Store, erased: ErasureScope, sources: list[str]) -> bool:
    """Return whether the whole history and the summaries of the customers differ."""
    if not sources:
        return False
    progress = pl.DataFrame({"source": sources, "next_offset": [_END] * len(sources)}).cast({"next_offset": pl.UInt64})
    return not find_drift(store, erased.frame, progress).is_empty()

"""Erasing customers: everything that any table holds of them, so that it does not come back.

The invariant: once an erasure is complete, no table holds a row of the customer from before ``erased_at``, and nothing
that is still to be written will be one. It rests on the order of the steps; each may be repeated, so a crash after any
of them is mended by erasing again.

1. **Tombstone.** From now on workers that read it leave out what the broker received up to ``erased_at``. After a crash
   here, nothing is deleted yet, and replays honour the tombstone already.
2. **Wait** for :data:`WORKERS_KNOW_AFTER_S`. No worker writes by tombstones that it read longer ago, so from here on
   nobody writes without knowing of this one (:mod:`pipeline.privacy`).
3. **Delete**, the history before the summaries. After a crash here, some tables are empty and some are not.
4. **Write the summaries anew** from what is left of the history: the customer may have come back while this went on.
   A batch that is being written meanwhile adds rows that the deletion may take away again; so this is repeated until
   history and summaries agree.
5. **Look** into every table. What is found, because something slow was still writing, is deleted again.
6. **Complete**: the receipt, and the tombstone says since when workers may trust the summary rows again.

What no order can exclude is a worker that is suspended in the moment between looking for tombstones and writing, for
longer than all of this takes. :func:`sweep` finds what such a worker leaves.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from rapport.domain.privacy import hash_customer
from rapport.storage.personal_data import (
    HISTORY,
    ErasureScope,
    Location,
    LocationKind,
    count_rows,
    count_summaries,
    delete_rows,
    find_locations,
)
from rapport.storage.receipts import Receipt, write_receipt
from rapport.storage.summary_erasure import rewrite_summaries
from rapport.storage.tombstones import read_tombstones, write_tombstones

if TYPE_CHECKING:
    from rapport.storage.client import Store

WORKERS_KNOW_AFTER_S: Final = 3.0
"""Longer than a worker may go without looking for tombstones (``pipeline.privacy``), and a write after it takes."""
ROUNDS: Final = 5
ABANDONED_MS: Final = 3_600_000
"""After so long the process that erased somebody is taken for dead."""
_PAUSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that has begun.

    Attributes:
        requested_by: The key, or the command, that asked for it.
    """

    erased: ErasureScope
    receipt_id: str
    requested_by: str


def begin_erasure(store: Store, erasing: Erasure) -> None:
    """Write the tombstones. What follows is :func:`finish_erasure`, after :data:`WORKERS_KNOW_AFTER_S`."""
    erased = erasing.erased
    write_tombstones(
        store, erased.tenant_id, erased.hashes, erased_at_ms=erased.until_ms, receipt_id=erasing.receipt_id
    )


def finish_erasure(
    store: Store,
    erasing: Erasure,
    *,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    sleep: Callable[[float], None] = time.sleep,
) -> Receipt:
    """Delete, look, and complete. May be repeated.

    Args:
        store: The database.
        erasing: An erasure whose tombstones every worker knows.
        clock: Epoch milliseconds.
        sleep: Waits for what is still being written.

    Raises:
        StorageError: The database does not answer. What is deleted is deleted; the tombstones stay.
    """
    erased = replace(erasing.erased, only_old=False)
    deleted, is_verified = _delete_all(store, erased, sleep)
    receipt = Receipt(
        receipt_id=erasing.receipt_id,
        customer_hashes=erased.hashes,
        erased_at_ms=erased.until_ms,
        completed_at_ms=clock(),
        deleted=deleted,
        is_verified=is_verified,
        requested_by=erasing.requested_by,
    )
    write_receipt(store, erased.tenant_id, receipt)
    if is_verified:
        write_tombstones(
            store,
            erased.tenant_id,
            erased.hashes,
            erased_at_ms=erased.until_ms,
            receipt_id=erasing.receipt_id,
            completed_at_ms=receipt.completed_at_ms,
        )
    return receipt


def count_remains(store: Store, erased: ErasureScope) -> dict[str, int]:
    """Look into every place for what an erasure should have deleted: rows by table, where there are any."""
    counts = {place.table: count_rows(store, place, erased) for place in find_locations(store)}
    return {table: rows for table, rows in counts.items() if rows}


def sweep(
    store: Store,
    *,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, int]:
    """Look through all tables for customers with tombstones, and delete what is from before their erasure.

    Finds what a suspended worker wrote late, and completes erasures whose process died.

    Returns:
        Rows deleted, by table.
    """
    known = {(one.tenant_id, one.customer_hash): one for one in read_tombstones(store)}
    left: set[tuple[str, str]] = set()
    for place in find_locations(store) if known else ():
        if place.kind in (LocationKind.COLUMN, LocationKind.SUMMARIES, LocationKind.OF_DECISIONS):
            left |= set(store.select("privacy/left_of_erased", place.names).iter_rows())
    total: Counter[str] = Counter()
    for tenant_id, customer_id in sorted(left):
        one = known[tenant_id, hash_customer(tenant_id, customer_id)]
        erased = ErasureScope(tenant_id, (customer_id,), one.tombstone.erased_at_ms)
        deleted, is_clean = _delete_all(store, erased, sleep) if count_remains(store, erased) else ({}, True)
        total.update(deleted)
        if not is_clean:
            del known[tenant_id, one.customer_hash]
    for one in known.values():
        if one.tombstone.completed_at_ms is None and one.tombstone.erased_at_ms < clock() - ABANDONED_MS:
            write_tombstones(
                store,
                one.tenant_id,
                [one.customer_hash],
                erased_at_ms=one.tombstone.erased_at_ms,
                receipt_id=one.receipt_id,
                completed_at_ms=clock(),
            )
    return total


def _delete_all(store: Store, erased: ErasureScope, sleep: Callable[[float], None]) -> tuple[dict[str, int], bool]:
    """Delete until nothing is found: rows by table, and whether nothing was left in the end."""
    deleted: Counter[str] = Counter()
    places = find_locations(store)
    for _ in range(ROUNDS):
        found = _count_all(store, places, erased)
        for place, rows in found.items():
            deleted[place.table] += rows
            if place.kind is LocationKind.SUMMARIES:
                rewrite_summaries(store, erased, sleep=sleep)
            else:
                delete_rows(store, place, erased)
        if not count_remains(store, erased):
            return dict(deleted), True
        sleep(_PAUSE_S)
    return dict(deleted), False


def _count_all(store: Store, places: Sequence[Location], erased: ErasureScope) -> dict[Location, int]:
    """What will be deleted: rows by place. Of summaries all, because a row does not show what it is made of."""
    found = {place: rows for place in places if (rows := count_rows(store, place, erased))}
    for place in places:
        is_touched = place in found or not erased.only_old or any(one.table == HISTORY for one in found)
        if place.kind is LocationKind.SUMMARIES and is_touched and (rows := count_summaries(store, erased)):
            found[place] = rows
    return dict(sorted(found.items(), key=lambda pair: places.index(pair[0])))

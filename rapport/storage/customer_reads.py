"""Fast reads of the summary rows and events of single customers.

The queries take customers as two arrays, tenants and ids, because the engine takes longer to plan a join than to read
these rows; so the functions here pair tenants with ids again. They read the column ``packed`` instead of many columns,
because a read costs what its columns cost, and pick the newest versions themselves, because FINAL costs several times
as much.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import polars as pl

from rapport.domain.customers.customer import CustomerRef
from rapport.domain.metrics import StoredEvent
from rapport.domain.summaries import StoredSummary
from rapport.storage.packed_columns import unpack_events, unpack_summaries

if TYPE_CHECKING:
    from rapport.storage.client import Store

R = TypeVar("R", bound=tuple[Any, ...])

LONG_HISTORY: Final = 5_000
"""Up to so many events of a customer are read one by one; beyond, the engine aggregates them."""
_SUMMARY_KEY_COLUMNS: Final = 9


class CustomerEvents(NamedTuple):
    """Events of some customers.

    Attributes:
        events: Each once, in no order; none of customers with long histories.
        long: Customers with long histories, for whom the engine counts and cuts pages.
    """

    events: Sequence[StoredEvent]
    long: frozenset[CustomerRef]


def read_stored_summaries(
    store: Store, customers: Collection[CustomerRef], periods: Collection[str] = ()
) -> Iterable[StoredSummary]:
    """Read the newest version of each summary row of some customers, with one query; there is a row for each source.

    Args:
        store: The database.
        customers: Tenant and customer id of each.
        periods: Keys of periods; empty for all.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    found = store.select("summaries/of_customers", {**build_customer_parameters(customers), "periods": sorted(periods)})
    wanted = set(customers)
    rows = (row for row in map(StoredSummary._make, unpack_summaries(found)) if row.customer in wanted)
    return keep_newest_versions(rows, key_columns=_SUMMARY_KEY_COLUMNS)


def read_events(
    store: Store, customers: Collection[CustomerRef], from_id: str, most: int = LONG_HISTORY
) -> CustomerEvents:
    """Read events of some customers with one query.

    Args:
        store: The database.
        customers: Tenant and customer id of each.
        from_id: The smallest event id to read.
        most: Customers with more events have long histories.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    parameters = {**build_customer_parameters(customers), "from_id": from_id, "most": most + 1}
    found = store.select("history/of_customers", parameters)
    wanted, long = set(customers), frozenset[CustomerRef]()
    if found.height > most:
        rows = found.group_by("tenant_id", "customer_id").len().filter(pl.col("len") > most)
        long = frozenset(rows["tenant_id", "customer_id"].iter_rows())
        found = found.join(rows, on=["tenant_id", "customer_id"], how="anti")
    events: dict[str, StoredEvent] = {}
    for event in map(StoredEvent._make, unpack_events(found)):
        if event.customer in wanted:
            events.setdefault(event.id, event)
    return CustomerEvents(list(events.values()), long & wanted)


def list_active_customers(store: Store, since_ms: int, after: CustomerRef, limit: int) -> list[CustomerRef]:
    """List customers of all tenants who were contacted since a time, in the order of tenants and ids.

    Args:
        store: The database.
        since_ms: The time, epoch milliseconds.
        after: The last customer of the page before; two empty texts for the first page.
        limit: Customers per page.
    """
    parameters = {"since_ms": since_ms, "after_tenant": after[0], "after_customer": after[1], "limit": limit}
    return [(tenant_id, name) for tenant_id, name in store.select("summaries/active_customers", parameters).iter_rows()]


def build_customer_parameters(customers: Collection[CustomerRef]) -> dict[str, list[str]]:
    """Return the parameters of a query about some customers.

    The query returns rows of every combination of the tenants and ids; the caller drops those it did not ask for.
    """
    return {
        "tenants": sorted({tenant for tenant, _ in customers}),
        "customers": sorted({customer for _, customer in customers}),
    }


def keep_newest_versions(rows: Iterable[R], key_columns: int) -> Iterable[R]:
    """Keep, of each key, the row of the highest version.

    Args:
        rows: Each begins with its key; then come two columns by which versions ascend.
        key_columns: Number of columns of a key.
    """
    newest: dict[tuple[Any, ...], R] = {}
    version = slice(key_columns, key_columns + 2)
    for row in rows:
        key = row[:key_columns]
        if row[version] > newest.setdefault(key, row)[version]:
            newest[key] = row
    return newest.values()

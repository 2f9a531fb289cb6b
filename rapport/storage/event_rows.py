"""Events of single customers, as far as decisions and pages need to know them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import polars as pl

from rapport.domain.customers.customer import CustomerRef
from rapport.domain.metrics import StoredEvent
from rapport.storage.customer_reads import asked_arrays, unpack

if TYPE_CHECKING:
    from rapport.storage.client import Store


LONG_HISTORY: Final = 5_000
"""Events of one customer that are read as they are; of more, what is asked is worked out by the engine."""


_Packed = tuple[
    str, int, str, str, bool, str, str, str, str, Decimal | None, str, int, str, int
]  # in the order of the column's expression
_decoder: Final = msgspec.json.Decoder(list[_Packed], strict=False)  # as of summaries


class EventsOfCustomers(NamedTuple):
    """Events of some customers.

    Attributes:
        events: Each once, in no order; none of those with long histories.
        long: Customers with more than :data:`LONG_HISTORY` events: the engine counts theirs, and cuts their pages.
    """

    events: Sequence[StoredEvent]
    long: frozenset[CustomerRef]


def read_events(store: Store, customers: Collection[CustomerRef], from_id: str) -> EventsOfCustomers:
    """Read events of some customers with one query.

    Args:
        store: Where.
        customers: Whose.
        from_id: The smallest id.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    asked = {**asked_arrays(customers), "from_id": from_id, "most": LONG_HISTORY + 1}
    found = store.select("history/of_customers", asked)
    wanted, long = set(customers), frozenset[CustomerRef]()
    if found.height > LONG_HISTORY:
        rows = found.group_by("tenant_id", "customer_id").len().filter(pl.col("len") > LONG_HISTORY)
        long = frozenset(rows["tenant_id", "customer_id"].iter_rows())
        found = found.join(rows, on=["tenant_id", "customer_id"], how="anti")
    events: dict[str, StoredEvent] = {}
    for event in map(StoredEvent._make, unpack(found, _decoder)):
        if event.customer in wanted:
            events.setdefault(event.id, event)
    return EventsOfCustomers(list(events.values()), long & wanted)

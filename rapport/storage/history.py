"""Pages of the interaction history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.events import FIRST_ID, make_first_id
from rapport.storage.customer_reads import build_customer_parameters, read_events

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerRef
    from rapport.domain.metrics import StoredEvent
    from rapport.storage.client import Store

AFTER_LAST_ID: Final = "g"
"""Greater than every event id, as ids are hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Conditions on a tenant's interactions; empty means no condition.

    Attributes:
        from_ms: Earliest event time, epoch milliseconds, inclusive.
        to_ms: Latest event time, exclusive.
        members: All ids of a merged customer; empty if there is just the one.
    """

    tenant_id: str
    customer_id: str = ""
    offer_id: str = ""
    creative_id: str = ""
    channel_id: str = ""
    outcome: str = ""
    direction: str = ""
    from_ms: int | None = None
    to_ms: int | None = None
    members: tuple[str, ...] = ()

    @property
    def customer_ids(self) -> tuple[str, ...]:
        """Ids of the customer; empty if the filter names none."""
        return self.members or ((self.customer_id,) if self.customer_id else ())

    @property
    def is_narrow(self) -> bool:
        """Whether there are conditions besides the tenant, the customer and the time."""
        return any((self.offer_id, self.creative_id, self.channel_id, self.outcome, self.direction))

    def parameters(self, cursor: str = "") -> dict[str, Any]:
        """Return the parameters of the queries; a page ends before the cursor."""
        before_id = AFTER_LAST_ID if self.to_ms is None else make_first_id(self.to_ms)
        return {
            "tenant_id": self.tenant_id,
            "customer_ids": list(self.customer_ids),
            "offer_id": self.offer_id,
            "creative_id": self.creative_id,
            "channel_id": self.channel_id,
            "outcome": self.outcome,
            "direction": self.direction,
            "from_id": FIRST_ID if self.from_ms is None else make_first_id(self.from_ms),
            "before_id": min(before_id, cursor) if cursor else before_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPageQuery:
    """Query for a page of one customer's history.

    Attributes:
        filters: Conditions that name a customer.
        cursor: Id of the last interaction of the page before; empty for the first page.
        limit: Interactions per page.
    """

    filters: HistoryFilter
    cursor: str = ""
    limit: int = 25


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Interactions, newest first, and their number on all pages; 0 where this page is empty."""

    rows: Sequence[dict[str, Any]]
    total: int


_Histories = Mapping["CustomerRef", Sequence["StoredEvent"]]
_FILTERS: Final = ("offer_id", "creative_id", "channel_id", "outcome", "direction")
_NOTHING: Final = HistoryPage((), 0)


def read_pages(store: Store, queries: Sequence[HistoryPageQuery]) -> list[HistoryPage]:
    """Read the pages of several queries, in their order, with two database queries; with more for long histories."""
    bounds = [query.filters.parameters() for query in queries]
    events, long = read_events(
        store,
        {(query.filters.tenant_id, customer_id) for query in queries for customer_id in query.filters.customer_ids},
        min(bound["from_id"] for bound in bounds),
    )
    histories: dict[CustomerRef, list[StoredEvent]] = {}
    for event in events:
        histories.setdefault(event.customer, []).append(event)
    pages = [
        _PageEvents((), 0) if _is_long(query, long) else _cut_page(histories, query, bound)
        for query, bound in zip(queries, bounds, strict=True)
    ]
    rows = _read_rows(store, [entry[:3] for page in pages for entry in page.entries])
    return [
        _read_long_page(store, query)
        if _is_long(query, long)
        else HistoryPage([rows[entry[:3]] for entry in page.entries], page.total)
        if page.entries
        else _NOTHING
        for query, page in zip(queries, pages, strict=True)
    ]


class _PageEvents(NamedTuple):
    entries: Sequence[StoredEvent]
    total: int


def _is_long(query: HistoryPageQuery, long: frozenset[CustomerRef]) -> bool:
    return not long.isdisjoint((query.filters.tenant_id, customer_id) for customer_id in query.filters.customer_ids)


def _read_long_page(store: Store, query: HistoryPageQuery) -> HistoryPage:
    """Read a page of a long history, page and counted by the engine."""
    filters = query.filters
    found = store.select("history/page_of_customer", {**filters.parameters(query.cursor), "limit": query.limit})
    keys = [(filters.tenant_id, customer_id, event_id) for customer_id, event_id in found.iter_rows()]
    if not keys:
        return _NOTHING
    rows = _read_rows(store, keys)
    total = store.rows("history/total_of_customer", filters.parameters())[0]["total"]
    return HistoryPage([rows[key] for key in keys], total)


def _cut_page(histories: _Histories, query: HistoryPageQuery, bounds: Mapping[str, Any]) -> _PageEvents:
    """Return the events on a page, newest first, and their number on all pages."""
    filters = query.filters
    matching = [
        entry
        for customer_id in filters.customer_ids
        for entry in histories.get((filters.tenant_id, customer_id), ())
        if bounds["from_id"] <= entry.id < bounds["before_id"]
    ]
    for name in _FILTERS:
        if value := getattr(filters, name):
            matching = [entry for entry in matching if getattr(entry, name) == value]
    following = [entry for entry in matching if entry.id < query.cursor] if query.cursor else matching
    return _PageEvents(nlargest(query.limit, following, key=attrgetter("id")), len(matching))


def _read_rows(store: Store, keys: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Read whole interactions, by tenant, customer and id."""
    if not keys:
        return {}
    parameters = {**build_customer_parameters([key[:2] for key in keys]), "ids": sorted({key[2] for key in keys})}
    return {(row["tenant_id"], row["customer_id"], row["id"]): row for row in store.rows("history/rows", parameters)}


def read_page(store: Store, filters: HistoryFilter, cursor: str, limit: int) -> list[dict[str, Any]]:
    """Read the newest interactions of any customer before a cursor, newest first.

    Args:
        store: The database.
        filters: Conditions that name no customer.
        cursor: Id of the last interaction of the page before; empty for the first page.
        limit: Interactions per page.
    """
    parameters = {**filters.parameters(cursor), "limit": limit}
    if filters.is_narrow:
        return store.rows("history/of_tenant_filtered", parameters)
    return store.rows("history/of_tenant", parameters)


def count_interactions(store: Store, filters: HistoryFilter) -> int:
    """Count the interactions, each once."""
    name = "history/total_of_customer" if filters.customer_ids else "history/total"
    return int(store.rows(name, filters.parameters())[0]["total"])

"""The interaction history, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.storage.client import Store

FIRST_ID: Final = ""
AFTER_LAST_ID: Final = "g"
"""Ids are hexadecimal: every one is smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which interactions of a tenant are meant; empty: any.

    Attributes:
        members: All ids of the customer, who is one person; empty if there is just the one.
        from_ms: Event time, epoch milliseconds, inclusive.
        to_ms: Likewise, exclusive.
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
        """The ids of the customer; none if no customer is meant."""
        return self.members or ((self.customer_id,) if self.customer_id else ())

    @property
    def is_narrow(self) -> bool:
        """Whether more than the tenant, the customer and a range of time is given."""
        return any((self.offer_id, self.creative_id, self.channel_id, self.outcome, self.direction))

    def parameters(self, cursor: str = "") -> dict[str, Any]:
        """The parameters of the queries; a page ends before the cursor."""
        before_id = AFTER_LAST_ID if self.to_ms is None else id_at(self.to_ms)
        return {
            "tenant_id": self.tenant_id,
            "customer_ids": list(self.customer_ids),
            "offer_id": self.offer_id,
            "creative_id": self.creative_id,
            "channel_id": self.channel_id,
            "outcome": self.outcome,
            "direction": self.direction,
            "from_id": FIRST_ID if self.from_ms is None else id_at(self.from_ms),
            "before_id": min(before_id, cursor) if cursor else before_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A page of one customer's history.

    Attributes:
        wanted: Names a customer.
        cursor: The id of the last interaction the caller has; empty for the first page.
        limit: At most so many.
    """

    wanted: HistoryFilter
    cursor: str = ""
    limit: int = 25


@dataclass(frozen=True, slots=True)
class Page:
    """Interactions, newest first, and how many there are on all pages; 0 where this one is empty."""

    rows: Sequence[dict[str, Any]]
    total: int


_FILTERS: Final = ("offer_id", "creative_id", "channel_id", "outcome", "direction")
_CUSTOMER: Final = ("tenant_id", "customer_id")
_NOTHING: Final = Page((), 0)


def read_pages(store: Store, requests: Sequence[PageRequest]) -> list[Page]:
    """Read the pages of several requests with two queries, each in its place."""
    bounds = [request.wanted.parameters() for request in requests]
    found = store.select(
        "history/ids",
        {
            "tenants": sorted({request.wanted.tenant_id for request in requests}),
            "customers": sorted({one for request in requests for one in request.wanted.customer_ids}),
            "from_id": min(each["from_id"] for each in bounds),
            "before_id": max(each["before_id"] for each in bounds),
        },
    )
    if found.is_empty():
        return [_NOTHING for _ in requests]
    by_customer = found.unique("id").partition_by(_CUSTOMER, as_dict=True)
    places = [_places_of(by_customer, request) for request in requests]
    listed = [page for page, _ in places if not page.is_empty()]
    rows = _rows_of(store, pl.concat(listed)) if listed else {}
    return [
        Page([rows[place] for place in page.select(*_CUSTOMER, "id").rows()], total) if total else _NOTHING
        for page, total in places
    ]


def _places_of(by_customer: Mapping[tuple[Any, ...], pl.DataFrame], request: PageRequest) -> tuple[pl.DataFrame, int]:
    """The interactions on a page, newest first, and how many there are on all pages."""
    wanted = request.wanted
    histories = [by_customer[place] for one in wanted.customer_ids if (place := (wanted.tenant_id, one)) in by_customer]
    if not histories:
        return pl.DataFrame(), 0
    bounds = wanted.parameters()
    own_id, values = pl.col("id"), ((name, getattr(wanted, name)) for name in _FILTERS)
    is_within = (own_id >= bounds["from_id"]) & (own_id < bounds["before_id"])
    matching = pl.concat(histories).filter(is_within, *(pl.col(name) == value for name, value in values if value))
    following = matching.filter(own_id < request.cursor) if request.cursor else matching
    page = following.sort("id", descending=True).head(request.limit)
    return page, 0 if page.is_empty() else matching.height


def _rows_of(store: Store, places: pl.DataFrame) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Interactions in full, by tenant, customer and id."""
    parameters = {
        "tenants": places["tenant_id"].unique().to_list(),
        "customers": places["customer_id"].unique().to_list(),
        "ids": places["id"].unique().to_list(),
    }
    return {(row["tenant_id"], row["customer_id"], row["id"]): row for row in store.rows("history/rows", parameters)}


def id_at(at_ms: int) -> str:
    """The smallest id an interaction at an instant can have: ids begin with their event time."""
    return f"{max(at_ms, 0):012x}"


def read_page(store: Store, wanted: HistoryFilter, cursor: str, limit: int) -> list[dict[str, Any]]:
    """The newest interactions of any customer before a cursor, newest first.

    Args:
        store: The database.
        wanted: Which; names no customer.
        cursor: The id of the last interaction the caller has; empty for the first page.
        limit: At most so many.
    """
    parameters = {**wanted.parameters(cursor), "limit": limit}
    if wanted.is_narrow:
        return store.rows("history/of_tenant_filtered", parameters)
    return store.rows("history/of_tenant", parameters)


def count_interactions(store: Store, wanted: HistoryFilter) -> int:
    """How many interactions there are, each counted once."""
    return int(store.rows("history/total", wanted.parameters())[0]["total"])

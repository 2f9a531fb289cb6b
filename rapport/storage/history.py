"""The interaction history, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

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


COLUMNS: Final = (
    "tenant",
    "customer",
    "offer_id",
    "creative_id",
    "channel_id",
    "outcome",
    "direction",
    "from_id",
    "to_id",
    "before_id",
)
"""What a request says, in the frame that the query joins with: a row for each id of its customer."""
_ROW: Final = {"tenant_id": pl.String, "customer_id": pl.String, "id": pl.String}


def read_pages(store: Store, requests: Sequence[PageRequest]) -> list[Page]:
    """Read the pages of several requests with two queries, each in its place."""
    frame = pl.DataFrame(
        [
            (number, request.wanted.tenant_id, customer_id, *_columns_of(request))
            for number, request in enumerate(requests)
            for customer_id in request.wanted.customer_ids
        ],
        schema={"number": pl.UInt32, **dict.fromkeys(COLUMNS, pl.String)},
        orient="row",
    )
    limit = max(request.limit for request in requests)
    places = store.select("history/pages", {"limit": limit}, frames={"history_requests": frame})
    if places.is_empty():
        return [Page((), 0) for _ in requests]
    wanted = places.select(*_ROW).unique().cast(_ROW)  # type: ignore[arg-type]
    found = store.select("history/rows", frames={"wanted_rows": wanted})
    rows = {(row["tenant_id"], row["customer_id"], row["id"]): row for row in found.to_dicts()}
    pages: list[tuple[list[dict[str, Any]], int]] = [([], 0) for _ in requests]
    for number, tenant_id, customer_id, own_id, total in places.iter_rows():
        listed, _ = pages[number]
        if len(listed) < requests[number].limit:
            listed.append(rows[tenant_id, customer_id, own_id])
        pages[number] = listed, total
    return [Page(listed, total) for listed, total in pages]


def _columns_of(request: PageRequest) -> tuple[str, ...]:
    wanted = request.wanted
    bounds = wanted.parameters()
    return (
        wanted.offer_id,
        wanted.creative_id,
        wanted.channel_id,
        wanted.outcome,
        wanted.direction,
        bounds["from_id"],
        bounds["before_id"],
        request.cursor or AFTER_LAST_ID,
    )


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

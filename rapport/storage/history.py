"""The interaction history, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rapport.storage.client import Store

FIRST_ID: Final = ""
AFTER_LAST_ID: Final = "g"
"""Ids are hexadecimal: every one is smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which interactions of a tenant are meant; empty: any.

    Attributes:
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

    @property
    def is_narrow(self) -> bool:
        """Whether more than the tenant, the customer and a range of time is given."""
        return any((self.offer_id, self.creative_id, self.channel_id, self.outcome, self.direction))

    def parameters(self, cursor: str = "") -> dict[str, Any]:
        """The parameters of the queries; a page ends before the cursor."""
        before_id = AFTER_LAST_ID if self.to_ms is None else id_at(self.to_ms)
        return {
            "tenant_id": self.tenant_id,
            "customer_id": self.customer_id,
            "offer_id": self.offer_id,
            "creative_id": self.creative_id,
            "channel_id": self.channel_id,
            "outcome": self.outcome,
            "direction": self.direction,
            "from_id": FIRST_ID if self.from_ms is None else id_at(self.from_ms),
            "before_id": min(before_id, cursor) if cursor else before_id,
        }


def id_at(at_ms: int) -> str:
    """The smallest id an interaction at an instant can have: ids begin with their event time."""
    return f"{max(at_ms, 0):012x}"


def read_page(store: Store, wanted: HistoryFilter, cursor: str, limit: int) -> list[dict[str, Any]]:
    """The newest interactions before a cursor, newest first.

    Args:
        store: The database.
        wanted: Which.
        cursor: The id of the last interaction the caller has; empty for the first page.
        limit: At most so many.
    """
    parameters = {**wanted.parameters(cursor), "limit": limit}
    if wanted.customer_id:
        return store.rows("history/of_customer", parameters)
    if wanted.is_narrow:
        return store.rows("history/of_tenant_filtered", parameters)
    return store.rows("history/of_tenant", parameters)


def count_interactions(store: Store, wanted: HistoryFilter) -> int:
    """How many interactions there are, each counted once."""
    return int(store.rows("history/total", wanted.parameters())[0]["total"])

"""Recorded decisions: found by recommendation id, and listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from rapport.domain.times import LATEST_MS

if TYPE_CHECKING:
    from rapport.storage.client import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionItem:
    """One rank of a recommendation.

    Attributes:
        decided_at_ms: Time of the decision, epoch milliseconds.
    """

    customer_id: str
    recommendation_id: str
    rank: int
    offer_id: str
    creative_id: str | None
    channel_id: str | None
    placement_id: str | None
    decided_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A row of table ``decisions``.

    Attributes:
        decision: JSON; see :mod:`rapport.domain.decisions.record`. Of another producer it may have any form.
    """

    customer_id: str
    recommendation_id: str
    decided_at_ms: int
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionFilter:
    """Conditions on a tenant's recommendations; empty means no condition.

    Attributes:
        from_ms: Earliest time of the decision, epoch milliseconds, inclusive.
        before_ms: Latest time, exclusive.
    """

    tenant_id: str
    customer_id: str = ""
    recommendation_id: str = ""
    from_ms: int = 0
    before_ms: int = LATEST_MS


class _Item(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    rank: int
    offer_id: str
    creative_id: str | None = None
    channel_id: str | None = None
    placement_id: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    items: Sequence[_Item] = ()


class _Record(msgspec.Struct, frozen=True):
    decision: _Answer


_decode_items: Final = msgspec.json.Decoder(_Record).decode


def find_decision(store: Store, tenant_id: str, recommendation_id: str) -> StoredDecision | None:
    """Return a recommendation by its id; None if the tables do not have it (yet)."""
    rows = store.rows("decisions/of_recommendation", {"tenant_id": tenant_id, "recommendation_id": recommendation_id})
    return StoredDecision(**rows[0]) if rows else None


def list_items(stored: StoredDecision) -> Sequence[DecisionItem]:
    """List the items of a recommendation, by rank; none if another producer wrote it in another form."""
    try:
        items = _decode_items(stored.decision).decision.items
    except (msgspec.DecodeError, RecursionError):
        return ()
    return [
        DecisionItem(
            customer_id=stored.customer_id,
            recommendation_id=stored.recommendation_id,
            rank=item.rank,
            offer_id=item.offer_id,
            creative_id=item.creative_id,
            channel_id=item.channel_id,
            placement_id=item.placement_id,
            decided_at_ms=stored.decided_at_ms,
        )
        for item in items
    ]


def count_decisions(store: Store, tenant_id: str, ours: Sequence[str]) -> tuple[int, frozenset[str]]:
    """Count a tenant's recommendations, and return which of some ids are among them."""
    (row,) = store.rows("decisions/count", {"tenant_id": tenant_id, "ours": list(ours)})
    return row["total"], frozenset(row["seen"])


def list_decisions(store: Store, wanted: DecisionFilter, limit: int, offset: int) -> list[StoredDecision]:
    """Return a page of recommendations, the newest first."""
    rows = store.rows("decisions/list", {**asdict(wanted), "limit": limit, "offset": offset})
    return [StoredDecision(**row) for row in rows]


def count_matching(store: Store, wanted: DecisionFilter) -> int:
    """Count the recommendations on all pages."""
    return int(store.rows("decisions/matching", asdict(wanted))[0]["total"])


def sample_customers(store: Store, tenant_id: str, size: int) -> list[str]:
    """Return some customers who were ever contacted."""
    rows = store.rows("decisions/customers", {"tenant_id": tenant_id, "limit": size})
    return [row["customer_id"] for row in rows]

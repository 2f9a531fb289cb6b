"""Facts of customers whose histories are too long to be read: the engine counts, and hands over groups of events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from rapport.domain.decisions.facts import Subject
from rapport.domain.events import make_first_id
from rapport.domain.metrics import MetricEvent, MetricGroup

if TYPE_CHECKING:
    from rapport.storage.client import Store

FRAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "reached_places": {
        **dict.fromkeys(("customer_id", "offer_id", "creative_id", "channel_id", "source"), pl.String),
        "reached": pl.UInt64,
    },
}
"""The table sent along with the queries."""
AppliedOffset = tuple[str, str, str, str, str, int]
"""Customer, offer, creative, channel and source of a summary row, and the offset up to which it counts."""
_ZERO: Final = Decimal(0)


class EventGroup(NamedTuple):
    """Events that are alike in all that decisions ask.

    Attributes:
        bucket: How many of the instants asked for, ascending, they do not count before.
        named_bucket: The same by the times that they name.
        latest_ms: When the latest counts.
        metric: The same for metrics.
    """

    subject: Subject
    outcome: str
    classification: str
    category: str
    is_conversion: bool
    bucket: int
    named_bucket: int
    events: int
    latest_ms: int
    metric: MetricGroup


def read_groups(
    store: Store, tenant_id: str, customer_ids: Collection[str], reached: Iterable[AppliedOffset], starts: Sequence[int]
) -> list[EventGroup]:
    """Group the events of one person.

    Args:
        store: Where.
        tenant_id: Whose customer.
        customer_ids: All ids of the person.
        reached: What the summaries count; only that is counted here.
        starts: When the windows begin that are asked for, epoch milliseconds, ascending; nothing before the first is
            read.
    """
    found = store.select(
        "history/groups_of_customer",
        {
            "tenant_id": tenant_id,
            "customer_ids": list(customer_ids),
            "from_id": make_first_id(starts[0]),
            "starts": list(starts),
        },
        frames={"reached_places": _frame(reached)},
    )
    return [_group_from_row(row) for row in found.iter_rows(named=True)]


def read_exposures(
    store: Store,
    tenant_id: str,
    customer_ids: Collection[str],
    reached: Iterable[AppliedOffset],
    recommendations: Collection[str],
) -> list[tuple[str, int]]:
    """Which ranks of some recommendations one person has seen, as far as the summaries count it."""
    found = store.select(
        "history/exposures_of_customer",
        {
            "tenant_id": tenant_id,
            "customer_ids": list(customer_ids),
            "recommendations": sorted(recommendations),
        },
        frames={"reached_places": _frame(reached)},
    )
    return list(found.iter_rows())


def _frame(reached: Iterable[AppliedOffset]) -> pl.DataFrame:
    return pl.DataFrame(list(reached), schema=dict(FRAMES["reached_places"]), orient="row")


def _group_from_row(row: Mapping[str, Any]) -> EventGroup:
    named = {name: row[name] for name in ("outcome", "classification", "category", "direction")}
    about = {name: row[name] for name in ("offer_id", "creative_id", "channel_id")}
    total, least, most = (Decimal(row[name]) if row[name] else _ZERO for name in ("total", "least", "most"))
    common = MetricEvent(occurred_ms=0, conversion_value=None, **named, **about)
    return EventGroup(
        subject=Subject(*about.values()),
        outcome=row["outcome"],
        classification=row["classification"],
        category=row["category"],
        is_conversion=bool(row["is_conversion"]),
        bucket=row["bucket"],
        named_bucket=row["named_bucket"],
        events=row["events"],
        latest_ms=row["latest_ms"],
        metric=MetricGroup(common, row["events"], row["values"], total, least, most),
    )

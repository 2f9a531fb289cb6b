"""Long histories of customers, which the engine aggregates into groups of events instead of returning them."""

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
    "applied_offsets": {
        **dict.fromkeys(("customer_id", "offer_id", "creative_id", "channel_id", "source"), pl.String),
        "applied_offset": pl.UInt64,
    },
}
"""Table sent along with the queries."""
AppliedOffset = tuple[str, str, str, str, str, int]
"""Customer, offer, creative, channel and source of a summary row, and the offset up to which it has been applied."""
_ZERO: Final = Decimal(0)


class EventGroup(NamedTuple):
    """Number of events that are alike in all properties that decisions use.

    Attributes:
        bucket: Number of the given instants, ascending, up to the time at which the events count.
        named_bucket: The same for the events' own times.
        latest_ms: Time at which the latest event counts.
        metric: The group as metrics use it.
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
    store: Store, tenant_id: str, customer_ids: Collection[str], offsets: Iterable[AppliedOffset], starts: Sequence[int]
) -> list[EventGroup]:
    """Read the groups of one person's events.

    Args:
        store: The database.
        tenant_id: The tenant.
        customer_ids: All ids of the person.
        offsets: Applied offsets of the summary rows; later events are left out.
        starts: Starts of the windows, epoch milliseconds, ascending; events before the first are not read.
    """
    found = store.select(
        "history/groups_of_customer",
        {
            "tenant_id": tenant_id,
            "customer_ids": list(customer_ids),
            "from_id": make_first_id(starts[0]),
            "starts": list(starts),
        },
        frames={"applied_offsets": _frame(offsets)},
    )
    return [_group_from_row(row) for row in found.iter_rows(named=True)]


def read_exposures(
    store: Store,
    tenant_id: str,
    customer_ids: Collection[str],
    offsets: Iterable[AppliedOffset],
    recommendations: Collection[str],
) -> list[tuple[str, int]]:
    """Read which ranks of some recommendations one person has seen, up to the applied offsets of the summary rows."""
    found = store.select(
        "history/exposures_of_customer",
        {
            "tenant_id": tenant_id,
            "customer_ids": list(customer_ids),
            "recommendations": sorted(recommendations),
        },
        frames={"applied_offsets": _frame(offsets)},
    )
    return list(found.iter_rows())


def _frame(offsets: Iterable[AppliedOffset]) -> pl.DataFrame:
    return pl.DataFrame(list(offsets), schema=dict(FRAMES["applied_offsets"]), orient="row")


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

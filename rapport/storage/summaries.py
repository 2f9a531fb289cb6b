"""Windowed summaries, for many requests at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from rapport.domain.periods import PeriodType, period_key

if TYPE_CHECKING:
    from datetime import date

    from rapport.storage.client import Store


class SummaryKey(NamedTuple):
    """What identifies a row of one customer; pages go on after one."""

    period_type: str = ""
    period_key: str = ""
    offer_id: str = ""
    creative_id: str = ""
    channel_id: str = ""
    scope: str = ""


FIRST: Final = SummaryKey()
"""Before every row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRequest:
    """What one request wants; empty: any.

    Attributes:
        members: All ids of the customer, who is one person; empty if there is just the one.
        first_day: Periods that end before this day are left out; alltime never is.
        last_day: Periods that begin after this day are left out.
        after: The last row of the page before.
        limit: At most so many rows; one more is read, to tell whether there is one.
    """

    tenant_id: str
    customer_id: str
    period_type: str = ""
    offer_id: str = ""
    creative_id: str = ""
    channel_id: str = ""
    first_day: date | None = None
    last_day: date | None = None
    after: SummaryKey = FIRST
    limit: int = 50
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SummaryRows:
    """What a request gets.

    Attributes:
        rows: Columns as in ``sql/queries/summaries/pages.sql``.
        has_more: Whether rows follow.
        matching: How many there are in all pages together.
    """

    rows: Sequence[dict[str, Any]]
    has_more: bool
    matching: int


COLUMNS: Final = (
    "period",
    "offer_id",
    "creative_id",
    "channel_id",
    "first_day",
    "last_day",
    "first_week",
    "last_week",
    "first_month",
    "last_month",
    "after_type",
    "after_key",
    "after_offer",
    "after_creative",
    "after_channel",
    "after_scope",
)
"""What a request says, in the frame that the query joins with."""
CUSTOMERS: Final = {"person": pl.UInt32, "tenant": pl.String, "customer": pl.String}
"""The ids of the customers, in the other one."""


def read_summaries(store: Store, requests: Sequence[SummaryRequest]) -> list[SummaryRows]:
    """Read what several requests want with one query, each in its place."""
    people: dict[tuple[str, tuple[str, ...]], int] = {}
    rows = [
        (number, people.setdefault(_person_of(request), len(people)), *_columns_of(request))
        for number, request in enumerate(requests)
    ]
    customers = [(person, tenant, one) for (tenant, members), person in people.items() for one in members]
    frames = {
        "requests": pl.DataFrame(
            rows, schema={"number": pl.UInt32, "person": pl.UInt32, **dict.fromkeys(COLUMNS, pl.String)}, orient="row"
        ),
        "summary_customers": pl.DataFrame(customers, schema=CUSTOMERS, orient="row"),
    }
    limit = max(request.limit for request in requests) + 1
    found = store.select("summaries/pages", {"limit": limit}, frames=frames)
    by_number: dict[int, list[dict[str, Any]]] = {}
    for row in found.iter_rows(named=True) if not found.is_empty() else ():
        by_number.setdefault(row["number"], []).append(row)
    return [_page(by_number.get(number, []), request) for number, request in enumerate(requests)]


def _page(rows: Sequence[dict[str, Any]], request: SummaryRequest) -> SummaryRows:
    following = [row for row in rows if row["is_after"]]
    matching = rows[0]["matching"] if rows else 0
    return SummaryRows(following[: request.limit], len(following) > request.limit, matching)


def _person_of(request: SummaryRequest) -> tuple[str, tuple[str, ...]]:
    return request.tenant_id, request.members or (request.customer_id,)


def _columns_of(request: SummaryRequest) -> tuple[str, ...]:
    first, last = request.first_day, request.last_day
    periods = [
        "" if day is None else period_key(period_type, day)
        for period_type in (PeriodType.DAILY, PeriodType.WEEKLY, PeriodType.MONTHLY)
        for day in (first, last)
    ]
    return (
        request.period_type,
        request.offer_id,
        request.creative_id,
        request.channel_id,
        *periods,
        *request.after,
    )

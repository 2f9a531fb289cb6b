"""Windowed summaries, for many requests at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

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


class SummaryRow(NamedTuple):
    """Counts of one scope, period, offer, creative and channel, and the last contact.

    Attributes:
        offer: Empty where the events name none, and in scope channel; likewise creative and channel.
        last_contact_at: ISO 8601 in UTC with milliseconds.
    """

    period_type: str
    period_key: str
    offer: str
    creative: str
    channel: str
    scope: Literal["offer", "channel"]
    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    total_value: float
    last_contact_at: str
    last_outcome: str
    last_direction: str


@dataclass(frozen=True, slots=True)
class SummaryRows:
    """What a request gets.

    Attributes:
        rows: One for each scope, period, offer, creative and channel.
        has_more: Whether rows follow.
        matching: How many there are in all pages together.
    """

    rows: Sequence[SummaryRow]
    has_more: bool
    matching: int


_COUNTS: Final = ("impressions", "positive", "negative", "neutral", "converts", "total_value")
_KEY: Final = ("period_type", "period_key", "offer", "creative", "channel", "scope")
"""What tells a person's rows apart, in the order of a page; of the period keys the latest comes first."""
_STORED_KEY: Final = ("tenant_id", "customer_id", "period_type", "period_key", "offer", "creative", "channel", "source")
_VERSION: Final = ("applied_offset", "stored_at_ms")
_LATEST: Final = ("last_contact_ms", "source", "offer", "creative", "customer_id")
"""By these the last contact of several rows is chosen."""
_PEOPLE: Final = {"tenant_id": pl.String, "customer_id": pl.String, "person": pl.UInt32}
_ISO: Final = "%Y-%m-%dT%H:%M:%S%.3fZ"
_NOTHING: Final = SummaryRows((), has_more=False, matching=0)


def read_summaries(store: Store, requests: Sequence[SummaryRequest]) -> list[SummaryRows]:
    """Read what several requests want with one query, each in its place."""
    people: dict[tuple[str, tuple[str, ...]], int] = {}
    numbers = [people.setdefault(_person_of(request), len(people)) for request in requests]
    customers = [(tenant, one, person) for (tenant, members), person in people.items() for one in members]
    found = store.select(
        "summaries/of_customers",
        {
            "tenants": sorted({tenant for tenant, _, _ in customers}),
            "customers": sorted({one for _, one, _ in customers}),
        },
    )
    if found.is_empty():
        return [_NOTHING for _ in requests]
    by_person = _add_up(found, pl.DataFrame(customers, schema=_PEOPLE, orient="row")).partition_by(
        "person", as_dict=True, include_key=False
    )
    return [
        _page(by_person[person,], request) if (person,) in by_person else _NOTHING
        for person, request in zip(numbers, requests, strict=True)
    ]


def _add_up(found: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """The rows of each person: of all their ids and all sources together, and once more of all offers of a channel."""
    newest = found.sort(_VERSION).unique(_STORED_KEY, keep="last")
    rows = newest.join(people, on=["tenant_id", "customer_id"]).sort(_LATEST)
    scopes = [
        rows.with_columns(scope=pl.lit("offer")),
        rows.with_columns(scope=pl.lit("channel"), offer=pl.lit(""), creative=pl.lit("")),
    ]
    return (
        pl.concat(scopes)
        .group_by("person", *_KEY)
        .agg(
            pl.col(_COUNTS).sum(),
            last_contact_at=pl.from_epoch(pl.col("last_contact_ms").last(), "ms").dt.strftime(_ISO),
            last_outcome=pl.col("last_outcome").last(),
            last_direction=pl.col("last_direction").last(),
        )
        .with_columns(pl.col("total_value").cast(pl.Float64))
        .filter(pl.sum_horizontal("impressions", "positive", "negative", "neutral") > 0)
        .sort("person", *_KEY, descending=[False, False, True, False, False, False, False])
    )


def _page(rows: pl.DataFrame, request: SummaryRequest) -> SummaryRows:
    conditions = list(_conditions(request))
    matching = rows.filter(*conditions) if conditions else rows
    following = matching if request.after == FIRST else matching.filter(_is_after(request.after))
    shown = following.head(request.limit).rows()
    return SummaryRows([SummaryRow(*row) for row in shown], following.height > request.limit, matching.height)


def _person_of(request: SummaryRequest) -> tuple[str, tuple[str, ...]]:
    return request.tenant_id, request.members or (request.customer_id,)


def _conditions(request: SummaryRequest) -> Iterator[pl.Expr]:
    if request.period_type:
        yield pl.col("period_type") == request.period_type
    if request.offer_id:
        yield pl.col("offer") == request.offer_id
    if request.creative_id:
        yield pl.col("creative") == request.creative_id
    if request.channel_id:
        yield pl.col("channel") == request.channel_id
    if request.first_day or request.last_day:
        yield pl.any_horizontal(_within(each, request) for each in PeriodType)


def _within(period_type: PeriodType, request: SummaryRequest) -> pl.Expr:
    """Whether a row is of that type and its period reaches into the days that are wanted."""
    key, is_within = pl.col("period_key"), pl.col("period_type") == period_type
    if period_type is PeriodType.ALLTIME:
        return is_within
    if request.first_day:
        is_within &= key >= period_key(period_type, request.first_day)
    if request.last_day:
        is_within &= key <= period_key(period_type, request.last_day)
    return is_within


def _is_after(after: SummaryKey) -> pl.Expr:
    """Whether a row comes after another in the order of a page."""
    comes_after, is_equal = pl.lit(value=False), pl.lit(value=True)
    for name, value in zip(_KEY, after, strict=True):
        column = pl.col(name)
        comes_after |= is_equal & (column < value if name == "period_key" else column > value)
        is_equal &= column == value
    return comes_after

"""Windowed summaries of customers, for many queries at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from rapport.domain.periods import PeriodType, make_period_key
from rapport.storage.customer_reads import read_stored_summaries

if TYPE_CHECKING:
    from datetime import date

    from rapport.domain.customers.customer import CustomerRef
    from rapport.domain.summaries import StoredSummary
    from rapport.storage.client import Store


Scope = Literal["offer", "channel"]


class SummaryKey(NamedTuple):
    """Key of a row of one customer; also the cursor of pages."""

    period_type: str = ""
    period_key: str = ""
    offer_id: str = ""
    creative_id: str = ""
    channel_id: str = ""
    scope: str = ""


FIRST: Final = SummaryKey()
"""Less than every key."""
_LAST: Final = "~"
"""Greater than the key of every period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryQuery:
    """Query for a page of one customer's summaries; empty means no condition.

    Attributes:
        members: All ids of a merged customer; empty if there is just the one.
        first_day: Periods that end before this day are left out; alltime never is.
        last_day: Periods that begin after this day are left out.
        after: The last row of the page before.
        limit: Rows per page.
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

    @property
    def is_narrow(self) -> bool:
        """Whether there are conditions besides the customer."""
        filters = self.period_type, self.offer_id, self.creative_id, self.channel_id, self.first_day, self.last_day
        return any(filters)


class SummaryRow(NamedTuple):
    """Counts of one scope, period, offer, creative and channel, and the last contact.

    Attributes:
        offer: Empty where the events name none, and in scope channel; likewise creative and channel.
        last_contact_ms: Epoch milliseconds.
    """

    period_type: str
    period_key: str
    offer: str
    creative: str
    channel: str
    scope: Scope
    impressions: int
    positive: int
    negative: int
    neutral: int
    converts: int
    total_value: float
    last_contact_ms: int
    last_outcome: str
    last_direction: str

    @property
    def key(self) -> SummaryKey:
        """Key of the row."""
        return SummaryKey(*self[:6])

    @property
    def is_contact(self) -> bool:
        """Whether it counts anything: a repair may set a row to zero."""
        return self.impressions + self.positive + self.negative + self.neutral > 0


@dataclass(frozen=True, slots=True)
class SummaryPage:
    """One page of summaries.

    Attributes:
        rows: One for each scope, period, offer, creative and channel.
        has_more: Whether rows follow.
        matching: Number of rows on all pages.
    """

    rows: Sequence[SummaryRow]
    has_more: bool
    matching: int


_Key = tuple[str, str, str, str, str, Scope]
"""As :class:`SummaryKey`."""


def read_summaries(store: Store, queries: Sequence[SummaryQuery]) -> list[SummaryPage]:
    """Read the pages of several queries, in their order, with one database query."""
    people = [[(query.tenant_id, one) for one in query.members or (query.customer_id,)] for query in queries]
    customers = {customer for person in people for customer in person}
    stored: dict[CustomerRef, list[StoredSummary]] = {}
    for row in read_stored_summaries(store, customers):
        stored.setdefault(row.customer, []).append(row)
    return [
        _page(_add_up(row for customer in person for row in stored.get(customer, ())), query)
        for query, person in zip(queries, people, strict=True)
    ]


def _add_up(stored: Iterable[StoredSummary]) -> Iterator[SummaryRow]:
    """Add up the rows of one person over ids, sources and blocks: per offer, and once more per channel."""
    groups: dict[_Key, list[StoredSummary]] = {}
    for row in stored:
        period = row.period_type, row.period_key
        groups.setdefault((*period, row.offer_id, row.creative_id, row.channel_id, "offer"), []).append(row)
        groups.setdefault((*period, "", "", row.channel_id, "channel"), []).append(row)
    for key, rows in groups.items():
        counts, latest = rows[0].counts, rows[0]
        if len(rows) > 1:
            counts = tuple(sum(column) for column in zip(*(row.counts for row in rows), strict=True))
            latest = max(rows, key=_recency_of)
        impressions, positive, negative, neutral, converts, total_value = counts
        yield SummaryRow(
            *key,
            impressions,
            positive,
            negative,
            neutral,
            converts,
            float(total_value),
            latest.last_contact_ms,
            latest.last_outcome,
            latest.last_direction,
        )


_recency_of: Final = attrgetter("last_contact_ms", "source", "offer_id", "creative_id", "customer_id", "block")
"""Order by which the last contact of several rows is chosen."""


def _page(rows: Iterable[SummaryRow], query: SummaryQuery) -> SummaryPage:
    matching = [row for row in rows if row.is_contact]
    if query.is_narrow:
        periods = {
            str(period_type): _bounds(period_type, query)
            for period_type in PeriodType
            if query.period_type in ("", period_type)
        }
        matching = [row for row in matching if _is_wanted(row, query, periods)]
    # Periods descend, all other columns ascend. Sorting is stable.
    matching.sort(key=itemgetter(2, 3, 4, 5))
    matching.sort(key=itemgetter(1), reverse=True)
    matching.sort(key=itemgetter(0))
    following = matching if query.after == FIRST else [row for row in matching if _is_after(row, query.after)]
    return SummaryPage(following[: query.limit], len(following) > query.limit, len(matching))


def _bounds(period_type: PeriodType, query: SummaryQuery) -> tuple[str, str]:
    """Return the first and the last key of periods that overlap the days of the query."""
    if period_type is PeriodType.ALLTIME:
        return "", _LAST
    first, last = query.first_day, query.last_day
    return make_period_key(period_type, first) if first else "", make_period_key(period_type, last) if last else _LAST


def _is_wanted(row: SummaryRow, query: SummaryQuery, periods: Mapping[str, tuple[str, str]]) -> bool:
    if row.period_type not in periods:
        return False
    first_key, last_key = periods[row.period_type]
    return (
        first_key <= row.period_key <= last_key
        and query.offer_id in ("", row.offer)
        and query.creative_id in ("", row.creative)
        and query.channel_id in ("", row.channel)
    )


def _is_after(row: SummaryRow, after: SummaryKey) -> bool:
    """Return whether a row comes after another in the order of a page."""
    if row.period_type != after.period_type or row.period_key == after.period_key:
        return row.key > after
    return row.period_key < after.period_key

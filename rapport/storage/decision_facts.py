"""What decisions know of customers, for many customers at once, exact to the event.

All facts of one customer describe one state of the stream. The summary rows are read first, in one query; each says how
far it reaches into the log of its source. The history is written before the summaries that count it, so of what is read
from it afterwards exactly those events count that these rows reach: rolling windows, windows in the customer's own time
zone, outcomes and exposures then agree with the calendar windows, whatever the stream writes meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import polars as pl

from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.decisions.windows import DAY_MS, Kind, Unit, Window, Zone
from rapport.domain.periods import ALLTIME_KEY, PeriodType, local_date, period_key
from rapport.storage.history import FIRST_ID, id_at
from rapport.storage.metrics import read_metrics

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.storage.client import Store

_PERIODS: Final[Mapping[Unit, PeriodType]] = {
    Unit.DAY: PeriodType.DAILY,
    Unit.WEEK: PeriodType.WEEKLY,
    Unit.MONTH: PeriodType.MONTHLY,
}
_CUSTOMER: Final = {"tenant_id": pl.String, "customer_id": pl.String}
FRAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "fact_customers": _CUSTOMER,
    "fact_periods": {"period_key": pl.String},
    "fact_windows": {
        "number": pl.UInt32,
        **_CUSTOMER,
        "window": pl.UInt32,
        "purpose": pl.String,
        "from_id": pl.String,
    },
    "fact_outcomes": {"outcome": pl.String},
    "fact_exposures": {"recommendation_id": pl.String},
    "fact_applied": {
        **_CUSTOMER,
        **dict.fromkeys(("offer_id", "creative_id", "channel_id", "source"), pl.String),
        "applied_offset": pl.UInt64,
    },
}
"""The tables sent along with the queries."""
_COUNTS: Final = ("impressions", "positive", "negative", "neutral", "converts")
_NO_COUNTS: Final = Counts()


class Place(NamedTuple):
    """One summary row over all time: what it is about, and of which log."""

    subject: Subject
    source: str


class Exposure(NamedTuple):
    """A rank of a recommendation that the customer has seen."""

    recommendation_id: str
    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRequest:
    """Which facts of which customer.

    Attributes:
        time_zone: The tenant's.
        customer_zone: The customer's, where it is known.
        now_ms: When the windows end, epoch milliseconds.
        outcomes: Whose latest times are wanted.
        outcome_days: As far as they reach back; what is older does not matter to whoever asks.
        metrics: Definitions of the tenant.
        exposures: Recommendations of which it is asked what the customer has seen.
    """

    tenant_id: str
    customer_id: str
    time_zone: str
    now_ms: int
    customer_zone: str | None = None
    windows: frozenset[Window] = frozenset()
    outcomes: frozenset[str] = frozenset()
    outcome_days: float | None = None
    metrics: Sequence[MetricDefinition] = ()
    exposures: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class LoadedFacts:
    """One customer's facts; the attributes are those of :class:`rapport.domain.decisions.facts.CustomerFacts`.

    Attributes:
        applied: The offset up to which each log's contacts are in these facts.
        exposed: What of the recommendations asked for is counted as an impression.
    """

    counts: dict[Window, dict[Subject, Counts]] = field(default_factory=dict)
    last_contact_ms: dict[Subject, int] = field(default_factory=dict)
    last_outcome_ms: dict[tuple[str, Subject], int] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    applied: dict[Place, int] = field(default_factory=dict)
    exposed: set[Exposure] = field(default_factory=set)

    def add(self, window: Window, subject: Subject, row: Mapping[str, Any]) -> None:
        """Add the counts of a row."""
        counts = self.counts.setdefault(window, {})
        counts[subject] = counts.get(subject, _NO_COUNTS).plus(Counts(*(row[name] for name in _COUNTS)))


def read_facts(store: Store, requests: Sequence[FactsRequest]) -> list[LoadedFacts]:
    """Load the facts of several customers, each in its place: with one query, or two where the history is needed."""
    facts = [LoadedFacts() for _ in requests]
    by_customer: dict[tuple[str, str], list[int]] = {}
    for number, request in enumerate(requests):
        by_customer.setdefault((request.tenant_id, request.customer_id), []).append(number)
    applied = _add_summaries(store, requests, facts, by_customer)
    if not applied.is_empty():
        _add_history(store, requests, facts, applied)
    _add_metrics(store, requests, facts)
    return facts


def _add_summaries(
    store: Store, requests: Sequence[FactsRequest], facts: list[LoadedFacts], by_customer: Mapping[Any, Sequence[int]]
) -> pl.DataFrame:
    """Add what the summaries know; returns how far they reach."""
    wanted = [_by_period(request) for request in requests]
    keys = sorted({ALLTIME_KEY, *(key for periods in wanted for key in periods)})
    found = store.select(
        "decisions/summaries",
        frames={
            "fact_customers": _frame("fact_customers", list(by_customer)),
            "fact_periods": _frame("fact_periods", [(key,) for key in keys]),
        },
    )
    reach: list[tuple[Any, ...]] = []
    for row in found.iter_rows(named=True) if not found.is_empty() else ():
        customer = (row["tenant_id"], row["customer_id"])
        subject = Subject(row["offer_id"], row["creative_id"], row["channel_id"])
        is_empty = not any(row[name] for name in _COUNTS)  # a repair may leave nothing of a row
        if row["period_key"] == ALLTIME_KEY:
            reach.append((*customer, *subject, row["source"], row["applied_offset"]))
        for number in by_customer[customer]:
            for window in wanted[number].get(row["period_key"], ()):
                if not is_empty:
                    facts[number].add(window, subject, row)
            if row["period_key"] == ALLTIME_KEY:
                facts[number].applied[Place(subject, row["source"])] = row["applied_offset"]
                if not is_empty:
                    _keep_latest(facts[number].last_contact_ms, subject, row["last_contact_ms"])
    return _frame("fact_applied", reach)


def _by_period(request: FactsRequest) -> dict[str, list[Window]]:
    """The windows that summaries answer, by the key of their period."""
    today = local_date(request.now_ms, request.time_zone)
    periods: dict[str, list[Window]] = {}
    for window in request.windows:
        if is_summarised(window, request):
            key = ALLTIME_KEY if window.unit is Unit.ALL else period_key(_PERIODS[window.unit], today)
            periods.setdefault(key, []).append(window)
    return periods


def is_summarised(window: Window, request: FactsRequest) -> bool:
    """Whether summaries count a window; of the others, only the history knows."""
    if window.unit is Unit.ALL:
        return True
    is_tenants = window.zone is Zone.TENANT or request.customer_zone in (None, request.time_zone)
    return window.kind is Kind.CALENDAR and window.unit in _PERIODS and is_tenants


def _add_history(
    store: Store, requests: Sequence[FactsRequest], facts: list[LoadedFacts], applied: pl.DataFrame
) -> None:
    windows = [list(_history_windows(request)) for request in requests]
    rows = [
        (number, request.tenant_id, request.customer_id, index, purpose, from_id)
        for number, request in enumerate(requests)
        for index, (purpose, from_id, _) in enumerate(windows[number])
    ]
    if not rows:
        return
    found = store.select(
        "decisions/history",
        {"first_id": min(row[-1] for row in rows)},
        frames={
            "fact_windows": _frame("fact_windows", rows),
            "fact_outcomes": _frame("fact_outcomes", _distinct(request.outcomes for request in requests)),
            "fact_exposures": _frame("fact_exposures", _distinct(request.exposures for request in requests)),
            "fact_applied": applied,
        },
    )
    for row in found.iter_rows(named=True) if not found.is_empty() else ():
        number = row["number"]
        purpose, _, window = windows[number][row["window"]]
        subject = Subject(row["offer_id"], row["creative_id"], row["channel_id"])
        if window is not None:
            facts[number].add(window, subject, row)
        elif purpose == "outcomes" and row["outcome"] in requests[number].outcomes:
            _keep_latest(facts[number].last_outcome_ms, (row["outcome"], subject), row["last_ms"])
        elif purpose == "exposures":
            facts[number].exposed.add(Exposure(row["exposure"], row["rank"]))


def _history_windows(request: FactsRequest) -> Iterator[tuple[str, str, Window | None]]:
    """What is asked of the history: for what, from which id on, and the window that is counted."""
    for window in sorted(request.windows, key=str):
        if not is_summarised(window, request):
            zone = request.time_zone if window.zone is Zone.TENANT else request.customer_zone or request.time_zone
            yield "counts", id_at(window.start_ms(request.now_ms, zone)), window
    if request.outcomes:
        yield "outcomes", _first_outcome_id(request), None
    if request.exposures:
        yield "exposures", FIRST_ID, None


def _first_outcome_id(request: FactsRequest) -> str:
    if request.outcome_days is None:
        return FIRST_ID
    return id_at(max(0, request.now_ms - round(request.outcome_days * DAY_MS)))


def _frame(name: str, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(FRAMES[name]), orient="row")


def _distinct(groups: Iterable[frozenset[str]]) -> list[tuple[str]]:
    return [(value,) for value in sorted(set().union(*groups))]


def _add_metrics(store: Store, requests: Sequence[FactsRequest], facts: list[LoadedFacts]) -> None:
    """Add behavioral metrics; their windows end at the latest ``now_ms`` of a tenant's requests, some ms apart."""
    by_tenant: dict[str, list[int]] = {}
    for number, request in enumerate(requests):
        if request.metrics:
            by_tenant.setdefault(request.tenant_id, []).append(number)
    for tenant_id, numbers in by_tenant.items():
        definitions = {one.key: one for number in numbers for one in requests[number].metrics}
        customers = sorted({requests[number].customer_id for number in numbers})
        now_ms = max(requests[number].now_ms for number in numbers)
        values = read_metrics(store, tenant_id, customers, list(definitions.values()), now_ms)
        for number in numbers:
            facts[number].metrics = values[requests[number].customer_id]


def _keep_latest(times: dict[Any, int], key: object, at_ms: int) -> None:
    times[key] = max(at_ms, times.get(key, at_ms))


@dataclass(frozen=True, slots=True)
class OfferTotals:
    """What all customers together did with one offer on one channel; ``shown_today`` in the tenant's calendar day."""

    offer_id: str
    channel_id: str
    shown_today: int
    shown: int
    positive: int
    negative: int


def read_totals(store: Store, tenant_id: str, time_zone: str, now_ms: int) -> list[OfferTotals]:
    """Add up a tenant's summaries over all customers. Reads them all: keep the answer for a while."""
    today = period_key(PeriodType.DAILY, local_date(now_ms, time_zone))
    found = store.select("decisions/tenant", {"tenant_id": tenant_id, "today": today})
    return [OfferTotals(**row) for row in found.iter_rows(named=True)] if not found.is_empty() else []

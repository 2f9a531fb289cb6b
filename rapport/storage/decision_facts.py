"""What decisions know of customers, for many customers at once, exact to the event.

All facts of one customer describe one state of the stream. The summary rows are read first, in one query; each says how
far it reaches into the log of its source. The history is written before the summaries that count it, so of what is read
from it afterwards exactly those events count that these rows reach: rolling windows, windows in the customer's own time
zone, outcomes and exposures then agree with the calendar windows, whatever the stream writes meanwhile.

An event counts at the latest when it was received (:attr:`rapport.storage.event_rows.StoredEvent.counted_ms`), while
summaries go by the time that it names, up to a day later. So the rows of the period that follows count as well, and the
history says which events of this period were received, and counted, in the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.decisions.windows import Kind, Unit, Window, Zone, first_day
from rapport.domain.events import MAX_FUTURE_MS
from rapport.domain.metrics import measure, start_ms_of
from rapport.domain.outcomes import Category, Classification
from rapport.domain.periods import ALLTIME_KEY, DAY_MS, PeriodType, local_date, period_key
from rapport.storage.event_rows import read_events
from rapport.storage.history import id_at
from rapport.storage.summary_rows import read_newest

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import MetricDefinition
    from rapport.storage.client import Store
    from rapport.storage.event_rows import StoredEvent
    from rapport.storage.of_customers import Customer
    from rapport.storage.summary_rows import StoredSummary

_PERIODS: Final[Mapping[Unit, PeriodType]] = {
    Unit.DAY: PeriodType.DAILY,
    Unit.WEEK: PeriodType.WEEKLY,
    Unit.MONTH: PeriodType.MONTHLY,
}
_LONGEST_DAYS: Final[Mapping[Unit, int]] = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31}
_NO_COUNTS: Final = Counts()


class Place(NamedTuple):
    """One summary row over all time: what it is about, of which log, and of which of a customer's ids."""

    subject: Subject
    source: str
    customer_id: str


_Reach = dict["Customer", dict[Place, int]]
"""The offset up to which the summaries of each place of each customer count."""


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
        contact_days: As far as the latest contact matters.
        metrics: Definitions of the tenant.
        members: All ids of the customer, who is one person; empty if there is just the one.
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
    contact_days: float = 0.0
    metrics: Sequence[MetricDefinition] = ()
    exposures: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()

    @property
    def customers(self) -> Iterator[Customer]:
        """Every id of the customer, with the tenant."""
        return ((self.tenant_id, member) for member in self.members or (self.customer_id,))


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

    def add(self, window: Window, subject: Subject, more: Counts) -> None:
        """Add contacts, or take them away; what has none left is not there."""
        counts = self.counts.setdefault(window, {})
        counts[subject] = counts.get(subject, _NO_COUNTS).plus(more)
        if counts[subject] == _NO_COUNTS:
            del counts[subject]


def read_summary_rows(store: Store, requests: Sequence[FactsRequest]) -> Iterable[StoredSummary]:
    """Load the summary rows of several customers with one query.

    While a customer's time zone is not known, it asks for enough whatever the zone turns out to be.
    """
    numbers = _numbers_of(enumerate(requests))
    periods = {key for request in requests for key in _by_period(request)}
    return read_newest(store, numbers, {ALLTIME_KEY, *periods})


def read_facts(
    store: Store, requests: Sequence[FactsRequest], rows: Iterable[StoredSummary] | None = None
) -> list[LoadedFacts]:
    """Load the facts of several customers, each in its place: with one query, or two where the history is needed.

    Args:
        store: Where.
        requests: Which.
        rows: What :func:`read_summary_rows` has loaded for them, if it was called before.
    """
    facts = [LoadedFacts() for _ in requests]
    reach = _add_summaries(requests, facts, read_summary_rows(store, requests) if rows is None else rows)
    _add_history(store, requests, facts, reach)
    return facts


def _numbers_of(requests: Iterable[tuple[int, FactsRequest]]) -> dict[Customer, list[int]]:
    numbers: dict[Customer, list[int]] = {}
    for number, request in requests:
        for customer in request.customers:
            numbers.setdefault(customer, []).append(number)
    return numbers


def _add_summaries(requests: Sequence[FactsRequest], facts: list[LoadedFacts], rows: Iterable[StoredSummary]) -> _Reach:
    """Add what the summaries know; returns how far they reach."""
    wanted = [_by_period(request) for request in requests]
    numbers = _numbers_of(enumerate(requests))
    reach: _Reach = {}
    for row in rows:
        place = _place_of(row)
        counts = Counts(row.impressions, row.positive, row.negative, row.neutral, row.converts)
        is_alltime = row.period_key == ALLTIME_KEY
        if is_alltime:
            reach.setdefault(row.customer, {})[place] = row.applied_offset
        for number in numbers[row.customer]:
            if is_alltime:
                facts[number].applied[place] = row.applied_offset
            if counts == _NO_COUNTS:  # a repair may leave nothing of a row
                continue
            if is_alltime:
                _keep_latest(facts[number].last_contact_ms, place.subject, row.last_contact_ms)
            for window in wanted[number].get(row.period_key, ()):
                facts[number].add(window, place.subject, counts)
    return reach


def _by_period(request: FactsRequest) -> dict[str, list[Window]]:
    """The windows that summaries answer, by the key of their period."""
    today = local_date(request.now_ms, request.time_zone)
    periods: dict[str, list[Window]] = {}
    for window in request.windows:
        if not is_summarised(window, request):
            continue
        if window.unit is Unit.ALL:
            keys = [ALLTIME_KEY]
        else:
            keys = [period_key(_PERIODS[window.unit], day) for day in (today, _next_period(today, window.unit))]
        for key in keys:
            periods.setdefault(key, []).append(window)
    return periods


def _next_period(day: date, unit: Unit) -> date:
    """A day of the period after the one that a day lies in."""
    return first_day(day, unit) + timedelta(days=_LONGEST_DAYS[unit])


def is_summarised(window: Window, request: FactsRequest) -> bool:
    """Whether summaries count a window; of the others, only the history knows."""
    if window.unit is Unit.ALL:
        return True
    is_tenants = window.zone is Zone.TENANT or request.customer_zone in (None, request.time_zone)
    return window.kind is Kind.CALENDAR and window.unit in _PERIODS and is_tenants


def _add_history(store: Store, requests: Sequence[FactsRequest], facts: list[LoadedFacts], reach: _Reach) -> None:
    """Add what only the history knows: of it, exactly the events that the summaries count already.

    Recommendations, which no summary counts, only matter to behavioral metrics that ask for them.
    """
    asked = {number: list(_history_windows(one, facts[number])) for number, one in enumerate(requests)}
    numbers = _numbers_of((number, requests[number]) for number, windows in asked.items() if windows)
    if not numbers:
        return
    events = read_events(store, numbers, id_at(min(start for windows in asked.values() for _, start, _ in windows)))
    known: dict[int, list[StoredEvent]] = {}
    contacts: dict[int, dict[Subject, int]] = {}
    for event in events:
        is_contact, place = event.category != Category.RECOMMENDATION, _place_of(event)
        if is_contact and event.offset > reach.get(event.customer, {}).get(place, -1):
            continue
        counted_ms = event.counted_ms
        for number in numbers[event.customer]:
            known.setdefault(number, []).append(event)
            if not is_contact:
                continue
            _keep_latest(contacts.setdefault(number, {}), place.subject, counted_ms)
            for purpose, start_ms, window in asked[number]:
                if counted_ms >= start_ms:
                    _add_event(facts[number], requests[number], purpose, window, event)
                elif purpose == "summarised" and window is not None and event.occurred_ms >= start_ms:
                    facts[number].add(window, place.subject, _counts_of(event).negated())
    for number, windows in asked.items():
        if windows:
            facts[number].metrics = _measure(requests[number], known.get(number, ()))
            _date_contacts(facts[number], requests[number], contacts.get(number, {}))


def _date_contacts(facts: LoadedFacts, request: FactsRequest, counted: Mapping[Subject, int]) -> None:
    """Put the latest contacts at the time when they count, as far back as the history was read for it."""
    for subject, at_ms in facts.last_contact_ms.items():
        if at_ms >= _first_contact_ms(request):
            facts.last_contact_ms[subject] = min(at_ms, counted.get(subject, at_ms))


def _place_of(row: StoredEvent | StoredSummary) -> Place:
    return Place(Subject(row.offer_id, row.creative_id, row.channel_id), row.source, row.customer_id)


def _measure(request: FactsRequest, events: Sequence[StoredEvent]) -> dict[str, float]:
    measured = [event.measured for event in events] if request.metrics else []
    values = {definition.key: measure(definition, measured, request.now_ms) for definition in request.metrics}
    return {key: value for key, value in values.items() if value is not None}


def _add_event(
    facts: LoadedFacts, request: FactsRequest, purpose: str, window: Window | None, event: StoredEvent
) -> None:
    subject = _place_of(event).subject
    if purpose == "counts" and window is not None:
        facts.add(window, subject, _counts_of(event))
    elif purpose == "outcomes":
        if event.outcome in request.outcomes:
            _keep_latest(facts.last_outcome_ms, (event.outcome, subject), event.counted_ms)
    elif (
        purpose == "exposures"
        and event.category == Category.IMPRESSION
        and event.recommendation_id in request.exposures
    ):
        facts.exposed.add(Exposure(event.recommendation_id, event.rank))


def _counts_of(event: StoredEvent) -> Counts:
    is_response = event.category == Category.RESPONSE
    kind = event.classification
    return Counts(
        impressions=int(event.category == Category.IMPRESSION),
        positive=int(is_response and kind == Classification.POSITIVE),
        negative=int(is_response and kind == Classification.NEGATIVE),
        neutral=int(is_response and kind == Classification.NEUTRAL),
        converts=int(event.is_conversion),
    )


def _history_windows(request: FactsRequest, facts: LoadedFacts) -> Iterator[tuple[str, int, Window | None]]:
    """What is asked of the history: for what, from which time on, and the window that is counted."""
    for window in sorted(request.windows, key=str):
        zone = request.time_zone if window.zone is Zone.TENANT else request.customer_zone or request.time_zone
        if not is_summarised(window, request):
            yield "counts", window.start_ms(request.now_ms, zone), window
        elif window.unit is not Unit.ALL and window in facts.counts:
            yield "summarised", window.start_ms(request.now_ms, zone), window
    if request.outcomes:
        yield "outcomes", _days_before(request, request.outcome_days), None
    if request.exposures:
        yield "exposures", 0, None
    if any(at_ms >= _first_contact_ms(request) for at_ms in facts.last_contact_ms.values()):
        yield "contacts", max(0, _first_contact_ms(request) - MAX_FUTURE_MS), None
    for metric in request.metrics:
        yield "metrics", max(0, start_ms_of(metric, request.now_ms)), None


def _first_contact_ms(request: FactsRequest) -> int:
    return _days_before(request, request.contact_days)


def _days_before(request: FactsRequest, days: float | None) -> int:
    return 0 if days is None else max(0, request.now_ms - round(days * DAY_MS))


def _keep_latest(times: dict[Any, int], key: object, at_ms: int) -> None:
    times[key] = max(at_ms, times.get(key, at_ms))

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
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.decisions.windows import Kind, Unit, Window, Zone, first_day
from rapport.domain.events import MAX_FUTURE_MS
from rapport.domain.metrics import measure, start_ms_of
from rapport.domain.outcomes import Category, Classification
from rapport.domain.periods import ALLTIME_KEY, PeriodType, local_date, period_key
from rapport.storage.event_rows import read_events
from rapport.storage.facts_requests import NO_COUNTS, Exposure, FactsRequest, LoadedFacts, Place
from rapport.storage.history import id_at
from rapport.storage.summary_rows import read_newest

if TYPE_CHECKING:
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


_Aim = tuple[str, int, "Window | None"]
"""What is asked of the history: for what, from which time on, and the window that is counted."""
_Reach = dict["Customer", dict[Place, int]]
"""The offset up to which the summaries of each place of each customer count."""


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
            if counts == NO_COUNTS:  # a repair may leave nothing of a row
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
            if is_contact:
                _keep_latest(contacts.setdefault(number, {}), place.subject, counted_ms)
                for aim in asked[number]:
                    _add_event(facts[number], requests[number], aim, event, counted_ms)
    for number, windows in asked.items():
        if windows:
            facts[number].metrics = _measure(requests[number], known.get(number, ()))
            _date_contacts(facts[number], requests[number], contacts.get(number, {}))


def _date_contacts(facts: LoadedFacts, request: FactsRequest, counted: Mapping[Subject, int]) -> None:
    """Put the latest contacts at the time when they count, as far back as the history was read for it."""
    for subject, at_ms in facts.last_contact_ms.items():
        if at_ms >= request.first_contact_ms:
            facts.last_contact_ms[subject] = min(at_ms, counted.get(subject, at_ms))


def _place_of(row: StoredEvent | StoredSummary) -> Place:
    return Place(Subject(row.offer_id, row.creative_id, row.channel_id), row.source, row.customer_id)


def _measure(request: FactsRequest, events: Sequence[StoredEvent]) -> dict[str, float]:
    measured = [event.measured for event in events] if request.metrics else []
    values = {definition.key: measure(definition, measured, request.now_ms) for definition in request.metrics}
    return {key: value for key, value in values.items() if value is not None}


def _add_event(facts: LoadedFacts, request: FactsRequest, aim: _Aim, event: StoredEvent, counted_ms: int) -> None:
    purpose, start_ms, window = aim
    subject = _place_of(event).subject
    if counted_ms < start_ms:
        if purpose == "summarised" and window is not None and event.occurred_ms >= start_ms:
            facts.add(window, subject, _counts_of(event).negated())
    elif purpose == "counts" and window is not None:
        facts.add(window, subject, _counts_of(event))
    elif purpose == "outcomes":
        if event.outcome in request.outcomes:
            _keep_latest(facts.last_outcome_ms, (event.outcome, subject), counted_ms)
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


def _history_windows(request: FactsRequest, facts: LoadedFacts) -> Iterator[_Aim]:
    """What a request asks of the history."""
    for window in sorted(request.windows, key=str):
        zone = request.time_zone if window.zone is Zone.TENANT else request.customer_zone or request.time_zone
        if not is_summarised(window, request):
            yield "counts", window.start_ms(request.now_ms, zone), window
        elif window.unit is not Unit.ALL and window in facts.counts:
            yield "summarised", window.start_ms(request.now_ms, zone), window
    if request.outcomes:
        yield "outcomes", request.first_outcome_ms, None
    if request.exposures:
        yield "exposures", 0, None
    if any(at_ms >= request.first_contact_ms for at_ms in facts.last_contact_ms.values()):
        yield "contacts", max(0, request.first_contact_ms - MAX_FUTURE_MS), None
    for metric in request.metrics:
        yield "metrics", max(0, start_ms_of(metric, request.now_ms)), None


def _keep_latest(times: dict[Any, int], key: object, at_ms: int) -> None:
    times[key] = max(at_ms, times.get(key, at_ms))

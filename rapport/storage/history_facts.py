"""What of decisions' facts only the history knows: rolling windows, outcomes, exposures and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.decisions.contact_facts import Exposure, FactsQuery, FactsResult, SummaryRowKey
from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit, WindowZone
from rapport.domain.events import MAX_FUTURE_MS, make_first_id
from rapport.domain.metrics import compute_window_start_ms, measure, measure_groups
from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.periods import PeriodType
from rapport.storage.customer_reads import read_events
from rapport.storage.long_histories import read_exposures, read_groups

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerRef
    from rapport.domain.metrics import StoredEvent
    from rapport.domain.summaries import StoredSummary
    from rapport.storage.client import Store
    from rapport.storage.long_histories import EventGroup

PERIODS: Final[Mapping[WindowUnit, PeriodType]] = {
    WindowUnit.DAY: PeriodType.DAILY,
    WindowUnit.WEEK: PeriodType.WEEKLY,
    WindowUnit.MONTH: PeriodType.MONTHLY,
}
HistoryNeed = tuple[str, int, "Window | None"]
"""What is asked of the history: for what, from which time on, and the window that is counted."""
AppliedOffsets = dict["CustomerRef", dict[SummaryRowKey, int]]
"""The offset up to which the summaries of each place of each customer count."""


def add_history(store: Store, requests: Sequence[FactsQuery], facts: list[FactsResult], reach: AppliedOffsets) -> None:
    """Add what only the history knows: of it, exactly the events that the summaries count already.

    Recommendations, which no summary counts, only matter to behavioral metrics that ask for them.
    """
    asked = {number: list(_list_needs(one, facts[number])) for number, one in enumerate(requests)}
    numbers = index_requests((number, requests[number]) for number, windows in asked.items() if windows)
    if not numbers:
        return
    first_id = make_first_id(min(start for windows in asked.values() for _, start, _ in windows))
    events, long = read_events(store, numbers, first_id)
    is_long = {number for customer in long for number in numbers[customer]}
    for number in is_long:
        _add_long_history(store, requests[number], facts[number], asked[number], reach)
    known: dict[int, list[StoredEvent]] = {number: [] for number, windows in asked.items() if windows}
    for event in events:
        is_contact = event.category != OutcomeCategory.RECOMMENDATION
        if is_contact and event.offset > reach.get(event.customer, {}).get(place_of(event), -1):
            continue
        for number in numbers[event.customer]:
            known[number].append(event)
    for number in known.keys() - is_long:
        _add_events(requests[number], facts[number], asked[number], known[number])


def _add_events(
    request: FactsQuery, facts: FactsResult, asked: Sequence[HistoryNeed], events: Sequence[StoredEvent]
) -> None:
    contacts: dict[Subject, int] = {}
    for event in events:
        if event.category == OutcomeCategory.RECOMMENDATION:
            continue
        counted_ms = event.counted_ms
        keep_latest(contacts, place_of(event).subject, counted_ms)
        for aim in asked:
            _add_event(facts, request, aim, event, counted_ms)
    facts.metrics = _measure(request, events)
    _date_contacts(facts, request, contacts)


def _add_long_history(
    store: Store, request: FactsQuery, facts: FactsResult, asked: Sequence[HistoryNeed], reach: AppliedOffsets
) -> None:
    """The same of one customer whose history is long: the engine counts, and what it counts is not read."""
    members = request.members or (request.customer_id,)
    reached = [
        (place.customer_id, *place.subject, place.source, offset)
        for customer in request.customers
        for place, offset in reach.get(customer, {}).items()
    ]
    if request.exposures:
        seen = read_exposures(store, request.tenant_id, members, reached, request.exposures)
        facts.exposed |= {Exposure(*one) for one in seen}
    later_ms = request.now_ms + 1
    asked = [aim for aim in asked if aim[0] != "exposures"]
    starts = sorted({later_ms, *(start_ms for _, start_ms, _ in asked)})
    bucket_of = {start_ms: number for number, start_ms in enumerate(starts, 1)}
    groups = read_groups(store, request.tenant_id, members, reached, starts)
    contacts: dict[Subject, int] = {}
    for group in groups:
        if group.category != OutcomeCategory.RECOMMENDATION:
            keep_latest(contacts, group.subject, group.latest_ms)
            for purpose, start_ms, window in asked:
                _add_group(facts, request, (purpose, bucket_of[start_ms], window), group)
    _date_contacts(facts, request, contacts)
    values = {
        metric.key: measure_groups(
            metric, (one.metric for one in groups if bucket_of[start_ms] <= one.bucket < bucket_of[later_ms])
        )
        for metric in request.metrics
        for start_ms in [max(0, compute_window_start_ms(metric, request.now_ms))]
    }
    facts.metrics = {key: value for key, value in values.items() if value is not None}


def _add_group(facts: FactsResult, request: FactsQuery, aim: HistoryNeed, group: EventGroup) -> None:
    """What :func:`_add_event` does with each event of a group; times are numbers of buckets."""
    purpose, first_bucket, window = aim
    if group.bucket < first_bucket:
        if purpose == "summarised" and window is not None and group.named_bucket >= first_bucket:
            facts.add(window, group.subject, _count_event(group, group.events).negated())
    elif purpose == "counts" and window is not None:
        facts.add(window, group.subject, _count_event(group, group.events))
    elif purpose == "outcomes" and group.outcome in request.outcomes:
        keep_latest(facts.last_outcome_ms, (group.outcome, group.subject), group.latest_ms)


def _date_contacts(facts: FactsResult, request: FactsQuery, counted: Mapping[Subject, int]) -> None:
    """Put the latest contacts at the time when they count, as far back as the history was read for it."""
    for subject, at_ms in facts.last_contact_ms.items():
        if at_ms >= request.first_contact_ms:
            facts.last_contact_ms[subject] = min(at_ms, counted.get(subject, at_ms))


def _measure(request: FactsQuery, events: Sequence[StoredEvent]) -> dict[str, float]:
    measured = [event.measured for event in events] if request.metrics else []
    values = {definition.key: measure(definition, measured, request.now_ms) for definition in request.metrics}
    return {key: value for key, value in values.items() if value is not None}


def _add_event(facts: FactsResult, request: FactsQuery, aim: HistoryNeed, event: StoredEvent, counted_ms: int) -> None:
    purpose, start_ms, window = aim
    subject = place_of(event).subject
    if counted_ms < start_ms:
        if purpose == "summarised" and window is not None and event.occurred_ms >= start_ms:
            facts.add(window, subject, _count_event(event).negated())
    elif purpose == "counts" and window is not None:
        facts.add(window, subject, _count_event(event))
    elif purpose == "outcomes":
        if event.outcome in request.outcomes:
            keep_latest(facts.last_outcome_ms, (event.outcome, subject), counted_ms)
    elif (
        purpose == "exposures"
        and event.category == OutcomeCategory.IMPRESSION
        and event.recommendation_id in request.exposures
    ):
        facts.exposed.add(Exposure(event.recommendation_id, event.rank))


def _count_event(event: StoredEvent | EventGroup, events: int = 1) -> Counts:
    is_response = event.category == OutcomeCategory.RESPONSE
    kind = event.classification
    return Counts(
        impressions=events * (event.category == OutcomeCategory.IMPRESSION),
        positive=events * (is_response and kind == Classification.POSITIVE),
        negative=events * (is_response and kind == Classification.NEGATIVE),
        neutral=events * (is_response and kind == Classification.NEUTRAL),
        converts=events * event.is_conversion,
    )


def _list_needs(request: FactsQuery, facts: FactsResult) -> Iterator[HistoryNeed]:
    """What a request asks of the history."""
    for window in sorted(request.windows, key=str):
        zone = request.time_zone if window.zone is WindowZone.TENANT else request.customer_zone or request.time_zone
        if not is_summarised(window, request):
            yield "counts", window.start_ms(request.now_ms, zone), window
        elif window.unit is not WindowUnit.ALL and window in facts.counts:
            yield "summarised", window.start_ms(request.now_ms, zone), window
    if request.outcomes:
        yield "outcomes", request.first_outcome_ms, None
    if request.exposures:
        yield "exposures", 0, None
    if any(at_ms >= request.first_contact_ms for at_ms in facts.last_contact_ms.values()):
        yield "contacts", max(0, request.first_contact_ms - MAX_FUTURE_MS), None
    for metric in request.metrics:
        yield "metrics", max(0, compute_window_start_ms(metric, request.now_ms)), None


def is_summarised(window: Window, request: FactsQuery) -> bool:
    """Whether summaries count a window; of the others, only the history knows."""
    if window.unit is WindowUnit.ALL:
        return True
    is_tenants = window.zone is WindowZone.TENANT or request.customer_zone in (None, request.time_zone)
    return window.kind is WindowKind.CALENDAR and window.unit in PERIODS and is_tenants


def index_requests(requests: Iterable[tuple[int, FactsQuery]]) -> dict[CustomerRef, list[int]]:
    """The requests that are about a customer, by each of the ids."""
    numbers: dict[CustomerRef, list[int]] = {}
    for number, request in requests:
        for customer in request.customers:
            numbers.setdefault(customer, []).append(number)
    return numbers


def place_of(row: StoredEvent | StoredSummary) -> SummaryRowKey:
    """Where a row counts."""
    return SummaryRowKey(Subject(row.offer_id, row.creative_id, row.channel_id), row.source, row.customer_id)


def keep_latest(times: dict[Any, int], key: object, at_ms: int) -> None:
    """Remember the latest time of a key."""
    times[key] = max(at_ms, times.get(key, at_ms))

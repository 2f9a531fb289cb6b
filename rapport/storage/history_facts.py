"""Facts for decisions that need the history: rolling windows, outcomes, exposures and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.customers.customer import CustomerRef
from rapport.domain.decisions.contact_facts import Exposure, FactsQuery, FactsResult, SummaryRowKey
from rapport.domain.decisions.facts import Counts, Subject
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit, WindowZone
from rapport.domain.events import MAX_FUTURE_MS, make_first_id
from rapport.domain.metrics import compute_window_start_ms, measure, measure_groups
from rapport.domain.outcomes import Classification, OutcomeCategory
from rapport.domain.periods import DAY_MS, PeriodType
from rapport.storage.customer_reads import read_events
from rapport.storage.long_histories import read_exposures, read_groups

if TYPE_CHECKING:
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
"""One need for the history: purpose, start (epoch milliseconds), and the window to count, if any."""
AppliedOffsets = dict[CustomerRef, dict[SummaryRowKey, int]]
"""Applied offset of each summary row, by customer."""


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """Events that some queries need.

    Attributes:
        needs: What each query needs, by its number.
        numbers: Numbers of the queries that need events, by customer.
        first_ms: Time of the earliest event that any of them needs, epoch milliseconds.
    """

    needs: Mapping[int, Sequence[HistoryNeed]]
    numbers: Mapping[CustomerRef, Sequence[int]]
    first_ms: int


def plan_history(queries: Sequence[FactsQuery], facts: Sequence[FactsResult]) -> HistoryPlan | None:
    """Find the events that queries need besides their summary rows; None if they need none.

    Args:
        queries: The queries.
        facts: Their facts so far, from the summary rows.
    """
    needs = {number: list(_list_needs(one, facts[number])) for number, one in enumerate(queries)}
    numbers = index_queries((number, queries[number]) for number, windows in needs.items() if windows)
    if not numbers:
        return None
    return HistoryPlan(needs, numbers, min(start for windows in needs.values() for _, start, _ in windows))


def find_first_needed_ms(query: FactsQuery) -> int:
    """Return a time from which on a query, and later ones like it, have all events that they need, epoch milliseconds.

    Exposures left out, which may be of any time. Calendar windows begin at most a day earlier in other time zones.
    """
    starts = [query.first_contact_ms - MAX_FUTURE_MS]
    starts += [
        window.start_ms(query.now_ms, query.time_zone) - 2 * DAY_MS
        for window in query.windows
        if window.unit is not WindowUnit.ALL
    ]
    starts += [query.first_outcome_ms] if query.outcomes else []
    starts += [compute_window_start_ms(metric, query.now_ms) for metric in query.metrics]
    return max(0, min(starts))


def add_history(store: Store, queries: Sequence[FactsQuery], facts: list[FactsResult], applied: AppliedOffsets) -> None:
    """Read and add the facts that need the history, from exactly the events that the summary rows count already."""
    plan = plan_history(queries, facts)
    if plan is None:
        return
    events, long = read_events(store, plan.numbers, make_first_id(plan.first_ms))
    is_long = {number for customer in long for number in plan.numbers[customer]}
    for number in is_long:
        _add_long_history(store, queries[number], facts[number], plan.needs[number], applied)
    add_events(plan, queries, facts, applied, events, frozenset(is_long))


def add_events(
    plan: HistoryPlan,
    queries: Sequence[FactsQuery],
    facts: Sequence[FactsResult],
    applied: AppliedOffsets,
    events: Iterable[StoredEvent],
    left_out: frozenset[int] = frozenset(),
) -> None:
    """Add the facts that events show, of those that the summary rows count already.

    Recommendations, which no summary counts, only count in behavioral metrics that ask for them.

    Args:
        plan: Result of :func:`plan_history`.
        queries: The queries.
        facts: Their facts so far, which are completed.
        applied: Applied offsets of the summary rows.
        events: All events from the plan's time on; others do not matter.
        left_out: Numbers of queries whose facts are complete already.
    """
    known: dict[int, list[StoredEvent]] = {number: [] for number, windows in plan.needs.items() if windows}
    for event in events:
        is_contact = event.category != OutcomeCategory.RECOMMENDATION
        if is_contact and event.offset > applied.get(event.customer, {}).get(build_row_key(event), -1):
            continue
        for number in plan.numbers[event.customer]:
            known[number].append(event)
    for number in known.keys() - left_out:
        _add_events(queries[number], facts[number], plan.needs[number], known[number])


def _add_events(
    query: FactsQuery, facts: FactsResult, needs: Sequence[HistoryNeed], events: Sequence[StoredEvent]
) -> None:
    contacts: dict[Subject, int] = {}
    for event in events:
        if event.category == OutcomeCategory.RECOMMENDATION:
            continue
        counted_ms = event.counted_ms
        keep_latest(contacts, build_row_key(event).subject, counted_ms)
        for need in needs:
            _add_event(facts, query, need, event, counted_ms)
    facts.metrics = _measure(query, events)
    _date_contacts(facts, query, contacts)


def _add_long_history(
    store: Store, query: FactsQuery, facts: FactsResult, needs: Sequence[HistoryNeed], applied: AppliedOffsets
) -> None:
    """Add the same facts for a customer with a long history, from groups of events that the engine has aggregated."""
    members = query.members or (query.customer_id,)
    reached = [
        (row_key.customer_id, *row_key.subject, row_key.source, offset)
        for customer in query.customers
        for row_key, offset in applied.get(customer, {}).items()
    ]
    if query.exposures:
        seen = read_exposures(store, query.tenant_id, members, reached, query.exposures)
        facts.exposed |= {Exposure(*one) for one in seen}
    later_ms = query.now_ms + 1
    needs = [need for need in needs if need[0] != "exposures"]
    starts = sorted({later_ms, *(start_ms for _, start_ms, _ in needs)})
    bucket_of = {start_ms: number for number, start_ms in enumerate(starts, 1)}
    groups = read_groups(store, query.tenant_id, members, reached, starts)
    contacts: dict[Subject, int] = {}
    for group in groups:
        if group.category != OutcomeCategory.RECOMMENDATION:
            keep_latest(contacts, group.subject, group.latest_ms)
            for purpose, start_ms, window in needs:
                _add_group(facts, query, (purpose, bucket_of[start_ms], window), group)
    _date_contacts(facts, query, contacts)
    values = {
        metric.key: measure_groups(
            metric, (one.metric for one in groups if bucket_of[start_ms] <= one.bucket < bucket_of[later_ms])
        )
        for metric in query.metrics
        for start_ms in [max(0, compute_window_start_ms(metric, query.now_ms))]
    }
    facts.metrics = {key: value for key, value in values.items() if value is not None}


def _add_group(facts: FactsResult, query: FactsQuery, need: HistoryNeed, group: EventGroup) -> None:
    """Add a group of events as :func:`_add_event` adds each event; times are numbers of buckets."""
    purpose, first_bucket, window = need
    if group.bucket < first_bucket:
        if purpose == "summarised" and window is not None and group.named_bucket >= first_bucket:
            facts.add(window, group.subject, _count_event(group, group.events).negate())
    elif purpose == "counts" and window is not None:
        facts.add(window, group.subject, _count_event(group, group.events))
    elif purpose == "outcomes" and group.outcome in query.outcomes:
        keep_latest(facts.last_outcome_ms, (group.outcome, group.subject), group.latest_ms)


def _date_contacts(facts: FactsResult, query: FactsQuery, counted: Mapping[Subject, int]) -> None:
    """Date the latest contacts by the time at which they count, as far back as the history was read for it."""
    for subject, at_ms in facts.last_contact_ms.items():
        if at_ms >= query.first_contact_ms:
            facts.last_contact_ms[subject] = min(at_ms, counted.get(subject, at_ms))


def _measure(query: FactsQuery, events: Sequence[StoredEvent]) -> dict[str, float]:
    measured = [event.measured for event in events] if query.metrics else []
    values = {definition.key: measure(definition, measured, query.now_ms) for definition in query.metrics}
    return {key: value for key, value in values.items() if value is not None}


def _add_event(facts: FactsResult, query: FactsQuery, need: HistoryNeed, event: StoredEvent, counted_ms: int) -> None:
    purpose, start_ms, window = need
    subject = build_row_key(event).subject
    if counted_ms < start_ms:
        if purpose == "summarised" and window is not None and event.occurred_ms >= start_ms:
            facts.add(window, subject, _count_event(event).negate())
    elif purpose == "counts" and window is not None:
        facts.add(window, subject, _count_event(event))
    elif purpose == "outcomes":
        if event.outcome in query.outcomes:
            keep_latest(facts.last_outcome_ms, (event.outcome, subject), counted_ms)
    elif (
        purpose == "exposures"
        and event.category == OutcomeCategory.IMPRESSION
        and event.recommendation_id in query.exposures
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


def _list_needs(query: FactsQuery, facts: FactsResult) -> Iterator[HistoryNeed]:
    """List what a query needs from the history."""
    for window in sorted(query.windows, key=str):
        zone = query.time_zone if window.zone is WindowZone.TENANT else query.customer_zone or query.time_zone
        if not is_summarised(window, query):
            yield "counts", window.start_ms(query.now_ms, zone), window
        elif window.unit is not WindowUnit.ALL and window in facts.counts:
            yield "summarised", window.start_ms(query.now_ms, zone), window
    if query.outcomes:
        yield "outcomes", query.first_outcome_ms, None
    if query.exposures:
        yield "exposures", 0, None
    if any(at_ms >= query.first_contact_ms for at_ms in facts.last_contact_ms.values()):
        yield "contacts", max(0, query.first_contact_ms - MAX_FUTURE_MS), None
    for metric in query.metrics:
        yield "metrics", max(0, compute_window_start_ms(metric, query.now_ms)), None


def is_summarised(window: Window, query: FactsQuery) -> bool:
    """Return whether summaries count a window; other windows need the history."""
    if window.unit is WindowUnit.ALL:
        return True
    is_tenants = window.zone is WindowZone.TENANT or query.customer_zone in (None, query.time_zone)
    return window.kind is WindowKind.CALENDAR and window.unit in PERIODS and is_tenants


def index_queries(queries: Iterable[tuple[int, FactsQuery]]) -> dict[CustomerRef, list[int]]:
    """Return the numbers of the queries about each customer id."""
    numbers: dict[CustomerRef, list[int]] = {}
    for number, query in queries:
        for customer in query.customers:
            numbers.setdefault(customer, []).append(number)
    return numbers


def build_row_key(row: StoredEvent | StoredSummary) -> SummaryRowKey:
    """Return the key of the summary row in which an event counts, or of a summary row itself."""
    return SummaryRowKey(Subject(row.offer_id, row.creative_id, row.channel_id), row.source, row.customer_id)


def keep_latest(latest: dict[Any, int], key: object, value: int) -> None:
    """Set the time or offset of a key unless a later one is set."""
    latest[key] = max(value, latest.get(key, value))

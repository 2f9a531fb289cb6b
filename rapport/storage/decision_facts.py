"""Facts about customers' contacts for decisions, for many customers at once, exact to the event.

All facts of one customer describe one state of the stream. The summary rows are read first, in one query; each has the
offset up to which its source has been applied. The history is written before the summaries that count it, so of the
history, read afterwards, exactly the events up to these offsets count. Rolling windows, windows in the customer's own
time zone, outcomes and exposures then agree with the calendar windows, whatever the stream writes meanwhile.

An event counts at the latest when it was received (:attr:`rapport.domain.metrics.StoredEvent.counted_ms`), while
summaries go by the event's own time, which may be up to a day later. So the rows of the period that follows count as
well, and the history shows which events of this period were received, and counted, in the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from rapport.domain.decisions.contact_facts import NO_COUNTS, FactsQuery, FactsResult
from rapport.domain.decisions.facts import Counts
from rapport.domain.decisions.windows import Window, WindowUnit, first_day
from rapport.domain.periods import ALLTIME_KEY, make_period_key, to_local_date
from rapport.storage.customer_reads import read_stored_summaries
from rapport.storage.history_facts import (
    PERIODS,
    AppliedOffsets,
    add_history,
    build_row_key,
    index_queries,
    is_summarised,
    keep_latest,
)

if TYPE_CHECKING:
    from rapport.domain.summaries import StoredSummary
    from rapport.storage.client import Store

_LONGEST_DAYS: Final[Mapping[WindowUnit, int]] = {WindowUnit.DAY: 1, WindowUnit.WEEK: 7, WindowUnit.MONTH: 31}


def read_summary_rows(store: Store, queries: Sequence[FactsQuery]) -> Iterable[StoredSummary]:
    """Load the summary rows of several customers with one query.

    While a customer's time zone is not known, the query reads the periods of any time zone.
    """
    numbers = index_queries(enumerate(queries))
    periods = {key for query in queries for key in _by_period(query)}
    return read_stored_summaries(store, numbers, {ALLTIME_KEY, *periods})


def read_facts(
    store: Store, queries: Sequence[FactsQuery], rows: Iterable[StoredSummary] | None = None
) -> list[FactsResult]:
    """Load the facts of several customers, in the order of the queries.

    Takes one database query, or two where the history is needed.

    Args:
        store: The database.
        queries: The facts to load.
        rows: Result of :func:`read_summary_rows` for these queries, if it was called before.
    """
    facts = [FactsResult() for _ in queries]
    applied = add_summaries(queries, facts, read_summary_rows(store, queries) if rows is None else rows)
    add_history(store, queries, facts, applied)
    return facts


def add_summaries(
    queries: Sequence[FactsQuery], facts: list[FactsResult], rows: Iterable[StoredSummary]
) -> AppliedOffsets:
    """Add the counts of summary rows to the facts; return the offsets up to which the rows have been applied."""
    wanted = [_by_period(query) for query in queries]
    numbers = index_queries(enumerate(queries))
    applied: AppliedOffsets = {}
    for row in rows:
        row_key = build_row_key(row)
        counts = Counts(row.impressions, row.positive, row.negative, row.neutral, row.converts)
        if counts == NO_COUNTS:  # a repair or a compaction has set it to zero; its version tells of no event
            continue
        is_alltime = row.period_key == ALLTIME_KEY
        if is_alltime:
            keep_latest(applied.setdefault(row.customer, {}), row_key, row.applied_offset)
        for number in numbers[row.customer]:
            if is_alltime:
                keep_latest(facts[number].applied, row_key, row.applied_offset)
                keep_latest(facts[number].last_contact_ms, row_key.subject, row.last_contact_ms)
            for window in wanted[number].get(row.period_key, ()):
                facts[number].add(window, row_key.subject, counts)
    return applied


def _by_period(query: FactsQuery) -> dict[str, list[Window]]:
    """Return the windows that summaries answer, by the key of their period."""
    today = to_local_date(query.now_ms, query.time_zone)
    periods: dict[str, list[Window]] = {}
    for window in query.windows:
        if not is_summarised(window, query):
            continue
        if window.unit is WindowUnit.ALL:
            keys = [ALLTIME_KEY]
        else:
            keys = [make_period_key(PERIODS[window.unit], day) for day in (today, _next_period(today, window.unit))]
        for key in keys:
            periods.setdefault(key, []).append(window)
    return periods


def list_current_periods(today: date) -> set[str]:
    """List the keys of the periods that count from a day on, as far as rows of them can exist on that day.

    An event may be dated up to a day ahead, so there may be rows of the next day, week and month, and no later ones.
    """
    days = {unit: (today, _next_period(today, unit)) for unit in PERIODS}
    return {ALLTIME_KEY, *(make_period_key(PERIODS[unit], day) for unit, pair in days.items() for day in pair)}


def _next_period(day: date, unit: WindowUnit) -> date:
    """Return a day of the period after the one that a day lies in."""
    return first_day(day, unit) + timedelta(days=_LONGEST_DAYS[unit])

"""What decisions know of customers, for many customers at once, exact to the event.

All facts of one customer describe one state of the stream. The summary rows are read first, in one query; each says how
far it reaches into the log of its source. The history is written before the summaries that count it, so of what is read
from it afterwards exactly those events count that these rows reach: rolling windows, windows in the customer's own time
zone, outcomes and exposures then agree with the calendar windows, whatever the stream writes meanwhile.

An event counts at the latest when it was received (:attr:`rapport.domain.metrics.StoredEvent.counted_ms`), while
summaries go by the time that it names, up to a day later. So the rows of the period that follows count as well, and the
history says which events of this period were received, and counted, in the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from rapport.domain.decisions.contact_facts import NO_COUNTS, FactsQuery, FactsResult
from rapport.domain.decisions.facts import Counts
from rapport.domain.decisions.windows import Window, WindowUnit, first_day
from rapport.domain.periods import ALLTIME_KEY, local_date, period_key
from rapport.storage.customer_reads import read_stored_summaries
from rapport.storage.history_facts import (
    PERIODS,
    AppliedOffsets,
    add_history,
    index_requests,
    is_summarised,
    keep_latest,
    place_of,
)

if TYPE_CHECKING:
    from rapport.domain.summaries import StoredSummary
    from rapport.storage.client import Store

_LONGEST_DAYS: Final[Mapping[WindowUnit, int]] = {WindowUnit.DAY: 1, WindowUnit.WEEK: 7, WindowUnit.MONTH: 31}


def read_summary_rows(store: Store, requests: Sequence[FactsQuery]) -> Iterable[StoredSummary]:
    """Load the summary rows of several customers with one query.

    While a customer's time zone is not known, it asks for enough whatever the zone turns out to be.
    """
    numbers = index_requests(enumerate(requests))
    periods = {key for request in requests for key in _by_period(request)}
    return read_stored_summaries(store, numbers, {ALLTIME_KEY, *periods})


def read_facts(
    store: Store, requests: Sequence[FactsQuery], rows: Iterable[StoredSummary] | None = None
) -> list[FactsResult]:
    """Load the facts of several customers, each in its place: with one query, or two where the history is needed.

    Args:
        store: Where.
        requests: Which.
        rows: What :func:`read_summary_rows` has loaded for them, if it was called before.
    """
    facts = [FactsResult() for _ in requests]
    reach = _add_summaries(requests, facts, read_summary_rows(store, requests) if rows is None else rows)
    add_history(store, requests, facts, reach)
    return facts


def _add_summaries(
    requests: Sequence[FactsQuery], facts: list[FactsResult], rows: Iterable[StoredSummary]
) -> AppliedOffsets:
    """Add what the summaries know; returns how far they reach."""
    wanted = [_by_period(request) for request in requests]
    numbers = index_requests(enumerate(requests))
    reach: AppliedOffsets = {}
    for row in rows:
        place = place_of(row)
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
                keep_latest(facts[number].last_contact_ms, place.subject, row.last_contact_ms)
            for window in wanted[number].get(row.period_key, ()):
                facts[number].add(window, place.subject, counts)
    return reach


def _by_period(request: FactsQuery) -> dict[str, list[Window]]:
    """The windows that summaries answer, by the key of their period."""
    today = local_date(request.now_ms, request.time_zone)
    periods: dict[str, list[Window]] = {}
    for window in request.windows:
        if not is_summarised(window, request):
            continue
        if window.unit is WindowUnit.ALL:
            keys = [ALLTIME_KEY]
        else:
            keys = [period_key(PERIODS[window.unit], day) for day in (today, _next_period(today, window.unit))]
        for key in keys:
            periods.setdefault(key, []).append(window)
    return periods


def _next_period(day: date, unit: WindowUnit) -> date:
    """A day of the period after the one that a day lies in."""
    return first_day(day, unit) + timedelta(days=_LONGEST_DAYS[unit])

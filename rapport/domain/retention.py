"""Retention: data classes, and the periods that summaries can still be recomputed for from the history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from rapport.domain.periods import PeriodType, make_period_key

NEVER: Final = "~"
"""Sorts behind every period key: no period of that type can be recomputed any more."""
_MARGIN: Final = timedelta(days=3)
"""An event may lie a day ahead of when it was received, and its time zone fourteen hours."""
_LONGEST: Final[Mapping[PeriodType, timedelta]] = {
    PeriodType.DAILY: timedelta(days=0),
    PeriodType.WEEKLY: timedelta(days=6),
    PeriodType.MONTHLY: timedelta(days=30),
}


class DataClass(StrEnum):
    """Data with a retention of its own. The audit log is not among them: it is a chain, of which no link can go."""

    INTERACTIONS = "interactions"
    SUMMARIES_DAILY = "summaries_daily"
    SUMMARIES_WEEKLY = "summaries_weekly"
    SUMMARIES_MONTHLY = "summaries_monthly"
    DECISIONS = "decisions"
    DEAD_LETTERS = "dead_letters"
    DSAR_REQUESTS = "dsar_requests"


PERIOD_OF: Final[Mapping[DataClass, PeriodType]] = {
    DataClass.SUMMARIES_DAILY: PeriodType.DAILY,
    DataClass.SUMMARIES_WEEKLY: PeriodType.WEEKLY,
    DataClass.SUMMARIES_MONTHLY: PeriodType.MONTHLY,
}
"""Period type of the summaries that can expire; those of all time are kept as long as the customer is."""


def find_first_kept_period(period_type: PeriodType, now_ms: int, days: int) -> str:
    """Return the period key in which the day ``days`` ago lies; earlier periods are deleted."""
    return make_period_key(period_type, _to_day(now_ms) - timedelta(days=days))


def find_first_provable_periods(received_before_ms: int) -> Mapping[PeriodType, str]:
    """Return, per period type, the first period without events that the broker received before a time.

    Up to there summaries may hold more than the history: they outlive their events.
    """
    first_day = _to_day(received_before_ms) + _MARGIN
    periods = {
        period_type: make_period_key(period_type, first_day + length) for period_type, length in _LONGEST.items()
    }
    return {**periods, PeriodType.ALLTIME: NEVER}


def _to_day(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()

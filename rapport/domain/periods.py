"""Calendar periods in a tenant's time zone: tumbling windows that start at local midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

ALLTIME_KEY: Final = "alltime"
DAY_MS: Final = 86_400_000


class PeriodType(StrEnum):
    """Granularity of a summary."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    ALLTIME = "alltime"


def to_local_date(occurred_at_ms: int, time_zone: str) -> date:
    """Return the calendar day, in a time zone, on which an instant lies."""
    return datetime.fromtimestamp(occurred_at_ms / 1000, UTC).astimezone(ZoneInfo(time_zone)).date()


def make_period_key(period_type: PeriodType, day: date) -> str:
    """Return the key of the period that a calendar day lies in.

    Returns:
        ``2026-04-30``, ``2025-W01`` (ISO 8601: also the key of 2024-12-30), ``2026-04`` or ``alltime``.
    """
    match period_type:
        case PeriodType.DAILY:
            return day.isoformat()
        case PeriodType.WEEKLY:
            year, week, _ = day.isocalendar()
            return f"{year:04d}-W{week:02d}"
        case PeriodType.MONTHLY:
            return f"{day.year:04d}-{day.month:02d}"
        case PeriodType.ALLTIME:
            return ALLTIME_KEY

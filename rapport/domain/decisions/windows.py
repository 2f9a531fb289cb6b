"""Windows of time in which contacts are counted: calendar periods of a time zone, or rolling windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from rapport.domain.periods import DAY_MS


class WindowUnit(StrEnum):
    """Length of a window; all time has no start."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALL = "all"


class WindowKind(StrEnum):
    """Start of a window. calendar: start of the hour, day, ISO week or month; rolling: a fixed length before now."""

    CALENDAR = "calendar"
    ROLLING = "rolling"


class WindowZone(StrEnum):
    """Time zone that a calendar window follows: the tenant's or the customer's."""

    TENANT = "tenant"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Window:
    """Window that ends now.

    Attributes:
        count: Number of units; 1 for calendar windows.
    """

    kind: WindowKind
    unit: WindowUnit
    zone: WindowZone = WindowZone.TENANT
    count: int = 1
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Counts are looked up by windows many times in a decision, and enumerations hash in Python.
        object.__setattr__(self, "_hash", hash((self.kind, self.unit, self.zone, self.count)))

    def __hash__(self) -> int:
        return self._hash

    def start_ms(self, now_ms: int, time_zone: str) -> int:
        """Return the start of the window, epoch milliseconds; an event at that instant is inside.

        Args:
            now_ms: End of the window, epoch milliseconds.
            time_zone: IANA name of the zone that :attr:`zone` chooses; rolling windows ignore it.
        """
        if self.unit is WindowUnit.ALL:
            return 0
        if self.kind is WindowKind.ROLLING:
            return now_ms - self.count * _ROLLING_MS[self.unit]
        zone = ZoneInfo(time_zone)
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone)
        if self.unit is WindowUnit.HOUR:
            return now_ms - (now.minute * 60 + now.second) * 1000 - now.microsecond // 1000
        return _midnight_ms(first_day(now.date(), self.unit), zone)

    def __str__(self) -> str:
        if self.unit is WindowUnit.ALL:
            return "all time"
        if self.kind is WindowKind.ROLLING:
            return f"rolling {self.count} {self.unit}{'s' if self.count > 1 else ''}"
        return f"calendar {self.unit} ({self.zone})"


_ROLLING_MS: Final = {
    WindowUnit.HOUR: 3_600_000,
    WindowUnit.DAY: DAY_MS,
    WindowUnit.WEEK: 7 * DAY_MS,
    WindowUnit.MONTH: 30 * DAY_MS,
}
ALL_TIME: Final = Window(WindowKind.CALENDAR, WindowUnit.ALL)


def first_day(day: date, unit: WindowUnit) -> date:
    """Return the first day of the ISO week or month that a day lies in; the day itself for other units."""
    if unit is WindowUnit.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit is WindowUnit.MONTH else day


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    """Return the first instant of a day, epoch milliseconds; where clocks skip midnight, the instant they skip to."""
    start = datetime.combine(day, time(), zone)
    at = start.astimezone(UTC)
    if at.astimezone(zone).date() < day:  # midnight does not exist on this day
        at += timedelta(hours=1)
    return round(at.timestamp() * 1000)

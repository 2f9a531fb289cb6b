from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rapport.domain.periods import ALLTIME_KEY, PeriodType, make_period_key, to_local_date

LAW = settings(max_examples=200, deadline=None)
QUARTER_HOUR_MS = 900_000

zones = st.sampled_from(sorted(available_timezones()))
instants = st.integers(0, 4_102_444_800_000)  # 1970 to 2100
days = st.dates(date(1970, 1, 1), date(2100, 1, 1))


def epoch_ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def first_days(period_type: PeriodType, day: date) -> list[date]:
    """List the first days of the periods around a day, by the calendar's own rules."""
    around = [day + timedelta(days=n) for n in range(-400, 400)]
    match period_type:
        case PeriodType.DAILY:
            return around
        case PeriodType.WEEKLY:
            return [d for d in around if d.weekday() == 0]
        case PeriodType.MONTHLY:
            return [d for d in around if d.day == 1]
        case PeriodType.ALLTIME:
            return [date(1, 1, 1)]


@LAW
@given(occurred_at_ms=instants, zone=zones)
def test_the_day_of_an_instant_is_that_of_the_local_clock(occurred_at_ms: int, zone: str):
    wall = datetime.fromtimestamp(occurred_at_ms // 1000, ZoneInfo(zone))
    assert to_local_date(occurred_at_ms, zone) == wall.date()


@LAW
@given(occurred_at_ms=instants, zone=zones, period_type=st.sampled_from(PeriodType))
def test_an_instant_lies_in_exactly_one_period_of_each_granularity(
    occurred_at_ms: int, zone: str, period_type: PeriodType
):
    wall = datetime.fromtimestamp(occurred_at_ms // 1000, ZoneInfo(zone)).date()
    starts = first_days(period_type, wall)
    own = bisect_right(starts, wall) - 1
    key = make_period_key(period_type, to_local_date(occurred_at_ms, zone))
    assert [n for n, start in enumerate(starts) if make_period_key(period_type, start) == key] == [own]


@LAW
@given(day=days, period_type=st.sampled_from(PeriodType))
def test_a_period_has_one_key_from_its_first_day_to_the_day_before_the_next(day: date, period_type: PeriodType):
    starts = first_days(period_type, day)
    own = bisect_right(starts, day) - 1
    assert make_period_key(period_type, day) == make_period_key(period_type, starts[own])
    if own > 0:
        assert make_period_key(period_type, starts[own] - timedelta(days=1)) == make_period_key(
            period_type, starts[own - 1]
        )


@LAW
@given(one=days, other=days)
def test_keys_of_different_granularities_never_meet(one: date, other: date):
    keys = {make_period_key(period_type, one) for period_type in PeriodType}
    assert len(keys) == len(PeriodType)
    for period_type in PeriodType:
        if period_type is not PeriodType.ALLTIME:
            assert make_period_key(period_type, other) not in keys - {make_period_key(period_type, one)}


@LAW
@given(earlier=days, later=days, period_type=st.sampled_from(PeriodType))
def test_keys_sort_like_the_time(earlier: date, later: date, period_type: PeriodType):
    earlier, later = sorted((earlier, later))
    assert make_period_key(period_type, earlier) <= make_period_key(period_type, later)


@pytest.mark.parametrize(
    ("day", "week"),
    [
        ("2024-12-29", "2024-W52"),
        ("2024-12-30", "2025-W01"),
        ("2024-12-31", "2025-W01"),
        ("2025-01-05", "2025-W01"),
        ("2025-01-06", "2025-W02"),
        ("2021-01-03", "2020-W53"),
        ("2021-01-04", "2021-W01"),
        ("2023-01-01", "2022-W52"),
        ("2026-12-31", "2026-W53"),
        ("2027-01-03", "2026-W53"),
    ],
)
def test_weeks_are_those_of_iso_8601_and_belong_to_the_year_of_their_thursday(day: str, week: str):
    assert make_period_key(PeriodType.WEEKLY, date.fromisoformat(day)) == week


def test_each_granularity_has_its_own_form_of_key():
    keys = [make_period_key(period_type, date(2026, 4, 30)) for period_type in PeriodType]
    assert keys == ["2026-04-30", "2026-W18", "2026-04", ALLTIME_KEY]


@pytest.mark.parametrize(
    ("zone", "day", "minutes"),
    [
        ("Europe/Berlin", date(2026, 3, 28), 1_440),
        ("Europe/Berlin", date(2026, 3, 29), 1_380),
        ("Europe/Berlin", date(2026, 10, 25), 1_500),
        ("America/New_York", date(2026, 3, 8), 1_380),
        ("America/New_York", date(2026, 11, 1), 1_500),
        ("America/Sao_Paulo", date(2018, 11, 4), 1_380),  # its clocks change at midnight
        ("America/Sao_Paulo", date(2018, 2, 17), 1_500),
        ("Australia/Lord_Howe", date(2026, 4, 5), 1_470),  # by half an hour
        ("America/St_Johns", date(2010, 11, 6), 1_499),  # a minute after midnight: 59 minutes of it follow the next day
        ("Pacific/Apia", date(2011, 12, 30), 0),  # never happened there
        ("Asia/Kathmandu", date(2026, 1, 1), 1_440),
        ("UTC", date(2026, 3, 29), 1_440),
    ],
)
def test_a_day_is_as_long_as_its_clocks_say(zone: str, day: date, minutes: int):
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp() * 1000)
    around = range(noon - 48 * 3_600_000, noon + 48 * 3_600_000, 60_000)
    assert sum(to_local_date(moment, zone) == day for moment in around) == minutes


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2026-04-30T21:59:59.999Z", "Europe/Berlin", "2026-04-30"),
        ("2026-04-30T22:00:00.000Z", "Europe/Berlin", "2026-05-01"),
        ("2026-01-01T07:59:59.999Z", "America/Los_Angeles", "2025-12-31"),
        ("2026-01-01T08:00:00.000Z", "America/Los_Angeles", "2026-01-01"),
        ("2025-12-31T12:30:00.000Z", "Pacific/Kiritimati", "2026-01-01"),
        ("1970-01-01T00:00:00.000Z", "America/New_York", "1969-12-31"),
    ],
)
def test_a_day_starts_at_local_midnight_to_the_millisecond(moment: str, zone: str, day: str):
    assert to_local_date(epoch_ms(moment), zone).isoformat() == day


def test_the_days_of_a_zone_leave_no_quarter_of_an_hour_out():
    start, end = epoch_ms("2026-01-01T00:00:00+01:00"), epoch_ms("2027-01-01T00:00:00+01:00")
    counts: dict[date, int] = {}
    for moment in range(start, end, QUARTER_HOUR_MS):
        day = to_local_date(moment, "Europe/Berlin")
        counts[day] = counts.get(day, 0) + 1
    assert len(counts) == 365
    assert {day: n for day, n in counts.items() if n != 96} == {date(2026, 3, 29): 92, date(2026, 10, 25): 100}

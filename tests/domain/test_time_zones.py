from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from rapport.domain.time_zones import list_time_zones, resolve_zone
from rapport.domain.windows_zones import WINDOWS_ZONES


def test_every_iana_name_means_itself_in_any_case():
    for name in list_time_zones():
        assert resolve_zone(name) == name
        assert resolve_zone(f" {name.lower()} ") in (name, resolve_zone(name.upper()))


@pytest.mark.parametrize("name", WINDOWS_ZONES)
def test_every_windows_name_means_a_zone(name: str):
    zone = resolve_zone(name.upper())
    assert zone is not None
    ZoneInfo(zone)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("UTC+9", 9),
        ("utc +9", 9),
        ("GMT-3", -3),
        ("+09:00", 9),
        ("-0800", -8),
        ("+05:30", 5.5),
        ("UTC+5:45", 5.75),
        ("-09:30", -9.5),
        ("UTC", 0),
        ("Z", 0),
        ("+00:00", 0),
        ("UTC+14", 14),
        ("UTC-12", -12),
    ],
)
def test_a_fixed_offset_is_that_offset_at_any_time_of_the_year(text: str, hours: float):
    zone = resolve_zone(text)
    assert zone is not None
    for month in (1, 7):
        offset = datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).utcoffset()
        assert offset is not None
        assert offset.total_seconds() == hours * 3600


@pytest.mark.parametrize("text", ["", "CST", "IST", "Tokyo", "UTC+15", "UTC-13", "+09:07", "9", "../etc", "x" * 500])
def test_ambiguous_and_unknown_zones_are_not_resolved(text: str):
    assert resolve_zone(text) is None

"""Instants are parsed alike everywhere; ambiguous ones are refused."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.times import EARLIEST_EPOCH_MS, EPOCH, InstantError, parse_instant

AFTERNOON = 1_773_585_000_000
"""2026-03-15T14:30:00Z."""


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-15T14:30:00Z",
        "2026-03-15T14:30:00.0009Z",
        "2026-03-15 14:30",
        "2026-03-15T16:30:00+02:00",
        "20260315T143000Z",
        "2026-W11-7T14:30:00",
        "1773585000000",
        AFTERNOON,
        AFTERNOON + 0.9,
    ],
)
def test_an_instant_is_iso_8601_or_epoch_milliseconds(value: str | float):
    assert parse_instant(value) == AFTERNOON


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1_773_585_000, "epoch seconds"),
        ("1773585000", "epoch seconds"),
        (1_773_585_000.25, "epoch seconds"),
        (20_240_501, "date without separators"),
        ("99990501", "is not ISO 8601"),
        ("202603151430", "date without separators"),
        ("260315143000", "date without separators"),
        (202_603_151_430, "date without separators"),
        ("20260315143000", "date without separators"),
        ("2026-03-15x14:30", "is not ISO 8601"),
        ("15.03.2026", "is not ISO 8601"),
        ("03/15/2026", "is not ISO 8601"),
        ("２０２６-03-15", "is not ISO 8601"),  # noqa: RUF001 - full-width digits on purpose
        ("1_773_585_000_000", "is not ISO 8601"),
        ("-1773585000000", "is not ISO 8601"),
        ("", "is not ISO 8601"),
        ("1" * 400, "is not ISO 8601"),
        (10**400, "so large a number"),
        (math.nan, "is not ISO 8601"),
        (math.inf, "is not ISO 8601"),
        (True, "is not ISO 8601"),
    ],
)
def test_ambiguous_instants_are_refused_with_the_reason(value: str | float, why: str):
    """Countly#4643, snowplow-ios#467: seconds as milliseconds; analytics exports with YYYYMMDDHHMM."""
    with pytest.raises(InstantError, match=why):
        parse_instant(value)


def test_a_date_is_its_midnight_in_utc():
    assert parse_instant("2026-03-15") == parse_instant("20260315") == AFTERNOON - 52_200_000


@given(at=st.datetimes(timezones=st.just(UTC)), offset_min=st.integers(-23 * 60, 23 * 60))
def test_a_written_time_is_the_millisecond_it_names(at: datetime, offset_min: int):
    at_ms = (at - EPOCH) // timedelta(milliseconds=1)
    assert parse_instant(at.isoformat(timespec="milliseconds")) == at_ms
    if datetime(2, 1, 1, tzinfo=UTC) < at < datetime(9999, 1, 1, tzinfo=UTC):
        assert parse_instant(at.astimezone(timezone(timedelta(minutes=offset_min))).isoformat()) == at_ms


@given(st.integers(10**12, 10**13 - 1))
def test_thirteen_digits_are_always_milliseconds(at_ms: int):
    assert parse_instant(at_ms) == parse_instant(str(at_ms)) == at_ms


@given(st.integers(1, EARLIEST_EPOCH_MS - 1) | st.floats(1, EARLIEST_EPOCH_MS - 1))
def test_numbers_that_may_be_seconds_are_refused(number: float):
    with pytest.raises(InstantError):
        parse_instant(number)

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from api.http.times import iso, parse_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
times = st.datetimes(timezones=st.just(UTC)).map(lambda moment: (moment - EPOCH) // timedelta(milliseconds=1))


@given(times)
def test_a_time_is_written_as_iso_8601_and_read_again(at_ms: int):
    written = iso(at_ms)
    assert written == (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"
    assert parse_time(written) == at_ms

"""Times as the API writes and reads them: ISO 8601 in UTC with milliseconds, ``2026-03-15T14:30:00.000Z``."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC by the Z that follows; far cheaper to write


def now_ms() -> int:
    """The time now, epoch milliseconds."""
    return time.time_ns() // 1_000_000


def iso(at_ms: int) -> str:
    """Write epoch milliseconds."""
    return (_EPOCH_WITHOUT_ZONE + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds") + "Z"


def iso_or_none(at_ms: int | None) -> str | None:
    """Write epoch milliseconds, if there are any."""
    return None if at_ms is None else iso(at_ms)


def parse_time(text: str) -> int | None:
    """Read ISO 8601 (UTC where it names no zone) as epoch milliseconds; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)

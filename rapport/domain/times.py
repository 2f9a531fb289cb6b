"""Parser of instants from outside: event times, filters, consent, attributes, rules.

Ambiguous numbers are refused. Epoch seconds read as milliseconds are January 1970, and ``202603151430``, which web
analytics write for an afternoon in 2026, is a day in 1976: both look like numbers of milliseconds, and nobody would
notice that they are not.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

EARLIEST_EPOCH_MS: Final = 100_000_000_000
"""1973-03-03: a smaller number may be epoch seconds, and is refused."""
LATEST_MS: Final = 4_102_444_800_000
"""2100-01-01: a later time comes from a broken clock, and soon after it the tables' dates end."""
_EXPECTED: Final = "ISO 8601 (2026-03-15T14:30:00Z) or epoch milliseconds"

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_ISO_8601: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[Tt ].+)?|(?:19|20)\d{6}|\d{8}[Tt].+|\d{4}-?W\d\d-?\d(?:[Tt].+)?", re.ASCII
)
_COMPACT: Final = re.compile(
    r"(?:(?:19[7-9]|20\d)\d|\d\d(?=\d{10}$))"  # four digits of the year; two only before hours, minutes and seconds
    r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?"
)
_MOST_DIGITS: Final = 20


class InstantError(ValueError):
    """A value that is no instant, or an ambiguous one; the text says what would have been right."""


def parse_instant(value: str | float) -> int:
    """Parse an instant as epoch milliseconds.

    Args:
        value: ISO 8601 (UTC where it names no zone; a date alone is its midnight), or a number of milliseconds since
            1970, also as text. Eight digits of a text are a date of ISO 8601, those of a number might be seconds.

    Raises:
        InstantError: It is neither; or it is a number that may be meant as seconds or as a date without separators.
    """
    if type(value) is int and 10**12 <= value < 10**13:  # nearly every event's
        return value
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) != 8 and len(value) <= _MOST_DIGITS:
            return _check_epoch(int(value))
        if not _ISO_8601.fullmatch(value):
            raise InstantError(f"{value[:64]!r} is not {_EXPECTED}")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise InstantError(f"{value[:64]!r} is not {_EXPECTED}") from None
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // _MILLISECOND
    if isinstance(value, bool) or not abs(value) < math.inf:
        raise InstantError(f"{value!r} is not {_EXPECTED}")
    return _check_epoch(math.floor(value))


def _check_epoch(number: int) -> int:
    """Refuse a number of milliseconds that may be seconds or a date without separators."""
    if number >= 10**_MOST_DIGITS:
        raise InstantError(f"so large a number is not {_EXPECTED}")
    if 10**12 <= number < 10**13 or number == 0:  # 13 digits are milliseconds of 2001 to 2286 and nothing else
        return number
    if 0 < number < EARLIEST_EPOCH_MS:
        raise InstantError(
            f"{number} may be epoch seconds or a date without separators; send 13 digits of milliseconds, or ISO 8601"
        )
    if _COMPACT.fullmatch(str(number)):
        raise InstantError(f"{number} may be a date without separators; write it as ISO 8601 (2026-03-15T14:30:00Z)")
    return number

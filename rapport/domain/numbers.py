"""Numbers that every reader of JSON, Python and ClickHouse reads alike.

Beyond 2^53 a double no longer tells two whole numbers apart, and some readers truncate longer ones. So
a number that is stored, or compared with, lies within :data:`MAX_NUMBER`; a longer one must be sent as a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rapport.domain.json_limits import MAX_INTEGER, MIN_INTEGER

MAX_NUMBER: Final = 2**53 - 1
BEYOND: Final = f"holds a number beyond {MAX_NUMBER:,}, up to which numbers are exact; send it as a text"


def is_exact(number: float) -> bool:
    """Say whether a number is finite and within :data:`MAX_NUMBER`, on either side of 0."""
    return abs(number) <= MAX_NUMBER


def find_inexact(value: object, path: str = "") -> Iterator[str]:
    """Find the paths of numbers in a JSON value that are not exact, however deep."""
    pending: list[tuple[str, object]] = [(path, value)]
    while pending:
        location, inner = pending.pop()
        if isinstance(inner, Mapping):
            pending += [(f"{location}.{name}" if location else str(name), member) for name, member in inner.items()]
        elif isinstance(inner, list | tuple):
            pending += [(f"{location}[{index}]", member) for index, member in enumerate(inner)]
        elif isinstance(inner, int | float) and not is_exact(inner):
            yield location


def to_finite(value: object) -> float | None:
    """Convert a value to a finite double; None if it is no number, or none that a double can hold."""
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def write_long_numbers_as_texts(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Replace whole numbers beyond 64 bits by texts, as ClickHouse's functions of JSON read them."""
    if isinstance(value, Mapping):
        return {name: write_long_numbers_as_texts(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [write_long_numbers_as_texts(inner) for inner in value]
    return str(value) if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER else value

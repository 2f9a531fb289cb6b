"""Values inside formulas, and the conversions between their kinds."""

from __future__ import annotations

from math import isfinite
from typing import Final, cast

from rapport.domain.number_text import parse_number

Items = list[object] | tuple[object, ...] | set[object] | frozenset[object]
Scalar = float | str | bool | None
Value = Scalar | Items

MAX_TEXT: Final = 10_000
"""Most characters of a text that a formula makes; a longer one is null."""

_LISTS: Final = (list, tuple, set, frozenset)
_AS_THEY_ARE: Final = frozenset({bool, str, type(None), *_LISTS})


def to_value(raw: object) -> Value:
    """Convert a field's value for formulas: objects, nan and infinity become null, integers become numbers."""
    if type(raw) is float:
        return raw if isfinite(raw) else None
    if type(raw) in _AS_THEY_ARE:
        return cast("Value", raw)
    if isinstance(raw, float):
        return to_finite_number(float(raw))
    if isinstance(raw, int):
        try:
            return float(raw)
        except OverflowError:
            return None
    return str(raw) if isinstance(raw, str) else None


def to_finite_number(number: float) -> float | None:
    """Return a number, or None if it is nan or infinite."""
    return number if isfinite(number) else None


def to_number(value: Value) -> float | None:
    """Convert a value to a number: true is 1, false is 0, a text counts if it is written like a number."""
    if type(value) is float:
        return value
    if isinstance(value, bool):
        return float(value)
    return parse_number(value) if isinstance(value, str) else None


def to_text(value: Value) -> str | None:
    """Convert a value to a text; lists have none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return print_number(value) if isinstance(value, float) else None


def to_truth(value: Value) -> bool | None:
    """Convert a value to a condition: 0, "", "0", "false" and an empty list are false; null is neither."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false") and to_number(value) != 0
    return bool(value)


def print_number(number: float) -> str:
    """Format a number for customers: 15 significant digits, whole numbers without a point."""
    if number == int(number) and abs(number) < 1e21:
        return str(int(number))
    return f"{number:.15g}"


def equals(left: Value, right: Value) -> bool | None:
    """Compare two values: two texts by their characters, everything else as numbers; null equals only null.

    Two lists, or a list and a value, are not compared: the answer is None.
    """
    if left is None or right is None:
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if isinstance(left, _LISTS) or isinstance(right, _LISTS):
        return None
    first, second = to_number(left), to_number(right)
    return first is not None and first == second

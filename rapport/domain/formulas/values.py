"""Values inside formulas, and how one kind is read as another."""

from __future__ import annotations

import math
import re
from typing import Final

Items = list[object] | tuple[object, ...] | set[object] | frozenset[object]
Scalar = float | str | bool | None
Value = Scalar | Items

MAX_TEXT: Final = 10_000
"""Characters in a text that a formula makes; a longer one has no value."""

_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,4})?\s*", re.ASCII)


def value_of(raw: object) -> Value:
    """Take a value of a field as formulas see it: objects, nan and infinity are null, integers are numbers."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, float):
        return finite(float(raw))
    if isinstance(raw, int):
        try:
            return float(raw)
        except OverflowError:
            return None
    if isinstance(raw, str):
        return str(raw)
    return raw if isinstance(raw, list | tuple | set | frozenset) else None


def finite(number: float) -> float | None:
    """A number, unless it is nan or infinite."""
    return number if math.isfinite(number) else None


def number_of(value: Value) -> float | None:
    """A value as a number: true is 1, false is 0, a text counts if it is written like a number."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, float | int):
        return value
    return finite(float(value)) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def text_of(value: Value) -> str | None:
    """A value as a text; lists have none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        return print_number(value)
    return value if isinstance(value, str) else None


def truth_of(value: Value) -> bool | None:
    """A value as a condition: 0, "", "0", "false" and an empty list are false; null is neither."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false") and number_of(value) != 0
    return bool(value)


def print_number(number: float) -> str:
    """A number as customers read it: 15 significant digits, whole numbers without a point."""
    if number == int(number) and abs(number) < 1e21:
        return str(int(number))
    return f"{number:.15g}"


def equals(left: Value, right: Value) -> bool | None:
    """Whether two values are equal: two texts by their characters, everything else as numbers; null only to null.

    Two lists, or a list and a value, are not compared: the answer is None.
    """
    if left is None or right is None:
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if not (isinstance(left, float | str) and isinstance(right, float | str)) and _has_items(left, right):
        return None
    one, other = number_of(left), number_of(right)
    return one is not None and one == other


def _has_items(*values: Value) -> bool:
    return any(isinstance(value, list | tuple | set | frozenset) for value in values)

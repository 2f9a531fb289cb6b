"""The one reading of numbers in texts: for rules, segments, formulas and the cells of files.

Decimal syntax in ASCII, with spaces around it at most: ``12``, ``-0.5``, ``.5``, ``1e-3``. What programming languages
and locales have besides (``1_000``, ``1,000``, full-width digits, ``0x10``, no-break spaces, ``nan``) is a text: each
reader would read something else into it.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

NUMBER_PATTERN: Final = r"^ *([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,4})?) *$"
"""Of a text that is a number, which is its group. Queries are given it, so that ClickHouse reads the same."""
EXPECTED: Final = "a number in plain digits, as 1234.5"
_find = re.compile(NUMBER_PATTERN).fullmatch
_INDEX_DIGITS: Final = 9


def parse_number(text: str) -> float | None:
    """Return the number that a text is, or None if it is none, or none that a double can hold."""
    found = _find(text)
    number = float(found[1]) if found else None
    return number if number is not None and isfinite(number) else None


def parse_index(text: str) -> int | None:
    """Return the place in a list that a part of a path is, counted from 0, or None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS else None

"""Parser of numbers in texts, shared by rules, segments, formulas and the cells of files.

Decimal syntax in ASCII, with spaces around it at most: ``12``, ``-0.5``, ``.5``, ``1e-3``. Other notations of
programming languages and locales (``1_000``, ``1,000``, full-width digits, ``0x10``, no-break spaces, ``nan``) are
texts: each reader would read something else into them.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

NUMBER_PATTERN: Final = r"^ *([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,4})?) *$"
"""Matches a text that is a number; the group is the number. Passed to queries, so that ClickHouse reads the same."""
EXPECTED: Final = "a number in plain digits, as 1234.5"
_find = re.compile(NUMBER_PATTERN).fullmatch
_INDEX_DIGITS: Final = 9


def parse_number(text: str) -> float | None:
    """Parse a text as a number; None if it is none, or none that a double can hold."""
    match = _find(text)
    number = float(match[1]) if match else None
    return number if number is not None and isfinite(number) else None


def parse_index(text: str) -> int | None:
    """Parse a part of a path as an index into a list, from 0; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS else None

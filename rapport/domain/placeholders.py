"""Placeholder ids: texts such as ``undefined`` that stand where an id should be, and identify nobody.

Code writes them when it has no id: JavaScript's ``undefined`` and ``[object Object]``, a database's ``NULL``,
the zero of a missing number. Merging by them would make one person of strangers.
"""

from __future__ import annotations

import re
from typing import Final

_WITH_A_DIGIT: Final = "-1"
"""The only placeholder with a digit other than zero; most ids have one, so that a digit nearly decides."""
PLACEHOLDERS: Final = frozenset(
    {
        "undefined",
        "null",
        "nil",
        "none",
        "nan",
        "n/a",
        "na",
        "anonymous",
        "guest",
        "unknown",
        "not set",
        "not_set",
        "not_authenticated",
        "true",
        "false",
        "[object object]",
        "object object",
        _WITH_A_DIGIT,
        "id",
        "distinct_id",
        "distinctid",
        "customer_id",
        "customerid",
        "user_id",
        "userid",
        "email",
    }
)
_EMPTY: Final = re.compile(r"[\s0.\-_?*]*")
"""Matches only spaces, zeros and signs: ``0``, ``-``, ``00000000-0000-0000-0000-000000000000``."""
_DIGIT: Final = re.compile("[1-9]")
_LONGEST: Final = 40
_AROUND: Final = " \t\r\n\"'`()<>{}"


def is_placeholder(customer_id: str) -> bool:
    """Say whether an id is a placeholder, in whatever case and quotes or brackets it is written."""
    if len(customer_id) > _LONGEST:
        return False
    if _DIGIT.search(customer_id):
        return customer_id.strip(_AROUND) == _WITH_A_DIGIT
    bare = customer_id.strip(_AROUND).lower()
    return bare in PLACEHOLDERS or (not bare[:1].isalpha() and _EMPTY.fullmatch(bare) is not None)


def explain_placeholder(customer_id: str) -> str:
    """Explain why a placeholder id is refused; empty for any other id."""
    if not is_placeholder(customer_id):
        return ""
    return f"is {customer_id!r}, which names nobody: whoever was linked by it would be one person with strangers"

"""E-mail addresses, folded for comparison: case does not tell two addresses apart."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+", re.ASCII)


def is_address(text: str) -> bool:
    """Say whether a text may be an e-mail address."""
    return _ADDRESS.fullmatch(text) is not None


def fold_address(text: str) -> str:
    """Return an address in lower case; any other id unchanged.

    ``contact_profile_versions.folded_ids`` and the queries that look for spellings have the same form: ClickHouse's
    ``lowerUTF8`` folds as Unicode says, as Python does.
    """
    return text.lower() if is_address(text) else text

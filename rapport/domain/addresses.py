"""E-mail addresses as they are compared: a person writes one in whatever case, and it is one address."""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+", re.ASCII)


def is_address(text: str) -> bool:
    """Whether a text may be an e-mail address."""
    return _ADDRESS.fullmatch(text) is not None


def fold_address(text: str) -> str:
    """Return an address in the form in which it is compared; any other id as it is.

    ``contact_profile_versions.folded_ids`` and the queries that look for spellings have the same form: ClickHouse's
    ``lowerUTF8`` makes small letters as Unicode says, as Python does.
    """
    return text.lower() if is_address(text) else text

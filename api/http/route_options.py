"""Options of routes, by which middleware tells them apart."""

from __future__ import annotations

from typing import Final

PUBLIC: Final = "is_public"
"""The ``opt`` of routes that need no key."""
KEY_IN_QUERY: Final = "takes_key_in_query"
"""The ``opt`` of routes whose callers may name the key as the parameter ``api_key``."""
READS: Final = "reads_tables"
"""The ``opt`` of routes that answer from the tables."""

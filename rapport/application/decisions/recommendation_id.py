"""Ids of recommendations."""

from __future__ import annotations

import secrets
import uuid


def make_recommendation_id(at_ms: int) -> str:
    """Make a UUID of version 7 (RFC 9562): it begins with the time, so that recent ones are adjacent in the tables."""
    number = at_ms << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def decode_created_at_ms(recommendation_id: str) -> int | None:
    """Return the creation time that an id contains, epoch milliseconds; None if it is not a UUID of version 7."""
    try:
        made = uuid.UUID(recommendation_id)
    except ValueError:
        return None
    return made.int >> 80 if made.version == 7 else None

"""Ids of recommendations."""

from __future__ import annotations

import secrets
import uuid


def make_recommendation_id(at_ms: int) -> str:
    """A UUID of version 7 (RFC 9562): it begins with the time, so that recent ones lie together in the tables."""
    number = at_ms << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def decode_created_at_ms(recommendation_id: str) -> int | None:
    """When a recommendation was made, by its id, epoch milliseconds; None if the id does not say."""
    try:
        made = uuid.UUID(recommendation_id)
    except ValueError:
        return None
    return made.int >> 80 if made.version == 7 else None

"""Ids of recommendations."""

from __future__ import annotations

from uuid_utils import UUID, uuid7


def make_recommendation_id(at_ms: int) -> str:
    """Make a UUID of version 7 (RFC 9562): it begins with the time, so that recent ones are adjacent in the tables."""
    return str(uuid7(nanoseconds=at_ms * 1_000_000))


def decode_created_at_ms(recommendation_id: str) -> int | None:
    """Return the creation time that an id contains, epoch milliseconds; None if it is not a UUID of version 7."""
    try:
        made = UUID(recommendation_id)
    except ValueError:
        return None
    return made.timestamp if made.version == 7 else None

"""Ids of recommendations and of anonymous customers."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import Final

ANONYMOUS: Final = "anonymous"


def make_recommendation_id(at_ms: int) -> str:
    """A UUID of version 7 (RFC 9562): it begins with the time, so that recent ones lie together in the tables."""
    number = at_ms << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def made_at_ms(recommendation_id: str) -> int | None:
    """When a recommendation was made, by its id, epoch milliseconds; None if the id does not say."""
    try:
        made = uuid.UUID(recommendation_id)
    except ValueError:
        return None
    return made.int >> 80 if made.version == 7 else None


def anonymous_id(tenant_id: str, session_id: str, address: str, user_agent: str) -> str:
    """The same id for the same session; without one, for the same address and browser.

    Hashed, so that addresses are not stored, and with the tenant, so that tenants cannot compare their visitors.
    """
    seed = f"session\0{session_id}" if session_id else f"client\0{address}\0{user_agent}"
    digest = hashlib.sha256(f"{tenant_id}\0{seed}".encode()).hexdigest()
    return f"anon_{digest[:32]}"

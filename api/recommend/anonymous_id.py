"""Ids of anonymous customers."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

ANONYMOUS: Final = "anonymous"


def anonymous_id(tenant_id: str, session_id: str, address: str, user_agent: str) -> str:
    """Make the same id for the same session; without one, for the same address and browser.

    Hashed, so that addresses are not stored, and with the tenant, so that tenants cannot compare their visitors.

    Args:
        tenant_id: Tenant of the visitor.
        session_id: Empty if there is none.
        address: The visitor's own; empty if it is not known. Without a session, too, the id is then used once: one id
            for all whom the same proxy forwards would have strangers share histories and caps.
        user_agent: The visitor's browser.
    """
    if not session_id and not address:
        return f"anon_{secrets.token_hex(16)}"
    seed = f"session\0{session_id}" if session_id else f"client\0{address}\0{user_agent}"
    digest = hashlib.sha256(f"{tenant_id}\0{seed}".encode()).hexdigest()
    return f"anon_{digest[:32]}"

"""Ids of anonymous customers."""

from __future__ import annotations

import hashlib
from typing import Final

ANONYMOUS: Final = "anonymous"


def anonymous_id(tenant_id: str, session_id: str, address: str, user_agent: str) -> str:
    """The same id for the same session; without one, for the same address and browser.

    Hashed, so that addresses are not stored, and with the tenant, so that tenants cannot compare their visitors.
    """
    seed = f"session\0{session_id}" if session_id else f"client\0{address}\0{user_agent}"
    digest = hashlib.sha256(f"{tenant_id}\0{seed}".encode()).hexdigest()
    return f"anon_{digest[:32]}"

"""Makes, lists and revokes API keys, and notes both in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth.principal import author_of
from rapport.storage.api_keys import audit_created_key, audit_revoked_key, create_key, list_keys, revoke_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.api_keys.schemas import NewKey
    from api.auth.principal import Principal
    from rapport.domain.api_keys import ApiKey
    from rapport.storage.database import Database


class ApiKeyService:
    """API keys of every tenant.

    Args:
        pepper: Keys are stored as HMAC-SHA256 under it.
    """

    def __init__(self, database: Database, pepper: str) -> None:
        self._database = database
        self._pepper = pepper

    async def list_all(self, tenant_id: str) -> Sequence[ApiKey]:
        """List the keys that are valid or have expired."""
        return await self._database.call(list_keys, tenant_id)

    async def create(
        self, principal: Principal, new: NewKey, now_ms: int, expires_at_ms: int | None
    ) -> tuple[str, ApiKey]:
        """Make a key; it is returned, and only its hash is stored."""
        key, stored = await self._database.call(
            create_key,
            principal.tenant_id,
            new.role,
            self._pepper,
            now_ms,
            name=new.name,
            scopes=new.scopes,
            expires_at_ms=expires_at_ms,
        )
        await self._database.call(audit_created_key, stored, author_of(principal))
        return key, stored

    async def revoke(self, principal: Principal, key_id: str, now_ms: int, reason: str) -> bool:
        """Revoke a key; False if there is none."""
        revoked = await self._database.call(revoke_key, principal.tenant_id, key_id, now_ms, reason=reason)
        if revoked is None:
            return False
        await self._database.call(audit_revoked_key, revoked, author_of(principal), now_ms, reason=reason)
        return True

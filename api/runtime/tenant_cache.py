"""Cache of tenants with their settings and outcome types, refreshed every few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from api.http.errors import ApiError
from api.runtime.refreshing_cache import RefreshingCache
from rapport.domain.tenants import Tenant
from rapport.storage.tenants import TenantReader

if TYPE_CHECKING:
    from rapport.storage.database import Database

REFRESH_S: Final = 2.0
_ALL: Final = "all"
"""Key of the one entry: tenants are loaded together."""


class TenantCache:
    """Cache of tenants. While ClickHouse is away, the last known ones count."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reader = TenantReader()
        self._tenants = RefreshingCache[str, Mapping[str, Tenant]](
            "tenants", self._load, fresh_s=REFRESH_S, stale_s=REFRESH_S, max_entries=1
        )

    async def get(self, tenant_id: str) -> Tenant:
        """Return a tenant as of some seconds ago.

        Raises:
            ApiError: 403; it is not, or no longer, active.
            StorageError: Tenants were never loaded and ClickHouse does not answer.
        """
        tenant = (await self._tenants.get(_ALL)).get(tenant_id)
        if tenant is None:
            tenant = (await self._tenants.refresh(_ALL)).get(tenant_id)  # it may be new
        if tenant is None:
            raise ApiError(403, "The tenant of this key is not active.")
        return tenant

    async def refresh(self) -> None:
        """Load all tenants now, so that requests see every earlier change.

        Raises:
            StorageError: As :meth:`get`.
        """
        await self._tenants.refresh(_ALL)

    async def _load(self, _all: str, _before: Mapping[str, Tenant] | None) -> Mapping[str, Tenant]:
        return await self._database.call(self._reader.read)

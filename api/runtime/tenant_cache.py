"""Cache of tenants with their settings and outcome types, refreshed every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog

from api.http.errors import ApiError
from rapport.domain.tenants import Tenant
from rapport.storage.errors import TransientStorageError
from rapport.storage.tenants import load_tenants

if TYPE_CHECKING:
    from api.runtime.database import Database

log = structlog.get_logger(__name__)
REFRESH_S: Final = 2.0


class TenantCache:
    """Cache of tenants. While ClickHouse is away, the last known ones count."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tenants: Mapping[str, Tenant] = {}
        self._loaded_at = -float("inf")
        self._loading: asyncio.Task[None] | None = None

    async def get(self, tenant_id: str) -> Tenant:
        """Return a tenant as of some seconds ago.

        Raises:
            ApiError: 403; it is not, or no longer, active.
            StorageError: Tenants were never loaded and ClickHouse does not answer.
        """
        if time.monotonic() - self._loaded_at > REFRESH_S:
            await self.refresh()
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            await self.refresh()  # it may be new
            tenant = self._tenants.get(tenant_id)
        if tenant is None:
            raise ApiError(403, "The tenant of this key is not active.")
        return tenant

    async def refresh(self) -> None:
        """Load all tenants now; concurrent requests share it (single-flight)."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        try:
            self._tenants = await self._database.call(load_tenants)
            self._loaded_at = time.monotonic()
        except TransientStorageError as error:
            if not self._tenants:
                raise
            log.warning("tenants could not be looked up; what was known holds", error=str(error))
            self._loaded_at = time.monotonic()
        finally:
            self._loading = None

"""The names of offers, creatives and channels, looked up again every other second."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from rapport.storage.catalogue_names import Names, load_names

if TYPE_CHECKING:
    from api.database import Database

REFRESH_S: Final = 1.5
MAX_TENANTS: Final = 1_000


class CatalogueNames:
    """Names per tenant, as they were a moment ago."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, tuple[float, Names]] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Names]] = {}

    async def of(self, tenant_id: str) -> Names:
        """The names of one tenant.

        Raises:
            StorageError: They have to be looked up and ClickHouse does not answer.
        """
        known = self._known.get(tenant_id)
        if known is not None and time.monotonic() - known[0] < REFRESH_S:
            return known[1]
        if tenant_id not in self._loading:
            self._loading[tenant_id] = asyncio.create_task(self._load(tenant_id))
        return await asyncio.shield(self._loading[tenant_id])

    async def _load(self, tenant_id: str) -> Names:
        try:
            asked_at = time.monotonic()
            names = await self._database.call(load_names, tenant_id)
        finally:
            del self._loading[tenant_id]
        self._known[tenant_id] = (asked_at, names)
        self._known.move_to_end(tenant_id)
        while len(self._known) > MAX_TENANTS:
            self._known.popitem(last=False)
        return names

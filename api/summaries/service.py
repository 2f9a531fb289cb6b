"""Reads summaries of customers, and totals over all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from api.http.times import now_ms
from api.runtime.catalogue_names import EntityNames
from api.summaries.report import build_row
from rapport.storage.summary_report import read_report

if TYPE_CHECKING:
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.loader import Loader
    from api.runtime.tenant_cache import TenantCache
    from api.summaries.schemas import ReportRow
    from rapport.storage.database import Database
    from rapport.storage.summaries import SummaryPage, SummaryQuery


class SummaryService:
    """Summaries of every tenant.

    Args:
        rows: Loads summaries of single customers.
    """

    def __init__(
        self,
        database: Database,
        catalogues: CompiledCatalogues,
        tenants: TenantCache,
        identities: IdentityCache,
        rows: Loader[SummaryQuery, SummaryPage],
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._tenants = tenants
        self._identities = identities
        self._rows = rows

    async def find_members(self, tenant_id: str, customer_id: str) -> tuple[str, ...]:
        """Return all ids of a person, the canonical one first."""
        return await self._identities.members(tenant_id, customer_id)

    async def load(self, wanted: SummaryQuery) -> SummaryPage:
        """Load a page of a customer's summaries."""
        return await self._rows.load(wanted)

    async def report(
        self, tenant_id: str, group: str, *, days: int, limit: int, offset: int
    ) -> tuple[list[ReportRow], int]:
        """Report totals of the last days, the largest first, and count the groups.

        Today is the last of these days, by the tenant's calendar.
        """
        tenant = await self._tenants.get(tenant_id)
        today = datetime.fromtimestamp(now_ms() / 1000, UTC).astimezone(ZoneInfo(tenant.time_zone)).date()
        since = today - timedelta(days=days - 1)
        rows, total = await self._database.call(read_report, tenant.tenant_id, group, since, limit, offset)
        names = EntityNames(await self._catalogues.stored(tenant.tenant_id))
        return [build_row(group, row, names) for row in rows], total

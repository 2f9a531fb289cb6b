"""Impressions and responses of all customers of a tenant together, some seconds old."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from rapport.domain.decisions.tenant_totals import OfferTotals, Totals, index_totals, make_tenant_facts, needs_totals
from rapport.domain.periods import to_local_date
from rapport.storage.errors import TransientStorageError
from rapport.storage.offer_totals import read_offer_totals

if TYPE_CHECKING:
    from datetime import date

    from api.runtime.database import Database
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import TenantFacts
    from rapport.domain.tenants import Tenant

log = structlog.get_logger(__name__)
REFRESH_S: Final = 2.0
BUSY_SHARE: Final = 0.05
"""Totals are read over all customers: of one tenant at most this share of the time."""
MAX_TENANTS: Final = 1_000


@dataclass(slots=True)
class _CachedTotals:
    """A tenant's totals.

    Attributes:
        day: The tenant's calendar day for which ``shown_today`` holds.
        next_at: When they are read again, monotonic seconds.
        stamp: The catalogue for which they were arranged.
        facts: The totals, arranged.
    """

    day: date
    totals: Sequence[OfferTotals]
    next_at: float
    stamp: str = ""
    facts: Totals | None = None


class TenantTotals:
    """Totals of the tenants whose catalogues need any. While new ones are read, requests take those there are.

    Budgets over all customers are therefore kept to within some seconds, other than caps per customer, which are exact.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, _CachedTotals] = OrderedDict()
        self._reading: dict[str, asyncio.Task[_CachedTotals]] = {}

    async def of(self, tenant: Tenant, catalogue: Catalogue, now_ms: int) -> TenantFacts:
        """Return the facts of a tenant.

        Raises:
            StorageError: They were never read, or not today, and ClickHouse does not answer.
        """
        if not needs_totals(catalogue):
            return make_tenant_facts(tenant)
        known = await self._find(tenant, now_ms)
        if known.stamp != catalogue.stamp or known.facts is None:
            known.stamp, known.facts = catalogue.stamp, index_totals(known.totals, catalogue)
        return make_tenant_facts(tenant, known.facts)

    async def _find(self, tenant: Tenant, now_ms: int) -> _CachedTotals:
        known = self._known.get(tenant.tenant_id)
        today = to_local_date(now_ms, tenant.time_zone)
        if known is not None and known.day == today and time.monotonic() < known.next_at:
            return known
        reading = self._reading.get(tenant.tenant_id)
        if reading is None:
            reading = self._reading[tenant.tenant_id] = asyncio.create_task(self._read(tenant, now_ms))
            reading.add_done_callback(_retrieve)
        if known is not None and known.day == today:
            return known
        return await asyncio.shield(reading)

    async def _read(self, tenant: Tenant, now_ms: int) -> _CachedTotals:
        started = time.monotonic()
        totals: Sequence[OfferTotals]
        try:
            totals = await self._database.call(read_offer_totals, tenant.tenant_id, tenant.time_zone, now_ms)
        except TransientStorageError as error:
            known = self._known.get(tenant.tenant_id)
            if known is None:
                raise
            log.warning("totals could not be read; what was known holds", error=str(error))
            totals = known.totals
        finally:
            del self._reading[tenant.tenant_id]
        ended = time.monotonic()
        next_at = ended + max(REFRESH_S, (ended - started) / BUSY_SHARE)
        known = self._known[tenant.tenant_id] = _CachedTotals(to_local_date(now_ms, tenant.time_zone), totals, next_at)
        self._known.move_to_end(tenant.tenant_id)
        while len(self._known) > MAX_TENANTS:
            self._known.popitem(last=False)
        return known


def _retrieve(task: asyncio.Task[_CachedTotals]) -> None:
    """Nobody may be waiting for a reading that failed; what was known holds, or the next request sees the error."""
    if not task.cancelled():
        task.exception()

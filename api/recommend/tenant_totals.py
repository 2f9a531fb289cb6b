"""Impressions and responses of all customers of a tenant together, some seconds old."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from api.runtime.refreshing_cache import RefreshingCache
from rapport.domain.decisions.tenant_totals import OfferTotals, Totals, index_totals, make_tenant_facts, needs_totals
from rapport.domain.periods import to_local_date
from rapport.storage.offer_totals import read_offer_totals

if TYPE_CHECKING:
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import TenantFacts
    from rapport.domain.tenants import Tenant
    from rapport.storage.database import Database

REFRESH_S: Final = 2.0
BUSY_SHARE: Final = 0.05
"""Totals are read over all customers: of one tenant at most this share of the time."""
MAX_TENANTS: Final = 1_000
WHILE_READ_S: Final = float("inf")
"""However old they are, requests take the totals of the day while new ones are read."""


class _TenantDay(NamedTuple):
    """A tenant's calendar day; totals say what was shown on it."""

    tenant_id: str
    day: date


@dataclass(slots=True)
class _CachedTotals:
    """A tenant's totals.

    Attributes:
        fresh_s: After so long, counted from the beginning of their reading, they are read again.
        stamp: The catalogue for which they were arranged.
        facts: The totals, arranged.
    """

    totals: Sequence[OfferTotals]
    fresh_s: float
    stamp: str = ""
    facts: Totals | None = None


class TenantTotals:
    """Totals of the tenants whose catalogues need any. While new ones are read, requests take those there are.

    Budgets over all customers are therefore kept to within some seconds, other than caps per customer, which are exact.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._totals = RefreshingCache[_TenantDay, _CachedTotals](
            "totals",
            self._read,
            fresh_s=lambda cached: cached.fresh_s,
            stale_s=WHILE_READ_S,
            max_entries=MAX_TENANTS,
        )

    async def of(self, tenant: Tenant, catalogue: Catalogue, now_ms: int) -> TenantFacts:
        """Return the facts of a tenant.

        Raises:
            StorageError: They were never read, or not today, and ClickHouse does not answer.
        """
        if not needs_totals(catalogue):
            return make_tenant_facts(tenant)
        cached = await self._totals.get(_TenantDay(tenant.tenant_id, to_local_date(now_ms, tenant.time_zone)))
        if cached.stamp != catalogue.stamp or cached.facts is None:
            cached.stamp, cached.facts = catalogue.stamp, index_totals(cached.totals, catalogue)
        return make_tenant_facts(tenant, cached.facts)

    async def _read(self, key: _TenantDay, _before: _CachedTotals | None) -> _CachedTotals:
        began = time.monotonic()
        totals = await self._database.call(read_offer_totals, key.tenant_id, key.day)
        took_s = time.monotonic() - began
        return _CachedTotals(totals, took_s + max(REFRESH_S, took_s / BUSY_SHARE))

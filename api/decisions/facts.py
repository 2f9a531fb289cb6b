"""Gathers what a decision needs to know."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.reservations.holds import Hold, sort_holds
from rapport.deciding.gathering import facts_request, follows_customers
from rapport.domain.decisions.facts import CustomerFacts, TenantFacts
from rapport.domain.decisions.records import WatermarkRecord

if TYPE_CHECKING:
    from api.decisions.customers import CustomerSource
    from api.decisions.totals import TenantTotals
    from api.identity.cache import IdentityMap
    from api.reading.loader import Loader
    from api.reading.watermark import Watermark
    from rapport.domain.decisions.candidates import Request
    from rapport.domain.decisions.compiling import Catalogue
    from rapport.storage.decision_facts import FactsRequest, LoadedFacts
    from rapport.storage.tenants import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one decision knows.

    Attributes:
        finished: Recommendations whose reservations are shown in these facts, or have lapsed.
    """

    customer: CustomerFacts
    tenant: TenantFacts
    watermark: WatermarkRecord
    finished: frozenset[str] = frozenset()


class FactsReader:
    """Reads facts; what several requests ask at the same time is one query."""

    def __init__(
        self,
        loader: Loader[FactsRequest, LoadedFacts],
        customers: CustomerSource,
        totals: TenantTotals,
        watermark: Watermark,
        identities: IdentityMap,
    ) -> None:
        self._loader = loader
        self._customers = customers
        self._totals = totals
        self._watermark = watermark
        self._identities = identities

    async def read(
        self, tenant: Tenant, catalogue: Catalogue, request: Request, now_ms: int, holds: Collection[Hold] = ()
    ) -> Facts:
        """Facts about a customer for a catalogue's decisions.

        Args:
            tenant: Whose customer.
            catalogue: What it needs is read.
            request: Names the customer.
            now_ms: When the decision is made.
            holds: Reservations of the customer, read before.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        watermark = self.watermark()
        members = await self._identities.members(tenant.tenant_id, request.customer_id)
        knowing = asyncio.create_task(self._customers.load(tenant, members, request.attributes, catalogue.segments))

        exposures = frozenset(hold.recommendation_id for hold in holds if hold.needs_history())

        async def load() -> LoadedFacts:
            zone = (await knowing).time_zone if follows_customers(catalogue) else None
            asked = facts_request(tenant, catalogue, request.customer_id, zone, now_ms, exposures, members)
            return await self._loader.load(asked)

        customer, tenant_facts, loaded = await asyncio.gather(
            knowing, self._totals.of(tenant, catalogue, now_ms), load()
        )
        fresh_ms = None if watermark.lag_ms is None else now_ms - watermark.lag_ms
        found = sort_holds(holds, loaded, now_ms, fresh_ms)
        return Facts(
            customer=CustomerFacts(
                attributes=customer.attributes,
                segments=customer.segments,
                metrics=loaded.metrics,
                time_zone=customer.time_zone,
                counts=loaded.counts,
                last_contact_ms=loaded.last_contact_ms,
                last_outcome_ms=loaded.last_outcome_ms,
                reservations=found.reservations,
                withheld=customer.withheld,
                objections=customer.objections,
            ),
            tenant=tenant_facts,
            watermark=watermark,
            finished=found.finished,
        )

    def watermark(self) -> WatermarkRecord:
        """How far the tables are at least."""
        applied = self._watermark.applied
        return WatermarkRecord(
            lag_ms=self._watermark.lag_ms, positions={str(number): offset for number, offset in applied.items()}
        )

"""Loads the facts that decisions need; no decision reads the tables otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rapport.application.decisions.load_facts import (
    build_contexts,
    build_facts_query,
    complete_facts,
    read_contact_summaries,
    read_memberships,
    read_snapshots,
)
from rapport.domain.decisions.record import WatermarkRecord
from rapport.domain.decisions.reservations import Reservation, split_reservations

if TYPE_CHECKING:
    from api.recommend.state_facts import StateFacts
    from api.recommend.tenant_totals import TenantTotals
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.loader import Loader
    from api.runtime.watermark import Watermark
    from rapport.application.decisions.load_facts import CustomerFactsQuery, CustomerFactsResult
    from rapport.domain.decisions.candidates import Request
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import CustomerFacts, TenantFacts
    from rapport.domain.tenants import Tenant
    from rapport.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts of one decision.

    Attributes:
        finished: Recommendations whose reservations are shown in these facts, or have lapsed.
    """

    customer: CustomerFacts
    tenant: TenantFacts
    watermark: WatermarkRecord
    finished: frozenset[str] = frozenset()


async def load_facts(database: Database, queries: Sequence[CustomerFactsQuery]) -> list[CustomerFactsResult]:
    """Load the facts of several decisions, each in its place.

    The same reads as :func:`~rapport.application.decisions.load_facts.load_customer_facts` makes, but those that do not
    depend on each other at the same time.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    context_queries = [query.context for query in queries]
    rows, snapshots, memberships = await asyncio.gather(
        database.call(read_contact_summaries, queries),
        database.call(read_snapshots, context_queries),
        database.call(read_memberships, context_queries),
    )
    contexts = build_contexts(context_queries, snapshots, memberships)
    return await database.call(complete_facts, queries, rows, contexts)


class FactsLoader:
    """Loads facts: from customer states where they may be used, else from the tables.

    Args:
        loader: Loads facts from the tables, for several requests at once.
        states: Finds customer states; None where there are none.
        totals: Totals over all customers of a tenant.
        watermark: The positions up to which the tables hold the log.
        identities: The ids of merged customers.
    """

    def __init__(
        self,
        loader: Loader[CustomerFactsQuery, CustomerFactsResult],
        states: StateFacts | None,
        totals: TenantTotals,
        watermark: Watermark,
        identities: IdentityCache,
    ) -> None:
        self._loader = loader
        self._states = states
        self._totals = totals
        self._watermark = watermark
        self._identities = identities

    async def read(
        self,
        tenant: Tenant,
        catalogue: Catalogue,
        request: Request,
        now_ms: int,
        reservations: Collection[Reservation] = (),
    ) -> Facts:
        """Load the facts about a customer that a catalogue's decisions need.

        Args:
            tenant: Tenant of the customer.
            catalogue: Its rules and formulas determine the facts.
            request: Names the customer.
            now_ms: When the decision is made.
            reservations: Reservations of the customer, read before.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        watermark = self.watermark()
        members = await self._identities.members(tenant.tenant_id, request.customer_id)
        exposures = frozenset(
            reservation.recommendation_id for reservation in reservations if reservation.needs_history()
        )
        query = build_facts_query(
            tenant, catalogue, request.customer_id, members, now_ms, given=request.attributes, exposures=exposures
        )
        tenant_facts = await self._totals.of(tenant, catalogue, now_ms)  # hardly ever waits: a task would cost more
        loaded = await self._load_customer(query)
        fresh_ms = None if watermark.lag_ms is None else now_ms - watermark.lag_ms
        reserved = split_reservations(reservations, loaded.contacts, now_ms, fresh_ms)
        return Facts(
            customer=loaded.build(reserved.impressions),
            tenant=tenant_facts,
            watermark=watermark,
            finished=reserved.finished,
        )

    async def _load_customer(self, query: CustomerFactsQuery) -> CustomerFactsResult:
        loaded = await self._states.load(query) if self._states is not None else None
        return loaded if loaded is not None else await self._loader.load(query)

    def watermark(self) -> WatermarkRecord:
        """Return the positions up to which the tables hold the log at least."""
        applied = self._watermark.applied
        return WatermarkRecord(
            lag_ms=self._watermark.lag_ms, positions={str(number): offset for number, offset in applied.items()}
        )

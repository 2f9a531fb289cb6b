"""Loads the facts that decisions need; no decision reads the tables otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from rapport.application.decisions.load_facts import build_customer_facts, build_facts_query
from rapport.domain.customers.context import build_context, resolve_time_zone
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.customers.merge import find_person_id, merge_memberships, merge_snapshots
from rapport.domain.decisions.facts import CustomerFacts, TenantFacts
from rapport.domain.decisions.record import WatermarkRecord
from rapport.domain.decisions.reservations import Reservation, split_reservations
from rapport.storage.customers import load_snapshots
from rapport.storage.decision_facts import read_facts, read_summary_rows

if TYPE_CHECKING:
    from api.recommend.tenant_totals import TenantTotals
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.loader import Loader
    from api.runtime.watermark import Watermark
    from rapport.domain.customers.customer import CustomerSnapshot
    from rapport.domain.decisions.candidates import Request
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.contact_facts import FactsQuery, FactsResult
    from rapport.domain.profiles.attribute_sources import AttributeSources
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFactsQuery:
    """Query for the facts of one decision.

    Attributes:
        facts: Without the customer's time zone, which may be in the snapshot.
        tenant: Tenant of the customer.
        given: The attributes of the request.
        sources: Which of them count.
    """

    facts: FactsQuery
    tenant: Tenant
    given: Mapping[str, Any]
    sources: AttributeSources

    @property
    def keys(self) -> Sequence[CustomerKey]:
        """All ids of the customer, the canonical one first."""
        return [CustomerKey(*customer) for customer in self.facts.customers]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFactsResult:
    """Result of a query for facts.

    Attributes:
        snapshot: Snapshot of the customer, of all ids together.
    """

    facts: FactsResult
    snapshot: CustomerSnapshot


async def load_facts(database: Database, queries: Sequence[CustomerFactsQuery]) -> list[CustomerFactsResult]:
    """Load the facts of several decisions, each in its place.

    Snapshots of the customers are read while their summaries are; they hold the time zones, and those decide which part
    of the history is needed.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    keys = list(dict.fromkeys(chain.from_iterable(query.keys for query in queries)))
    rows, loaded = await asyncio.gather(
        database.call(read_summary_rows, [query.facts for query in queries]), database.call(load_snapshots, keys)
    )
    by_key = dict(zip(keys, loaded, strict=True))
    snapshots = [merge_snapshots([by_key[key] for key in query.keys], query.tenant.settings) for query in queries]
    facts_queries = [
        replace(query.facts, customer_zone=resolve_time_zone(snapshot, query.given, query.sources))
        for query, snapshot in zip(queries, snapshots, strict=True)
    ]
    results = await database.call(read_facts, facts_queries, rows)
    return [
        CustomerFactsResult(facts=facts, snapshot=snapshot) for facts, snapshot in zip(results, snapshots, strict=True)
    ]


class FactsLoader:
    """Loads facts; queries of several requests at the same time are combined."""

    def __init__(
        self,
        loader: Loader[CustomerFactsQuery, CustomerFactsResult],
        memberships: Loader[CustomerKey, Mapping[str, int]],
        totals: TenantTotals,
        watermark: Watermark,
        identities: IdentityCache,
    ) -> None:
        self._loader = loader
        self._memberships = memberships
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
        query = CustomerFactsQuery(
            facts=build_facts_query(tenant, catalogue, request.customer_id, None, now_ms, exposures, members),
            tenant=tenant,
            given=request.attributes,
            sources=catalogue.attribute_sources,
        )
        found, member_of, tenant_facts = await asyncio.gather(
            self._loader.load(query),
            asyncio.gather(*map(self._memberships.load, query.keys if catalogue.segments else ())),
            self._totals.of(tenant, catalogue, now_ms),
        )
        customer = build_context(
            tenant,
            found.snapshot,
            merge_memberships(member_of),
            catalogue.segments,
            request.attributes,
            catalogue.attribute_sources,
        )
        loaded = found.facts
        fresh_ms = None if watermark.lag_ms is None else now_ms - watermark.lag_ms
        reserved = split_reservations(reservations, loaded, now_ms, fresh_ms)
        return Facts(
            customer=build_customer_facts(
                find_person_id(members, request.customer_id), customer, loaded, reserved.impressions
            ),
            tenant=tenant_facts,
            watermark=watermark,
            finished=reserved.finished,
        )

    def watermark(self) -> WatermarkRecord:
        """Return the positions up to which the tables hold the log at least."""
        applied = self._watermark.applied
        return WatermarkRecord(
            lag_ms=self._watermark.lag_ms, positions={str(number): offset for number, offset in applied.items()}
        )

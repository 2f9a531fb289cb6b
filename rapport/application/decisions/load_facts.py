"""Loading and assembly of the facts for a decision; the loading is for callers that make few decisions at a time."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from rapport.domain.customers.context import build_context
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.customers.merge import find_person_id, merge_memberships, merge_snapshots
from rapport.domain.decisions.contact_facts import FactsQuery, FactsResult
from rapport.domain.decisions.facts import CustomerFacts, ReservedImpression
from rapport.domain.decisions.tenant_totals import NO_TOTALS, index_totals, make_tenant_facts, needs_totals
from rapport.domain.periods import to_local_date
from rapport.storage.customers import load_snapshots
from rapport.storage.decision_facts import read_facts
from rapport.storage.identity import read_merges
from rapport.storage.offer_totals import read_offer_totals
from rapport.storage.segments import load_memberships

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rapport.domain.customers.context import CustomerContext
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import TenantFacts
    from rapport.domain.profiles.attribute_sources import AttributeSources
    from rapport.domain.profiles.identity import Merges
    from rapport.domain.tenants import Tenant
    from rapport.storage.client import Store


def build_facts_query(
    tenant: Tenant,
    catalogue: Catalogue,
    customer_id: str,
    customer_zone: str | None,
    now_ms: int,
    exposures: frozenset[str] = frozenset(),
    members: tuple[str, ...] = (),
) -> FactsQuery:
    """Build the query for the facts that a catalogue's decisions need.

    Args:
        tenant: The tenant.
        catalogue: Determines the facts.
        customer_id: The customer.
        customer_zone: The customer's time zone, if known.
        now_ms: Time of the decision, epoch milliseconds.
        exposures: Recommendations whose exposures to the customer are read.
        members: All ids of a merged customer; empty if there is just the one.
    """
    needs = catalogue.needs
    return FactsQuery(
        tenant_id=tenant.tenant_id,
        customer_id=customer_id,
        time_zone=tenant.time_zone,
        customer_zone=customer_zone,
        now_ms=now_ms,
        windows=needs.windows,
        outcomes=needs.outcomes,
        outcome_days=needs.outcome_days,
        contact_days=needs.contact_days,
        metrics=[catalogue.metrics[key] for key in sorted(needs.metrics) if key in catalogue.metrics],
        exposures=exposures,
        members=members,
    )


def load_customer_contexts(
    store: Store,
    tenant: Tenant,
    segments: Mapping[str, str],
    customer_ids: Sequence[str],
    merges: Merges,
    sources: AttributeSources,
) -> dict[str, CustomerContext]:
    """Load the customer contexts: everything about customers that decisions read, except contacts.

    Args:
        store: The database.
        tenant: The tenant.
        segments: Names of the active segments, by id.
        customer_ids: The customers.
        merges: Merges of the tenant.
        sources: Sources of the tenant's attributes; no request attributes apply, as journeys send none.
    """
    members = {customer_id: merges.members(customer_id) for customer_id in customer_ids}
    keys = [CustomerKey(tenant.tenant_id, one) for one in dict.fromkeys(chain.from_iterable(members.values()))]
    if not keys:
        return {}
    memberships: Sequence[Mapping[str, int]] = load_memberships(store, keys) if segments else [{} for _ in keys]
    names = [key.customer_id for key in keys]
    snapshots = dict(zip(names, load_snapshots(store, keys), strict=True))
    member_of = dict(zip(names, memberships, strict=True))
    return {
        customer_id: build_context(
            tenant,
            merge_snapshots([snapshots[one] for one in ids], tenant.settings),
            merge_memberships([member_of[one] for one in ids]),
            segments,
            {},
            sources,
        )
        for customer_id, ids in members.items()
    }


def build_customer_facts(
    person_id: str, customer: CustomerContext, contacts: FactsResult, reservations: Sequence[ReservedImpression] = ()
) -> CustomerFacts:
    """Assemble the facts about a customer for a decision, for the API and for journeys alike.

    Args:
        person_id: Result of :func:`~rapport.domain.customers.merge.find_person_id`.
        customer: Attributes, segments, consent.
        contacts: Counts and times of contacts, and metrics.
        reservations: Exposures that other decisions have reserved and that the contacts do not show yet.
    """
    return CustomerFacts(
        person_id=person_id,
        attributes=customer.attributes,
        ignored=customer.ignored,
        segments=customer.segments,
        metrics=contacts.metrics,
        time_zone=customer.time_zone,
        unknown_zone=customer.unknown_zone,
        counts=contacts.counts,
        last_contact_ms=contacts.last_contact_ms,
        last_outcome_ms=contacts.last_outcome_ms,
        reservations=reservations,
        withheld=customer.withheld,
        objections=customer.objections,
        endings=customer.endings,
    )


def load_decision_facts(
    store: Store, tenant: Tenant, catalogue: Catalogue, customer_id: str, now_ms: int
) -> tuple[CustomerFacts, TenantFacts]:
    """Load all facts for a decision about a customer.

    Exposures that other decisions have reserved and that the tables do not show yet are not included.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    merges = read_merges(store, tenant.tenant_id)
    sources = catalogue.attribute_sources
    customer = load_customer_contexts(store, tenant, catalogue.segments, [customer_id], merges, sources)[customer_id]
    members = merges.members(customer_id)
    query = build_facts_query(tenant, catalogue, customer_id, customer.time_zone, now_ms, members=members)
    (loaded,) = read_facts(store, [query])
    facts = build_customer_facts(find_person_id(members, customer_id), customer, loaded)
    totals = NO_TOTALS
    if needs_totals(catalogue):
        today = to_local_date(now_ms, tenant.time_zone)
        totals = index_totals(read_offer_totals(store, tenant.tenant_id, today), catalogue)
    return facts, make_tenant_facts(tenant, totals)

"""Loading and assembly of the facts for decisions: one way for the API, which groups its queries, and for journeys.

The first reads do not depend on each other, so that the API makes them at the same time; :func:`complete_facts` takes
their results. :func:`load_customer_facts` makes the same reads one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rapport.domain.customers.context import build_context
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.customers.merge import find_person_id, merge_memberships, merge_snapshots
from rapport.domain.decisions.contact_facts import FactsQuery, FactsResult
from rapport.domain.decisions.facts import CustomerFacts, ReservedImpression
from rapport.domain.decisions.tenant_totals import NO_TOTALS, index_totals, make_tenant_facts, needs_totals
from rapport.domain.periods import to_local_date
from rapport.storage.customers import load_snapshots
from rapport.storage.decision_facts import read_facts, read_summary_rows
from rapport.storage.identity import read_merges
from rapport.storage.offer_totals import read_offer_totals
from rapport.storage.segments import load_memberships

if TYPE_CHECKING:
    from rapport.domain.customers.context import CustomerContext
    from rapport.domain.customers.customer import CustomerSnapshot
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import TenantFacts
    from rapport.domain.profiles.attribute_sources import AttributeSources
    from rapport.domain.summaries import StoredSummary
    from rapport.domain.tenants import Tenant
    from rapport.storage.client import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextQuery:
    """Query for the context of one customer: everything that decisions read about the customer, except contacts.

    Attributes:
        members: All ids of the customer, the canonical one first.
        segments: Names of the active segments, by id; if there are none, no memberships are read.
        sources: Sources of the tenant's attributes.
        given: Attributes of the request.
    """

    tenant: Tenant
    members: Sequence[str]
    segments: Mapping[str, str]
    sources: AttributeSources
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def keys(self) -> Sequence[CustomerKey]:
        """All ids of the customer with the tenant, the canonical one first."""
        return [CustomerKey(self.tenant.tenant_id, member) for member in self.members]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFactsQuery:
    """Query for the facts of one decision about a customer.

    Attributes:
        contacts: Without the customer's time zone, which is in the context.
    """

    context: ContextQuery
    contacts: FactsQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFactsResult:
    """Result of a query for facts."""

    person_id: str
    context: CustomerContext
    contacts: FactsResult

    def build(self, reservations: Sequence[ReservedImpression] = ()) -> CustomerFacts:
        """Assemble the facts for a decision.

        Args:
            reservations: Exposures that other decisions have reserved and that the contacts do not show yet.
        """
        customer, contacts = self.context, self.contacts
        return CustomerFacts(
            person_id=self.person_id,
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


def build_facts_query(
    tenant: Tenant,
    catalogue: Catalogue,
    customer_id: str,
    members: tuple[str, ...],
    now_ms: int,
    *,
    given: Mapping[str, Any] | None = None,
    exposures: frozenset[str] = frozenset(),
) -> CustomerFactsQuery:
    """Build the query for the facts that a catalogue's decisions need.

    Args:
        tenant: The tenant.
        catalogue: Determines the facts.
        customer_id: The customer.
        members: All ids of the customer, the canonical one first.
        now_ms: Time of the decision, epoch milliseconds.
        given: Attributes of the request.
        exposures: Recommendations whose exposures to the customer are read.
    """
    needs = catalogue.needs
    return CustomerFactsQuery(
        context=ContextQuery(
            tenant=tenant,
            members=members,
            segments=catalogue.segments,
            sources=catalogue.attribute_sources,
            given=given or {},
        ),
        contacts=FactsQuery(
            tenant_id=tenant.tenant_id,
            customer_id=customer_id,
            time_zone=tenant.time_zone,
            now_ms=now_ms,
            windows=needs.windows,
            outcomes=needs.outcomes,
            outcome_days=needs.outcome_days,
            contact_days=needs.contact_days,
            metrics=[catalogue.metrics[key] for key in sorted(needs.metrics) if key in catalogue.metrics],
            exposures=exposures,
            members=members,
        ),
    )


def read_contact_summaries(store: Store, queries: Sequence[CustomerFactsQuery]) -> Iterable[StoredSummary]:
    """Read the summary rows of several customers; they must be read before the history that completes them."""
    return read_summary_rows(store, [query.contacts for query in queries])


def read_snapshots(store: Store, queries: Sequence[ContextQuery]) -> Mapping[CustomerKey, CustomerSnapshot]:
    """Read the snapshots of several customers."""
    keys = list(dict.fromkeys(key for query in queries for key in query.keys))
    return dict(zip(keys, load_snapshots(store, keys), strict=True))


def read_memberships(store: Store, queries: Sequence[ContextQuery]) -> Mapping[CustomerKey, Mapping[str, int]]:
    """Read the memberships of the customers whose tenants have segments."""
    keys = list(dict.fromkeys(key for query in queries if query.segments for key in query.keys))
    return dict(zip(keys, load_memberships(store, keys), strict=True)) if keys else {}


def build_contexts(
    queries: Sequence[ContextQuery],
    snapshots: Mapping[CustomerKey, CustomerSnapshot],
    memberships: Mapping[CustomerKey, Mapping[str, int]],
) -> list[CustomerContext]:
    """Build the contexts of several customers, in the order of the queries."""
    return [
        build_context(
            query.tenant,
            merge_snapshots([snapshots[key] for key in query.keys], query.tenant.settings),
            merge_memberships([memberships.get(key, {}) for key in query.keys]),
            query.segments,
            query.given,
            query.sources,
        )
        for query in queries
    ]


def load_contexts(store: Store, queries: Sequence[ContextQuery]) -> list[CustomerContext]:
    """Load the contexts of several customers, in the order of the queries.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    return build_contexts(queries, read_snapshots(store, queries), read_memberships(store, queries))


def complete_facts(
    store: Store,
    queries: Sequence[CustomerFactsQuery],
    rows: Iterable[StoredSummary],
    contexts: Sequence[CustomerContext],
) -> list[CustomerFactsResult]:
    """Read what is missing of the facts, in the order of the queries; the time zones determine what that is.

    Args:
        store: The database.
        queries: The facts to load.
        rows: Result of :func:`read_contact_summaries`.
        contexts: The contexts of the customers.
    """
    contacts_queries = [
        replace(query.contacts, customer_zone=context.time_zone)
        for query, context in zip(queries, contexts, strict=True)
    ]
    return [
        finish_facts(query, context, contacts)
        for query, context, contacts in zip(queries, contexts, read_facts(store, contacts_queries, rows), strict=True)
    ]


def finish_facts(query: CustomerFactsQuery, context: CustomerContext, contacts: FactsResult) -> CustomerFactsResult:
    """Put the facts of a customer together."""
    person_id = find_person_id(query.context.members, query.contacts.customer_id)
    return CustomerFactsResult(person_id=person_id, context=context, contacts=contacts)


def load_customer_facts(store: Store, queries: Sequence[CustomerFactsQuery]) -> list[CustomerFactsResult]:
    """Load the facts of several customers, in the order of the queries.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    rows = read_contact_summaries(store, queries)
    return complete_facts(store, queries, rows, load_contexts(store, [query.context for query in queries]))


def load_decision_facts(
    store: Store, tenant: Tenant, catalogue: Catalogue, customer_id: str, now_ms: int
) -> tuple[CustomerFacts, TenantFacts]:
    """Load all facts for a decision about a customer.

    Exposures that other decisions have reserved and that the tables do not show yet are not included.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    members = read_merges(store, tenant.tenant_id).members(customer_id)
    (loaded,) = load_customer_facts(store, [build_facts_query(tenant, catalogue, customer_id, members, now_ms)])
    totals = NO_TOTALS
    if needs_totals(catalogue):
        today = to_local_date(now_ms, tenant.time_zone)
        totals = index_totals(read_offer_totals(store, tenant.tenant_id, today), catalogue)
    return loaded.build(), make_tenant_facts(tenant, totals)

"""Explanations of which offers a customer may get, now or at a past decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.decision_traces.service import NOT_REPLAYABLE
from api.eligibility.answers import show_at_decision, show_offer, show_policy, show_rule, summarise
from api.eligibility.schemas import (
    Eligibility,
    EligibilitySummary,
    OfferEligibility,
    WhyNot,
)
from api.http.errors import ApiError
from api.http.times import iso
from api.recommend.request_resolution import resolve_body
from api.recommend.schemas import MAX_LIMIT, RecommendBody
from api.runtime.compute_threads import run_in_thread
from rapport.application.decisions.decide import DecisionTask
from rapport.application.decisions.explain import explain_offers
from rapport.domain.catalogue.values import Status
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.record import DecisionRecord, restore_customer, restore_tenant

if TYPE_CHECKING:
    from api.decision_traces.service import TraceService
    from api.http.times import Clock
    from api.recommend.decider import Decider
    from api.recommend.reservation_store import ReservationStore
    from api.runtime.catalogue_cache import CompiledCatalogues
    from api.runtime.identity_cache import IdentityCache
    from api.runtime.tenant_cache import TenantCache
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.explain import Explanation
    from rapport.domain.decisions.facts import CustomerFacts, TenantFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class EligibilityQuery:
    """Query for the eligibility of offers.

    Attributes:
        recommendation_id: A past decision, whose request, facts and catalogue are taken.
        channel: Channel of the hypothetical request, as Recommend takes it; placement and flow are of it, too.
    """

    customer_id: str
    recommendation_id: str | None = None
    channel: str | None = None
    placement: str | None = None
    decision_flow_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _DecisionContext:
    """Customer and task at some moment.

    Attributes:
        record: The requested past decision.
    """

    task: DecisionTask
    customer: CustomerFacts
    tenant: TenantFacts
    now_ms: int
    seed: int = 0
    open_circuits: frozenset[str] = frozenset()
    record: DecisionRecord | None = None

    @property
    def catalogue(self) -> Catalogue:
        """Catalogue of the decision."""
        return self.task.catalogue

    def explain(self, offers: Iterable[Offer]) -> Sequence[Explanation]:
        """Explain some offers of the catalogue."""
        return explain_offers(
            self.task,
            self.customer,
            self.tenant,
            offers,
            now_ms=self.now_ms,
            seed=self.seed,
            open_circuits=self.open_circuits,
        )


class EligibilityService:
    """Explanations of which offers a customer may get."""

    def __init__(
        self,
        catalogues: CompiledCatalogues,
        tenants: TenantCache,
        identities: IdentityCache,
        reservations: ReservationStore,
        decider: Decider,
        traces: TraceService,
        clock: Clock,
    ) -> None:
        self._catalogues = catalogues
        self._tenants = tenants
        self._identities = identities
        self._reservations = reservations
        self._decider = decider
        self._traces = traces
        self._clock = clock

    async def list_eligibility(self, tenant_id: str, query: EligibilityQuery) -> Eligibility:
        """Explain all active offers.

        Raises:
            ApiError: 404 for an unknown flow or decision, or one of another customer; 409 for a decision that cannot be
                explained.
        """
        context = await self._look(tenant_id, query)
        offers = await run_in_thread(tenant_id, _explain_all, context)
        eligible = sum(one.eligible for one in offers)
        return Eligibility(
            customer_id=query.customer_id,
            customer=context.customer.attributes,
            evaluated_at=iso(context.now_ms),
            recommendation_id=query.recommendation_id,
            summary=EligibilitySummary(
                total_offers=len(offers),
                eligible_count=eligible,
                ineligible_count=len(offers) - eligible,
                failed_qualification=sum(not one.qualification_passed for one in offers),
                blocked_by_contact_policy=sum(one.contact_policy_blocked for one in offers),
                blocked_by_schedule=sum(one.schedule_blocked for one in offers),
                no_creatives=sum(not one.has_creatives for one in offers),
            ),
            offers=offers,
        )

    async def explain_offer(self, tenant_id: str, query: EligibilityQuery, offer_id: str) -> WhyNot:
        """Explain whether a customer gets an offer.

        Raises:
            ApiError: 404 for an unknown offer, flow or decision, or a decision of another customer; 409 for a decision
                that cannot be explained.
        """
        context = await self._look(tenant_id, query)
        offer = context.catalogue.offers.get(offer_id)
        if offer is None:
            when = " at that decision" if query.recommendation_id else ""
            raise ApiError(404, f"There is no offer {offer_id!r}{when}.")
        (found,) = await run_in_thread(tenant_id, context.explain, [offer])
        return WhyNot(
            customer_id=query.customer_id,
            offer_id=offer.id,
            offer_name=offer.name,
            offer_status=offer.status.value,
            creative_count=found.creatives,
            evaluated_at=iso(context.now_ms),
            recommendation_id=query.recommendation_id,
            verdict="eligible" if found.is_eligible else "blocked",
            summary=summarise(found),
            objections=found.reasons,
            qualification=[show_rule(one) for one in found.rules],
            contact_policy=[show_policy(one) for one in found.policies],
            decision=show_at_decision(context.record, offer_id) if context.record else None,
        )

    async def _look(self, tenant_id: str, query: EligibilityQuery) -> _DecisionContext:
        if query.recommendation_id is not None:
            return await self._look_back(tenant_id, query.customer_id, query.recommendation_id)
        tenant = await self._tenants.get(tenant_id)
        catalogue = await self._catalogues.of(tenant_id)
        body = RecommendBody(
            channel=query.channel, placement=query.placement, decision_flow_key=query.decision_flow_key, limit=MAX_LIMIT
        )
        resolved = resolve_body(body, query.customer_id, catalogue)
        now_ms = self._clock()
        canonical_id = (await self._identities.of(tenant_id)).canonical(query.customer_id)
        reservations = await self._reservations.peek(CustomerKey(tenant_id, canonical_id))
        task = DecisionTask(
            tenant=tenant, catalogue=catalogue, flow=resolved.flow, request=resolved.request, problems=resolved.problems
        )
        facts = await self._decider.read_facts(task, now_ms, reservations)
        return _DecisionContext(task=task, customer=facts.customer, tenant=facts.tenant, now_ms=now_ms)

    async def _look_back(self, tenant_id: str, customer_id: str, recommendation_id: str) -> _DecisionContext:
        record = await self._traces.load_record(tenant_id, recommendation_id)
        if record.customer_id != customer_id:
            raise ApiError(404, f"Decision {recommendation_id!r} was not made for customer {customer_id!r}.")
        if record.customer is None:
            raise ApiError(409, "The facts of this decision were too large to be kept.", code=NOT_REPLAYABLE)
        task = await self._traces.restore_past_task(tenant_id, record)
        return _DecisionContext(
            task=task,
            customer=restore_customer(record.customer),
            tenant=restore_tenant(record.tenant),
            now_ms=record.decided_at_ms,
            seed=record.seed,
            open_circuits=frozenset(record.open_circuits),
            record=record,
        )


def _explain_all(context: _DecisionContext) -> list[OfferEligibility]:
    """Explain the active offers, the best first."""
    catalogue = context.catalogue
    active = [offer for offer in catalogue.offers.values() if offer.status is Status.ACTIVE]
    explained = sorted(
        context.explain(active),
        key=lambda explanation: (not explanation.is_eligible, -explanation.offer.priority, explanation.offer.id),
    )
    return [show_offer(explanation, rank, catalogue) for rank, explanation in enumerate(explained, 1)]

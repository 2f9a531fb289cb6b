"""Which offers a customer may get, now or at a past decision, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from api.decision_traces.traces import NOT_REPLAYABLE, load_record, question_of
from api.eligibility.schemas import (
    AtDecision,
    Eligibility,
    EligibilitySummary,
    OfferEligibility,
    PolicyResult,
    RuleResult,
    WhyNot,
)
from api.http.errors import ApiError
from api.http.times import iso
from api.recommend.requests import understand
from api.recommend.reservation_store import CustomerKey
from api.recommend.schemas import MAX_LIMIT, RecommendBody
from api.runtime.compute_threads import aside
from rapport.application.decisions.decide import DecisionTask
from rapport.domain.catalogue.values import Status
from rapport.domain.decisions.engine import FlowEvaluation, evaluate_flow
from rapport.domain.decisions.explain import Explanation, RuleExplanation, explain
from rapport.domain.decisions.record import DecisionRecord, restore_customer, restore_tenant

if TYPE_CHECKING:
    from api.services import Services
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import CustomerFacts, TenantFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whom and which request to explain.

    Attributes:
        recommendation_id: A past decision, whose request, facts and catalogue are taken.
        channel: Of the request that is imagined, as Recommend takes it; likewise the placement and the flow.
    """

    customer_id: str
    recommendation_id: str | None = None
    channel: str | None = None
    placement: str | None = None
    decision_flow_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """A customer at some moment, and what is asked then.

    Attributes:
        record: The past decision that was asked for.
    """

    question: DecisionTask
    customer: CustomerFacts
    tenant: TenantFacts
    now_ms: int
    seed: int = 0
    open_circuits: frozenset[str] = frozenset()
    record: DecisionRecord | None = None

    @property
    def catalogue(self) -> Catalogue:
        """By which is decided."""
        return self.question.catalogue

    def view(self) -> _View:
        """Ask the flow."""
        asked = self.catalogue, self.question.flow, self.question.request, self.customer, self.tenant
        evaluation = evaluate_flow(*asked, now_ms=self.now_ms, seed=self.seed, open_circuits=self.open_circuits)
        return _View(self.catalogue, evaluation, self.question.problems)


@dataclass(frozen=True, slots=True)
class _View:
    """What the flow says of a customer at some moment.

    Attributes:
        evaluation: What the flow says.
        problems: What the request names and what does not exist.
    """

    catalogue: Catalogue
    evaluation: FlowEvaluation
    problems: Sequence[str] = ()

    def explain(self, offer: Offer) -> Explanation:
        """Ask everything about an offer; a request that cannot be understood is shown nothing."""
        found = explain(self.catalogue, offer, self.evaluation)
        if not self.problems:
            return found
        return replace(found, others=[*self.problems, *found.others], is_eligible=False)


async def list_eligibility(services: Services, tenant_id: str, about: About) -> Eligibility:
    """What is to be said of all active offers.

    Raises:
        ApiError: 404 for an unknown flow or decision, or one of another customer; 409 for a decision that cannot be
            explained.
    """
    moment = await _look(services, tenant_id, about)
    offers = await aside(tenant_id, _explain_all, moment)
    eligible = sum(one.eligible for one in offers)
    return Eligibility(
        customer_id=about.customer_id,
        customer=moment.customer.attributes,
        evaluated_at=iso(moment.now_ms),
        recommendation_id=about.recommendation_id,
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


def _explain_all(moment: _Moment) -> list[OfferEligibility]:
    """What is to be said of the active offers, the best first."""
    view = moment.view()
    active = [one for one in view.catalogue.offers.values() if one.status is Status.ACTIVE]
    explained = [view.explain(one) for one in active]
    explained.sort(key=lambda one: (not one.is_eligible, -one.offer.priority, one.offer.id))
    return [_offer(one, rank, view.catalogue) for rank, one in enumerate(explained, 1)]


async def explain_offer(services: Services, tenant_id: str, about: About, offer_id: str) -> WhyNot:
    """Why a customer gets an offer, or does not.

    Raises:
        ApiError: 404 for an unknown offer, flow or decision, or a decision of another customer; 409 for a decision that
            cannot be explained.
    """
    moment = await _look(services, tenant_id, about)
    offer = moment.catalogue.offers.get(offer_id)
    if offer is None:
        when = " at that decision" if about.recommendation_id else ""
        raise ApiError(404, f"There is no offer {offer_id!r}{when}.")
    found = await aside(tenant_id, lambda: moment.view().explain(offer))
    return WhyNot(
        customer_id=about.customer_id,
        offer_id=offer.id,
        offer_name=offer.name,
        offer_status=offer.status.value,
        creative_count=found.creatives,
        evaluated_at=iso(moment.now_ms),
        recommendation_id=about.recommendation_id,
        verdict="eligible" if found.is_eligible else "blocked",
        summary=_summarise(found),
        objections=found.reasons,
        qualification=[_rule(one) for one in found.rules],
        contact_policy=[_policy(one) for one in found.policies],
        decision=_at_decision(moment.record, offer_id) if moment.record else None,
    )


async def _look(services: Services, tenant_id: str, about: About) -> _Moment:
    if about.recommendation_id is not None:
        return await _look_back(services, tenant_id, about.customer_id, about.recommendation_id)
    tenant = await services.tenants.get(tenant_id)
    catalogue = await services.catalogues.of(tenant_id)
    body = RecommendBody(
        channel=about.channel, placement=about.placement, decision_flow_key=about.decision_flow_key, limit=MAX_LIMIT
    )
    asked = understand(body, about.customer_id, catalogue)
    now_ms = services.clock()
    canonical_id = (await services.identities.of(tenant_id)).canonical(about.customer_id)
    holds = await services.reservations.peek(CustomerKey(tenant_id, canonical_id))
    question = DecisionTask(
        tenant=tenant, catalogue=catalogue, flow=asked.flow, request=asked.request, problems=asked.problems
    )
    facts = await services.decider.read_facts(question, now_ms, holds)
    return _Moment(question=question, customer=facts.customer, tenant=facts.tenant, now_ms=now_ms)


async def _look_back(services: Services, tenant_id: str, customer_id: str, recommendation_id: str) -> _Moment:
    record = await load_record(services, tenant_id, recommendation_id)
    if record.customer_id != customer_id:
        raise ApiError(404, f"Decision {recommendation_id!r} was not made for customer {customer_id!r}.")
    if record.customer is None:
        raise ApiError(409, "The facts of this decision were too large to be kept.", code=NOT_REPLAYABLE)
    question = await question_of(services, tenant_id, record)
    return _Moment(
        question=question,
        customer=restore_customer(record.customer),
        tenant=restore_tenant(record.tenant),
        now_ms=record.decided_at_ms,
        seed=record.seed,
        open_circuits=frozenset(record.open_circuits),
        record=record,
    )


def _at_decision(record: DecisionRecord, offer_id: str) -> AtDecision:
    decision = record.decision
    item = next((one for one in decision.items if one.offer_id == offer_id), None)
    scores = [one.score for one in decision.trace.scores if one.offer_id == offer_id]
    return AtDecision(
        shown=item is not None,
        rank=item.rank if item else None,
        score=max(scores, default=None),
        removals=[one for one in decision.trace.removals if one.offer_id == offer_id],
    )


def _summarise(found: Explanation) -> str:
    if not found.is_eligible:
        first, *others = found.reasons or ["the flow does not show it"]
        return f"{found.offer.name} is blocked: {first}" + (f" (and {len(others)} more)" if others else "")
    past = f"; policy {found.overridden_by} lets it past the others" if found.overridden_by else ""
    shown = "" if found.creatives else "; it has no active creative"
    return f"{found.offer.name} passes all rules and policies{past}{shown}."


def _offer(found: Explanation, rank: int, catalogue: Catalogue) -> OfferEligibility:
    offer, objections = found.offer, found.reasons
    category = catalogue.categories.get(offer.category_id or "")
    sub_category = catalogue.sub_categories.get(offer.sub_category_id or "")
    rules, policies = [_rule(one) for one in found.rules], [_policy(one) for one in found.policies]
    failed = [result for result, one in zip(rules, found.rules, strict=True) if one.removes]
    return OfferEligibility(
        offer_id=offer.id,
        offer_name=offer.name,
        category=category.name if category else None,
        sub_category=sub_category.name if sub_category else None,
        priority=offer.priority,
        eligible=found.is_eligible,
        primary_reason=f"Failed: {objections[0]}" if objections else "All rules passed",
        score=offer.priority / 100,
        rank=rank if found.is_eligible else None,
        schedule_blocked=bool(found.off_schedule),
        schedule_reason=found.off_schedule or None,
        qualification_passed=not failed,
        failed_rules=failed,
        passed_rules=[one for one in rules if one.status == "passed"],
        all_rule_results=rules,
        contact_policy_blocked=any(one.removes for one in found.policies),
        blocked_policies=[one for one in policies if one.blocked],
        all_policy_results=policies,
        has_creatives=bool(found.creatives),
        creative_count=found.creatives,
    )


def _rule(one: RuleExplanation) -> RuleResult:
    return RuleResult(
        rule_id=one.id,
        rule_name=one.name,
        rule_type=one.kind,
        scope=one.scope,
        status=one.status,
        eligible=not one.removes,
        is_soft=one.is_soft,
        reason=one.reason,
        detail=one.detail or {},
    )


def _policy(one: RuleExplanation) -> PolicyResult:
    return PolicyResult(
        policy_id=one.id,
        policy_name=one.name,
        rule_type=one.kind,
        scope=one.scope,
        status=one.status,
        blocked=one.removes,
        reason=one.reason,
        detail=one.detail or {},
    )

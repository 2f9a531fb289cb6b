"""Explanations of offers as answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.eligibility.schemas import AtDecision, OfferEligibility, PolicyResult, RuleResult

if TYPE_CHECKING:
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.explain import Explanation, RuleExplanation
    from rapport.domain.decisions.record import DecisionRecord


def show_at_decision(record: DecisionRecord, offer_id: str) -> AtDecision:
    """Write the part that an offer had in a decision."""
    decision = record.decision
    item = next((one for one in decision.items if one.offer_id == offer_id), None)
    scores = [one.score for one in decision.trace.scores if one.offer_id == offer_id]
    return AtDecision(
        shown=item is not None,
        rank=item.rank if item else None,
        score=max(scores, default=None),
        removals=[one for one in decision.trace.removals if one.offer_id == offer_id],
    )


def summarise(found: Explanation) -> str:
    """Write in one sentence whether an offer is blocked, and by what first."""
    if not found.is_eligible:
        first, *others = found.reasons or ["the flow does not show it"]
        return f"{found.offer.name} is blocked: {first}" + (f" (and {len(others)} more)" if others else "")
    past = f"; policy {found.overridden_by} lets it past the others" if found.overridden_by else ""
    shown = "" if found.creatives else "; it has no active creative"
    return f"{found.offer.name} passes all rules and policies{past}{shown}."


def show_offer(found: Explanation, rank: int, catalogue: Catalogue) -> OfferEligibility:
    """Write the explanation of an offer as an answer."""
    offer, objections = found.offer, found.reasons
    category = catalogue.categories.get(offer.category_id or "")
    sub_category = catalogue.sub_categories.get(offer.sub_category_id or "")
    rules, policies = [show_rule(one) for one in found.rules], [show_policy(one) for one in found.policies]
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


def show_rule(one: RuleExplanation) -> RuleResult:
    """Write the verdict of a qualification rule."""
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


def show_policy(one: RuleExplanation) -> PolicyResult:
    """Write the verdict of a contact policy."""
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

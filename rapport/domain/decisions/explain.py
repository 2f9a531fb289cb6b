"""Why a customer gets an offer or does not: every rule and every policy is asked, not only until one objects.

A decision stops at the first objection; what it would have heard after it is told here. An offer is eligible if the
flow may show it with one of its creatives; what is said of a rule or a policy is said of the creative that comes
furthest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from rapport.domain.catalogue.schedule import is_mandatory_now, off_schedule
from rapport.domain.catalogue.strategy import RuleStage
from rapport.domain.catalogue.values import Status
from rapport.domain.decisions.candidates import Candidate
from rapport.domain.decisions.eligibility.scopes import describe_scope
from rapport.domain.decisions.flow.eligibility_nodes import OFFER_LIMITS, check_consent, check_offer_limits
from rapport.domain.decisions.verdict import Verdict

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.decisions.candidates import Context
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.eligibility.policies import Policy
    from rapport.domain.decisions.eligibility.rules import Rule
    from rapport.domain.decisions.engine import FlowEvaluation

RuleStatus = Literal["passed", "blocked", "skipped"]
"""skipped: it does not apply, because its scope does not cover the offer or because something exempts the offer."""
CONSENT: Final = "consent"
_EXPLAINED_STAGES: Final = ("qualify", "contact_policy", "creative")
"""Stages of which rulings tell more; that another creative was chosen is nothing against the offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleExplanation:
    """What one rule or policy says about an offer.

    Attributes:
        kind: Its type, such as ``frequency_cap``; ``offer_limits`` and ``consent`` are no policies but act like ones.
        is_soft: Whether it makes the score smaller instead of removing the offer.
        detail: The numbers behind the reason.
    """

    id: str
    name: str
    kind: str
    scope: str
    standing: RuleStatus
    reason: str = ""
    is_soft: bool = False
    detail: Mapping[str, Any] | None = None

    @property
    def removes(self) -> bool:
        """Whether it keeps the offer from the customer."""
        return self.standing == "blocked" and not self.is_soft


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An offer for a customer.

    Attributes:
        off_schedule: Why it is not to be shown at this time; empty if it may be.
        creatives: How many active creatives it has.
        rules: All qualification rules, highest priority first.
        policies: Consent, the offer's own limits, suppressions, then all contact policies, highest priority first.
        others: What the flow says against it beyond rules and policies: its inventory, filters, floors, what its
            content lacks.
        is_eligible: Whether the flow may show it.
        overridden_by: The policy that lets it past all others.
    """

    offer: Offer
    off_schedule: str
    creatives: int
    rules: Sequence[RuleExplanation]
    policies: Sequence[RuleExplanation]
    others: Sequence[str]
    is_eligible: bool
    overridden_by: str = ""

    @property
    def objections(self) -> Sequence[str]:
        """Why the customer does not get it; none if it is eligible."""
        rulings = (*self.rules, *self.policies)
        return [*self.others, *(f"{one.name}: {one.reason}" for one in rulings if one.removes)]


def explain(catalogue: Catalogue, offer: Offer, inquiry: FlowEvaluation) -> Explanation:
    """Ask everything about one offer.

    Args:
        catalogue: Whose rules and policies.
        offer: Of the catalogue.
        inquiry: What the flow says; rules and policies that it does not ask are skipped.
    """
    creatives = catalogue.creatives.get(offer.id, ())
    found = inquiry.candidates.get(offer.id, ())
    others = [Candidate(offer, one, catalogue.channels.get(one.channel_id)) for one in creatives] or [Candidate(offer)]
    explained = [_explain_candidate(catalogue, one, inquiry) for one in found or others]
    return min(explained, key=lambda one: (not one.is_eligible, len(one.objections)))


def _explain_candidate(catalogue: Catalogue, candidate: Candidate, inquiry: FlowEvaluation) -> Explanation:
    applied, context = inquiry.applied, inquiry.context
    override = next(
        (
            one
            for one in catalogue.policies
            if one.overrides and ("contact_policy", one.entity.id) in applied and _is_blocked(one, candidate, context)
        ),
        None,
    )
    policies = [_explain_consent(candidate, context, catalogue), _explain_offer_limits(candidate, context)]
    policies += [
        RuleExplanation(
            id=entity.id,
            name=entity.name,
            kind=entity.rule_type,
            scope="global",
            standing="blocked",
            reason=f"the policy cannot be evaluated: {fault}",
        )
        for entity, fault in catalogue.broken
    ]
    policies += [
        _explain_policy(one, candidate, context, None if one.binds_mandatory else override)
        for one in catalogue.suppressions
    ]
    policies += [_explain_policy(one, candidate, context, override) for one in catalogue.policies]
    always = {CONSENT, *(one.entity.id for one in catalogue.suppressions if one.binds_mandatory)}
    return Explanation(
        offer=candidate.offer,
        off_schedule=off_schedule(candidate.offer, context.now_ms),
        creatives=len(catalogue.creatives.get(candidate.offer.id, ())),
        rules=[_mark_skipped(_explain_rule(one, candidate, context), "qualify", inquiry) for one in catalogue.rules],
        policies=[one if one.id in always else _mark_skipped(one, "contact_policy", inquiry) for one in policies],
        others=list(dict.fromkeys(_list_other_reasons(candidate, inquiry))),
        is_eligible=id(candidate) in inquiry.passing,
        overridden_by=override.entity.id if override else "",
    )


def _mark_skipped(ruling: RuleExplanation, stage: str, inquiry: FlowEvaluation) -> RuleExplanation:
    """A ruling as it counts: what the flow does not ask says nothing."""
    if (stage, ruling.id) in inquiry.applied:
        return ruling
    return replace(ruling, standing="skipped", reason=f"flow {inquiry.flow.key} does not apply it", detail=None)


def _list_other_reasons(candidate: Candidate, inquiry: FlowEvaluation) -> Iterator[str]:
    offer = candidate.offer
    if offer.id not in inquiry.candidates:
        is_active = offer.status is Status.ACTIVE
        yield (
            f"the inventory of flow {inquiry.flow.key} does not have it"
            if is_active
            else f"the offer is {offer.status}"
        )
    for one in inquiry.removals:
        if one.offer_id != offer.id or one.stage in _EXPLAINED_STAGES:
            continue
        if one.creative_id in ("", candidate.subject.creative_id):
            yield one.reason if one.stage == "inventory" else f"{one.stage}: {one.reason}"


def _is_blocked(policy: Policy, candidate: Candidate, context: Context) -> bool:
    verdict = policy.judge(candidate, context)
    return verdict is not None and verdict.is_blocked


def _explain_rule(rule: Rule, candidate: Candidate, context: Context) -> RuleExplanation:
    entity, verdict = rule.entity, rule.judge(candidate, context)
    is_soft = entity.stage is RuleStage.MATCH
    reason = _describe_verdict(verdict)
    if is_soft and verdict is not None and verdict.is_blocked:
        reason = f"{reason} (its score is multiplied with {entity.multiplier:g})"
    return RuleExplanation(
        id=entity.id,
        name=entity.name,
        kind=entity.rule_type,
        scope=", ".join(describe_scope(scope) for scope in rule.scopes),
        standing=_find_status(verdict),
        reason=reason,
        is_soft=is_soft,
        detail=verdict.detail if verdict else None,
    )


def _explain_policy(policy: Policy, candidate: Candidate, context: Context, override: Policy | None) -> RuleExplanation:
    entity, verdict = policy.entity, policy.judge(candidate, context)
    standing, reason = _find_status(verdict), _describe_verdict(verdict)
    if policy.overrides:
        standing, reason = ("passed", reason) if standing == "blocked" else ("skipped", "its conditions do not hold")
    elif standing == "blocked" and override is not None:
        standing, reason = "skipped", f"{override.entity.name} lets the offer past it; else: {reason}"
    elif standing == "blocked" and is_mandatory_now(candidate.offer, context.now_ms) and not policy.binds_mandatory:
        standing, reason = "skipped", f"the offer is mandatory; else: {reason}"
    return RuleExplanation(
        id=entity.id,
        name=entity.name,
        kind=entity.rule_type,
        scope=", ".join(describe_scope(scope) for scope in policy.scopes),
        standing=standing,
        reason=reason,
        detail=verdict.detail if verdict else None,
    )


def _explain_consent(candidate: Candidate, context: Context, catalogue: Catalogue) -> RuleExplanation:
    verdict = check_consent(candidate, context, catalogue.channels) or Verdict(is_blocked=False)
    return RuleExplanation(
        id=CONSENT,
        name="Consent",
        kind=CONSENT,
        scope="global",
        standing=_find_status(verdict),
        reason=verdict.reason,
        detail=verdict.detail,
    )


def _explain_offer_limits(candidate: Candidate, context: Context) -> RuleExplanation:
    verdict = check_offer_limits(candidate, context) or Verdict(is_blocked=False)
    return RuleExplanation(
        id=OFFER_LIMITS,
        name="The offer's own caps and budget",
        kind=OFFER_LIMITS,
        scope=f"offer {candidate.offer.id}",
        standing=_find_status(verdict),
        reason=verdict.reason,
        detail=verdict.detail,
    )


def _find_status(verdict: Verdict | None) -> RuleStatus:
    if verdict is None:
        return "skipped"
    return "blocked" if verdict.is_blocked else "passed"


def _describe_verdict(verdict: Verdict | None) -> str:
    return "its scope does not cover the offer" if verdict is None else verdict.reason

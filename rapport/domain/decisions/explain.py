"""Explanation of an offer's eligibility: the verdicts of all rules and policies for one customer.

A decision stops at the first rule that blocks a candidate; here all rules are evaluated. An offer is eligible if the
flow can show it with at least one of its creatives; verdicts are those for the creative with the fewest blocking rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from rapport.domain.catalogue.schedule import explain_off_schedule, is_mandatory_now
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
"""Status of a rule for an offer. skipped: its scope does not cover the offer, or the offer is exempt from it."""
CONSENT: Final = "consent"
_EXPLAINED_STAGES: Final = ("qualify", "contact_policy", "creative")
"""Stages whose removals are not listed as other reasons: rules and policies are explained in more detail, and the
choice of another creative does not concern the offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleExplanation:
    """Explanation of one rule or policy for an offer.

    Attributes:
        kind: Type of the rule, such as ``frequency_cap``; ``offer_limits`` and ``consent`` are treated like policies.
        is_soft: Whether it lowers the score instead of removing the offer.
        detail: Values that the verdict rests on.
    """

    id: str
    name: str
    kind: str
    scope: str
    status: RuleStatus
    reason: str = ""
    is_soft: bool = False
    detail: Mapping[str, Any] | None = None

    @property
    def removes(self) -> bool:
        """Whether the rule keeps the offer from the customer."""
        return self.status == "blocked" and not self.is_soft


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Explanation of an offer for a customer.

    Attributes:
        off_schedule: Reason why the offer is not on schedule; empty if it is.
        creatives: Number of active creatives.
        rules: All qualification rules, highest priority first.
        policies: Consent, the offer's own limits, suppressions, then all contact policies, highest priority first.
        others: Reasons besides rules and policies: inventory, filters, floors, missing values in the content.
        is_eligible: Whether the flow can show the offer.
        overridden_by: Id of the policy that exempts the offer from all others; empty if there is none.
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
    def reasons(self) -> Sequence[str]:
        """Reasons why the customer does not get the offer; empty if it is eligible."""
        rules = (*self.rules, *self.policies)
        return [*self.others, *(f"{rule.name}: {rule.reason}" for rule in rules if rule.removes)]


def explain(catalogue: Catalogue, offer: Offer, evaluation: FlowEvaluation) -> Explanation:
    """Explain the eligibility of one offer; rules and policies that the flow does not apply are marked as skipped."""
    creatives = catalogue.creatives.get(offer.id, ())
    candidates = (
        evaluation.candidates.get(offer.id)
        or [Candidate(offer, creative, catalogue.channels.get(creative.channel_id)) for creative in creatives]
        or [Candidate(offer)]
    )
    explanations = [_explain_candidate(catalogue, candidate, evaluation) for candidate in candidates]
    return min(explanations, key=lambda explanation: (not explanation.is_eligible, len(explanation.reasons)))


def _explain_candidate(catalogue: Catalogue, candidate: Candidate, evaluation: FlowEvaluation) -> Explanation:
    applied, context = evaluation.applied_rules, evaluation.context
    override = next(
        (
            policy
            for policy in catalogue.policies
            if policy.overrides
            and ("contact_policy", policy.entity.id) in applied
            and _is_blocked(policy, candidate, context)
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
            status="blocked",
            reason=f"the policy cannot be evaluated: {fault}",
        )
        for entity, fault in catalogue.broken_policies
    ]
    policies += [
        _explain_policy(policy, candidate, context, None if policy.applies_to_mandatory else override)
        for policy in catalogue.suppressions
    ]
    policies += [_explain_policy(policy, candidate, context, override) for policy in catalogue.policies]
    always = {CONSENT, *(policy.entity.id for policy in catalogue.suppressions if policy.applies_to_mandatory)}
    return Explanation(
        offer=candidate.offer,
        off_schedule=explain_off_schedule(candidate.offer, context.now_ms),
        creatives=len(catalogue.creatives.get(candidate.offer.id, ())),
        rules=[
            _mark_skipped(_explain_rule(rule, candidate, context), "qualify", evaluation) for rule in catalogue.rules
        ],
        policies=[
            policy if policy.id in always else _mark_skipped(policy, "contact_policy", evaluation)
            for policy in policies
        ],
        others=list(dict.fromkeys(_list_other_reasons(candidate, evaluation))),
        is_eligible=id(candidate) in evaluation.passing,
        overridden_by=override.entity.id if override else "",
    )


def _mark_skipped(rule: RuleExplanation, stage: str, evaluation: FlowEvaluation) -> RuleExplanation:
    """Mark a rule as skipped if the flow does not apply it."""
    if (stage, rule.id) in evaluation.applied_rules:
        return rule
    return replace(rule, status="skipped", reason=f"flow {evaluation.flow.key} does not apply it", detail=None)


def _list_other_reasons(candidate: Candidate, evaluation: FlowEvaluation) -> Iterator[str]:
    offer = candidate.offer
    if offer.id not in evaluation.candidates:
        is_active = offer.status is Status.ACTIVE
        yield (
            f"the inventory of flow {evaluation.flow.key} does not have it"
            if is_active
            else f"the offer is {offer.status}"
        )
    for removal in evaluation.removals:
        if removal.offer_id != offer.id or removal.stage in _EXPLAINED_STAGES:
            continue
        if removal.creative_id in ("", candidate.subject.creative_id):
            yield removal.reason if removal.stage == "inventory" else f"{removal.stage}: {removal.reason}"


def _is_blocked(policy: Policy, candidate: Candidate, context: Context) -> bool:
    verdict = policy.evaluate(candidate, context)
    return verdict is not None and verdict.is_blocked


def _explain_rule(rule: Rule, candidate: Candidate, context: Context) -> RuleExplanation:
    entity, verdict = rule.entity, rule.evaluate(candidate, context)
    is_soft = entity.stage is RuleStage.MATCH
    reason = _describe_verdict(verdict)
    if is_soft and verdict is not None and verdict.is_blocked:
        reason = f"{reason} (its score is multiplied with {entity.multiplier:g})"
    return RuleExplanation(
        id=entity.id,
        name=entity.name,
        kind=entity.rule_type,
        scope=", ".join(describe_scope(scope) for scope in rule.scopes),
        status=_find_status(verdict),
        reason=reason,
        is_soft=is_soft,
        detail=verdict.detail if verdict else None,
    )


def _explain_policy(policy: Policy, candidate: Candidate, context: Context, override: Policy | None) -> RuleExplanation:
    entity, verdict = policy.entity, policy.evaluate(candidate, context)
    status, reason = _find_status(verdict), _describe_verdict(verdict)
    if policy.overrides:
        status, reason = ("passed", reason) if status == "blocked" else ("skipped", "its conditions do not hold")
    elif status == "blocked" and override is not None:
        status, reason = "skipped", f"{override.entity.name} lets the offer past it; else: {reason}"
    elif status == "blocked" and is_mandatory_now(candidate.offer, context.now_ms) and not policy.applies_to_mandatory:
        status, reason = "skipped", f"the offer is mandatory; else: {reason}"
    return RuleExplanation(
        id=entity.id,
        name=entity.name,
        kind=entity.rule_type,
        scope=", ".join(describe_scope(scope) for scope in policy.scopes),
        status=status,
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
        status=_find_status(verdict),
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
        status=_find_status(verdict),
        reason=verdict.reason,
        detail=verdict.detail,
    )


def _find_status(verdict: Verdict | None) -> RuleStatus:
    if verdict is None:
        return "skipped"
    return "blocked" if verdict.is_blocked else "passed"


def _describe_verdict(verdict: Verdict | None) -> str:
    return "its scope does not cover the offer" if verdict is None else verdict.reason

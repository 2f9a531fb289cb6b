"""Explanation of an offer's eligibility: the verdicts of all rules and policies for one customer.

A decision stops at the first rule that blocks a candidate; the run that is explained here has evaluated all. An offer
is eligible if the flow can show it with at least one of its creatives; verdicts are those for the creative with the
fewest reasons against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from rapport.domain.catalogue.schedule import explain_off_schedule
from rapport.domain.catalogue.strategy import QualificationRule, RuleStage
from rapport.domain.catalogue.values import Scope
from rapport.domain.decisions.eligibility.evaluation import CONSENT, OFFER_LIMITS
from rapport.domain.decisions.eligibility.scopes import describe_scope
from rapport.domain.decisions.verdict_log import VerdictKey

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.catalogue.strategy import ContactPolicy
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.engine import CandidateEvaluation, FlowEvaluation
    from rapport.domain.decisions.verdict import RuleVerdict

RuleStatus = Literal["passed", "blocked", "skipped"]
"""Status of a rule for an offer. skipped: its scope does not cover the offer, or the offer is exempt from it."""
_LIMITS_NAME: Final = "The offer's own caps and budget"


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
        reasons: Reasons why the customer does not get the offer, in the order of the flow; empty if it is eligible. The
            first is the one for which a decision removes the offer.
        is_eligible: Whether the flow can show the offer.
        overridden_by: Id of the policy that exempts the offer from all others; empty if there is none.
    """

    offer: Offer
    off_schedule: str
    creatives: int
    rules: Sequence[RuleExplanation]
    policies: Sequence[RuleExplanation]
    reasons: Sequence[str]
    is_eligible: bool
    overridden_by: str = ""


def explain(catalogue: Catalogue, offer: Offer, evaluation: FlowEvaluation) -> Explanation:
    """Explain the eligibility of one of the evaluated offers.

    Rules and policies that the flow does not apply are marked as skipped.
    """
    explainers = [_Explainer(catalogue, evaluated, evaluation) for evaluated in evaluation.candidates[offer.id]]
    explanations = [explainer.explain() for explainer in explainers]
    return min(explanations, key=lambda explanation: (not explanation.is_eligible, len(explanation.reasons)))


@dataclass(frozen=True, slots=True)
class _Explainer:
    """Explainer of one candidate."""

    catalogue: Catalogue
    evaluated: CandidateEvaluation
    evaluation: FlowEvaluation

    def explain(self) -> Explanation:
        catalogue, offer = self.catalogue, self.evaluated.candidate.offer
        overrides = (verdict.by for verdict in self.evaluated.verdicts.values() if verdict.effect == "exempts")
        return Explanation(
            offer=offer,
            off_schedule=explain_off_schedule(offer, self.evaluation.now_ms),
            creatives=len(catalogue.creatives.get(offer.id, ())),
            rules=[self._explain_rule("qualify", rule.entity, rule.scopes) for rule in catalogue.rules],
            policies=[
                self._explain_consent(),
                self._explain_offer_limits(),
                *(self._explain_rule("contact_policy", entity, (Scope(),)) for entity, _ in catalogue.broken_policies),
                *(
                    self._explain_rule("contact_policy", policy.entity, policy.scopes)
                    for policy in (*catalogue.suppressions, *catalogue.policies)
                ),
            ],
            reasons=list(dict.fromkeys(self._list_reasons())),
            is_eligible=self.evaluated.is_passing,
            overridden_by=next(overrides, ""),
        )

    def _list_reasons(self) -> Iterator[str]:
        for key, verdict in self.evaluated.verdicts.items():
            if verdict.effect != "removes":
                continue
            if key.stage == "inventory":
                yield verdict.verdict.reason
            else:
                name = _LIMITS_NAME if key.kind == OFFER_LIMITS else verdict.name
                yield f"{name if key.kind else key.stage}: {verdict.verdict.reason}"

    def _explain_rule(
        self, stage: str, entity: QualificationRule | ContactPolicy, scopes: Sequence[Scope]
    ) -> RuleExplanation:
        verdict = self.evaluated.verdicts.get(VerdictKey(stage, entity.rule_type, entity.id))
        is_soft = isinstance(entity, QualificationRule) and entity.stage is RuleStage.MATCH
        status, reason = self._find_status(stage, entity.id, verdict)
        if status == "blocked" and isinstance(entity, QualificationRule) and is_soft:
            reason = f"{reason} (its score is multiplied with {entity.multiplier:g})"
        elif entity.rule_type == "allow_override" and verdict is None and status == "passed":
            status, reason = "skipped", "its conditions do not hold"
        return RuleExplanation(
            id=entity.id,
            name=entity.name,
            kind=entity.rule_type,
            scope=", ".join(describe_scope(scope) for scope in scopes),
            status=status,
            reason=reason,
            is_soft=is_soft,
            detail=verdict.verdict.detail if verdict else None,
        )

    def _explain_consent(self) -> RuleExplanation:
        verdict = self.evaluated.verdicts.get(VerdictKey("contact_policy", CONSENT, CONSENT))
        return RuleExplanation(
            id=CONSENT,
            name="Consent",
            kind=CONSENT,
            scope="global",
            status="blocked" if verdict else "passed",
            reason=verdict.verdict.reason if verdict else "",
            detail=verdict.verdict.detail if verdict else None,
        )

    def _explain_offer_limits(self) -> RuleExplanation:
        offer_id = self.evaluated.candidate.offer.id
        verdict = self.evaluated.verdicts.get(VerdictKey("contact_policy", OFFER_LIMITS, offer_id))
        status, reason = self._find_status("contact_policy", OFFER_LIMITS, verdict)
        return RuleExplanation(
            id=OFFER_LIMITS,
            name=_LIMITS_NAME,
            kind=OFFER_LIMITS,
            scope=f"offer {offer_id}",
            status=status,
            reason=reason,
            detail=verdict.verdict.detail if verdict else None,
        )

    def _find_status(self, stage: str, rule_id: str, verdict: RuleVerdict | None) -> tuple[RuleStatus, str]:
        """Return the status of a rule, and its reason."""
        covers = self.evaluated.coverage.get((stage, rule_id))
        if covers is None:
            return "skipped", f"flow {self.evaluation.flow.key} does not apply it"
        if verdict is None:
            return ("passed", "") if covers else ("skipped", "its scope does not cover the offer")
        reason = verdict.verdict.reason
        if verdict.effect == "none":
            return "skipped", f"{verdict.exemption}; else: {reason}"
        return ("passed" if verdict.effect == "exempts" else "blocked"), reason

"""Why a customer gets an offer or does not: every rule and every policy is asked, not only until one objects.

A decision stops at the first objection; what it would have heard after it is told here. An offer is eligible if at
least one of its creatives is, and what is said of a rule or a policy is said of the creative that comes furthest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from rapport.domain.catalogue.strategy import RuleStage
from rapport.domain.catalogue.values import Status
from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.gates import missing_consent, own_limits
from rapport.domain.decisions.narrowing import is_mandatory_now, off_schedule
from rapport.domain.decisions.scopes import describe
from rapport.domain.decisions.verdicts import Verdict

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.decisions.compiling import Catalogue
    from rapport.domain.decisions.policies import Policy
    from rapport.domain.decisions.rules import Rule

Standing = Literal["passed", "blocked", "skipped"]
"""skipped: it does not apply, because its scope does not cover the offer or because something exempts the offer."""
OWN_LIMITS: Final = "offer_limits"
CONSENT: Final = "consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
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
    standing: Standing
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
        status: Of the offer.
        off_schedule: Why it is not to be shown at this time; empty if it may be.
        creatives: How many active creatives it has.
        rules: All qualification rules, highest priority first.
        policies: Consent, the offer's own limits, suppressions, then all contact policies, highest priority first.
        overridden_by: The policy that lets it past all others.
    """

    offer: Offer
    off_schedule: str
    creatives: int
    rules: Sequence[Ruling]
    policies: Sequence[Ruling]
    overridden_by: str = ""

    @property
    def objections(self) -> Sequence[str]:
        """Why the customer does not get it; none if it is eligible."""
        found = [] if self.offer.status is Status.ACTIVE else [f"the offer is {self.offer.status}"]
        found += [self.off_schedule] if self.off_schedule else []
        rulings = (*self.rules, *self.policies)
        return [*found, *(f"{one.name}: {one.reason}" for one in rulings if one.removes)]

    @property
    def is_eligible(self) -> bool:
        """Whether a flow that applies all rules and policies may show it."""
        return not self.objections


def explain(catalogue: Catalogue, context: Context, offer: Offer) -> Explanation:
    """Ask everything about one offer.

    Args:
        catalogue: Whose rules and policies.
        context: What is known of the customer, now or then.
        offer: Of the catalogue.
    """
    creatives = catalogue.creatives.get(offer.id, ())
    candidates = [Candidate(offer, one, catalogue.channels.get(one.channel_id)) for one in creatives]
    explained = [_explain(catalogue, context, one, len(creatives)) for one in candidates or [Candidate(offer)]]
    return min(explained, key=lambda one: len(one.objections))


def _explain(catalogue: Catalogue, context: Context, candidate: Candidate, creatives: int) -> Explanation:
    override = next((one for one in catalogue.policies if one.overrides and _is_blocked(one, candidate, context)), None)
    policies = [_consent(candidate, context), _own(candidate, context)]
    policies += [
        Ruling(
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
        _policy(one, candidate, context, None if one.binds_mandatory else override) for one in catalogue.suppressions
    ]
    policies += [_policy(one, candidate, context, override) for one in catalogue.policies]
    return Explanation(
        offer=candidate.offer,
        off_schedule=off_schedule(candidate.offer, context.now_ms),
        creatives=creatives,
        rules=[_rule(one, candidate, context) for one in catalogue.rules],
        policies=policies,
        overridden_by=override.entity.id if override else "",
    )


def _is_blocked(policy: Policy, candidate: Candidate, context: Context) -> bool:
    verdict = policy.judge(candidate, context)
    return verdict is not None and verdict.is_blocked


def _rule(rule: Rule, candidate: Candidate, context: Context) -> Ruling:
    entity, verdict = rule.entity, rule.judge(candidate, context)
    is_soft = entity.stage is RuleStage.MATCH
    reason = _reason(verdict)
    if is_soft and verdict is not None and verdict.is_blocked:
        reason = f"{reason} (its score is multiplied with {entity.multiplier:g})"
    return Ruling(
        id=entity.id,
        name=entity.name,
        kind=entity.rule_type,
        scope=", ".join(describe(scope) for scope in rule.scopes),
        standing=_standing(verdict),
        reason=reason,
        is_soft=is_soft,
        detail=verdict.detail if verdict else None,
    )


def _policy(policy: Policy, candidate: Candidate, context: Context, override: Policy | None) -> Ruling:
    entity, verdict = policy.entity, policy.judge(candidate, context)
    standing, reason = _standing(verdict), _reason(verdict)
    if policy.overrides:
        standing, reason = ("passed", reason) if standing == "blocked" else ("skipped", "its conditions do not hold")
    elif standing == "blocked" and override is not None:
        standing, reason = "skipped", f"{override.entity.name} lets the offer past it; else: {reason}"
    elif standing == "blocked" and is_mandatory_now(candidate.offer, context.now_ms) and not policy.binds_mandatory:
        standing, reason = "skipped", f"the offer is mandatory; else: {reason}"
    return Ruling(
        id=entity.id,
        name=entity.name,
        kind=entity.rule_type,
        scope=", ".join(describe(scope) for scope in policy.scopes),
        standing=standing,
        reason=reason,
        detail=verdict.detail if verdict else None,
    )


def _consent(candidate: Candidate, context: Context) -> Ruling:
    verdict = missing_consent(candidate, context) or Verdict(is_blocked=False)
    return Ruling(
        id=CONSENT,
        name="Consent",
        kind=CONSENT,
        scope="global",
        standing=_standing(verdict),
        reason=verdict.reason,
        detail=verdict.detail,
    )


def _own(candidate: Candidate, context: Context) -> Ruling:
    verdict = own_limits(candidate, context) or Verdict(is_blocked=False)
    return Ruling(
        id=OWN_LIMITS,
        name="The offer's own caps and budget",
        kind=OWN_LIMITS,
        scope=f"offer {candidate.offer.id}",
        standing=_standing(verdict),
        reason=verdict.reason,
        detail=verdict.detail,
    )


def _standing(verdict: Verdict | None) -> Standing:
    if verdict is None:
        return "skipped"
    return "blocked" if verdict.is_blocked else "passed"


def _reason(verdict: Verdict | None) -> str:
    return "its scope does not cover the offer" if verdict is None else verdict.reason

"""Flow nodes that apply qualification rules, consent, suppressions, offer limits and contact policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.inventory import Budget, FrequencyCaps
from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.catalogue.strategy import QualificationRule, RuleStage
from rapport.domain.decisions.eligibility.policies import Policy
from rapport.domain.decisions.eligibility.policy_checks import list_budgets
from rapport.domain.decisions.eligibility.rule_index import RuleIndex, ScopedRule
from rapport.domain.decisions.facts import Selection
from rapport.domain.decisions.run import NodeAction, RemovalReason, Run
from rapport.domain.decisions.verdict import Verdict
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit
from rapport.domain.profiles.consent import MARKETING, find_missing_purpose

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Channel
    from rapport.domain.catalogue.strategy import ContactPolicy
    from rapport.domain.decisions.candidates import Candidate, Context

OFFER_LIMITS: Final = "offer_limits"
"""Id of an offer's own caps and budget in explanations, next to the ids of rules and policies."""
NO_CAPS: Final = FrequencyCaps()
NO_BUDGET: Final = Budget()
_CALENDAR: Final = {
    unit: Window(WindowKind.CALENDAR, unit) for unit in (WindowUnit.DAY, WindowUnit.WEEK, WindowUnit.MONTH)
}


@dataclass(frozen=True, slots=True)
class ContactPolicyIndex:
    """Index of contact policies and suppressions by their effect.

    Attributes:
        overrides: Policies that exempt candidates from all blocking ones.
        blocking: Policies and suppressions that block.
        limiting: Those of ``blocking`` that can block because of what the decision itself shows.
        broken_policies: Policies that cannot be compiled, with the fault; they block every candidate.
        unconditional: Suppressions that apply even to overridden and mandatory offers.
    """

    overrides: RuleIndex
    blocking: RuleIndex
    limiting: RuleIndex
    broken_policies: Sequence[tuple[ContactPolicy, str]]
    unconditional: RuleIndex

    @property
    def ids(self) -> Iterator[str]:
        """Ids of all policies and suppressions, broken ones included."""
        for index in (self.overrides, self.blocking, self.unconditional):
            yield from (policy.entity.id for policy in index.rules)
        yield from (entity.id for entity, _ in self.broken_policies)

    @classmethod
    def build(
        cls,
        policies: Sequence[Policy],
        broken_policies: Sequence[tuple[ContactPolicy, str]],
        suppressions: Sequence[Policy] = (),
    ) -> ContactPolicyIndex:
        """Build the index. Suppressions from which mandatory offers are exempt are among the blocking policies."""
        blocking = [policy for policy in policies if not policy.overrides]
        blocking += [policy for policy in suppressions if not policy.applies_to_mandatory]
        return cls(
            RuleIndex([policy for policy in policies if policy.overrides]),
            RuleIndex(blocking),
            RuleIndex([policy for policy in blocking if policy.limits_exposure]),
            broken_policies,
            RuleIndex([policy for policy in suppressions if policy.applies_to_mandatory]),
        )


def prepare_qualify(rules: RuleIndex) -> NodeAction:
    """Return an action that applies qualification rules; those of stage match lower the fit instead of removing."""
    applied = {("qualify", rule.entity.id) for rule in rules.rules}

    def act(run: Run) -> None:
        context = run.context
        run.applied_rules |= applied

        def check(candidate: Candidate) -> RemovalReason | None:
            for _, scoped_rule, verdict in rules.find_blocking(candidate, context):
                rule = scoped_rule.rule.entity
                if not isinstance(rule, QualificationRule) or rule.stage is not RuleStage.MATCH:
                    return rule.id, rule.name, verdict
                candidate.fit *= rule.multiplier
                candidate.explanation.setdefault("fit", []).append({"rule": rule.id, "reason": verdict.reason})
            return None

        run.apply_check("qualify", check)

    return act


def prepare_policies(policies: ContactPolicyIndex) -> NodeAction:
    """Return an action that applies consent, suppressions, the offers' own limits, and policies by priority."""
    applied = {("contact_policy", entity_id) for entity_id in (OFFER_LIMITS, *policies.ids)}

    def act(run: Run) -> None:
        run.applied_rules |= applied
        require_consent(run)
        apply_suppressions(run)
        context = run.context

        def check(candidate: Candidate) -> RemovalReason | None:
            own = check_offer_limits(candidate, context)
            if own is not None:
                return candidate.offer.id, candidate.offer.name, own
            if policies.broken_policies:
                entity, fault = policies.broken_policies[0]
                verdict = Verdict(True, f"the policy cannot be evaluated: {fault}", is_fault=True)
                return entity.id, entity.name, verdict
            override = policies.overrides.find_first_blocking(candidate, context)
            if override is not None:
                candidate.explanation["override"] = override.scoped_rule.rule.entity.id
                return None
            return _find_blocking_policy(policies.blocking, candidate, context)

        run.apply_check("contact_policy", check)
        run.rechecks.append(partial(_recheck_limits, policies))

    return act


def require_consent(run: Run) -> None:
    """Remove candidates that the customer has not consented to. Every flow does so, even without a policy node."""
    context = run.context
    if not context.customer.withheld and not context.customer.objections:
        return

    def check(candidate: Candidate) -> RemovalReason | None:
        verdict = check_consent(candidate, context, run.catalogue.channels)
        return ("consent", "Consent", verdict) if verdict else None

    run.apply_check("contact_policy", check)
    run.counts_by_type.setdefault("contact_policy", len(run.candidates))


def apply_suppressions(run: Run) -> None:
    """Remove candidates that unconditional suppressions block. Every flow does so, even without a policy node."""
    context, unconditional = run.context, run.catalogue.unconditional_suppressions
    if not unconditional.rules or not context.customer.last_outcome_ms:
        return
    run.apply_check("contact_policy", lambda candidate: _find_blocking_policy(unconditional, candidate, context))
    run.counts_by_type.setdefault("contact_policy", len(run.candidates))


def check_consent(candidate: Candidate, context: Context, channels: Mapping[str, Channel]) -> Verdict | None:
    """Return a blocking verdict if the customer may not be contacted about a candidate; None if that is allowed.

    A candidate without a creative is shown on the channel of the request. If the request names no channel either, the
    channel is unknown and the contact needs the consent for every channel.
    """
    for reason in context.customer.objections:
        return Verdict(True, reason)
    request = context.request
    channel = candidate.channel or channels.get(request.channel_id or "")
    channel_type = channel.channel_type if channel else request.channel_type
    purpose = find_missing_purpose(channel_type, context.customer.withheld)
    if purpose is None:
        return None
    why = "" if channel_type or purpose == MARKETING else ", which the channel may need: its type is not known"
    return Verdict(True, f"the customer has not consented to {purpose}{why}", {"purpose": purpose})


def _recheck_limits(policies: ContactPolicyIndex, candidate: Candidate, context: Context) -> RemovalReason | None:
    """Check the offer's own limits and the limiting policies again, counting what the decision shows before."""
    own = check_offer_limits(candidate, context)
    if own is not None:
        return candidate.offer.id, candidate.offer.name, own
    return None if "override" in candidate.explanation else _find_blocking_policy(policies.limiting, candidate, context)


def _find_blocking_policy(blocking: RuleIndex, candidate: Candidate, context: Context) -> RemovalReason | None:
    blocked = blocking.find_first_blocking(candidate, context)
    if blocked is not None and is_mandatory_now(candidate.offer, context.now_ms):
        verdicts = blocking.find_blocking(candidate, context)
        blocked = next((verdict for verdict in verdicts if not _exempts_mandatory(verdict.scoped_rule)), None)
    if blocked is None:
        return None
    entity = blocked.scoped_rule.rule.entity
    return entity.id, entity.name, blocked.verdict


def _exempts_mandatory(scoped_rule: ScopedRule) -> bool:
    return isinstance(scoped_rule.rule, Policy) and not scoped_rule.rule.applies_to_mandatory


def check_offer_limits(candidate: Candidate, context: Context) -> Verdict | None:
    """Return a blocking verdict if one of the offer's own frequency caps or budgets is used up, else None."""
    offer, caps = candidate.offer, candidate.offer.frequency_caps
    if caps == NO_CAPS and offer.budget == NO_BUDGET:
        return None
    is_known = offer.id in context.history.known_offers
    for unit, most in ((WindowUnit.DAY, caps.daily), (WindowUnit.WEEK, caps.weekly), (WindowUnit.MONTH, caps.monthly)):
        if most is None:
            continue
        shown = context.count(_CALENDAR[unit], Selection(frozenset((offer.id,)))).impressions if is_known else 0
        if shown >= most:
            return Verdict(
                True, f"the offer's own cap is reached: {shown}/{most} a {unit}", {"max": most, "actual": shown}
            )
    for budget, used, limit in () if offer.budget == NO_BUDGET else list_budgets(candidate, context):
        if limit is not None and used >= limit:
            spent = {"budgetField": budget, "threshold": limit, "actual": used}
            return Verdict(True, f"the offer's budget is used up: {budget} {used:g} of {limit:g}", spent)
    return None

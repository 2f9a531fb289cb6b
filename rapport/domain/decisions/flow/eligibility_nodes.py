"""Rules and policies as nodes of a flow: who may get an offer, and when a customer is left alone."""

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
"""Stands for an offer's own caps and budget where rules and policies are named."""
NO_CAPS: Final = FrequencyCaps()
NO_BUDGET: Final = Budget()
_CALENDAR: Final = {
    unit: Window(WindowKind.CALENDAR, unit) for unit in (WindowUnit.DAY, WindowUnit.WEEK, WindowUnit.MONTH)
}


@dataclass(frozen=True, slots=True)
class ContactPolicyIndex:
    """Contact policies by what they do.

    Attributes:
        overrides: Let candidates past the others.
        limiting: Those of ``blocking`` that what the decision itself shows can make block.
        broken: Cannot be read: whatever they might block, they do.
        firm: Suppressions that nothing gets past.
    """

    overrides: RuleIndex
    blocking: RuleIndex
    limiting: RuleIndex
    broken: Sequence[tuple[ContactPolicy, str]]
    firm: RuleIndex

    @property
    def ids(self) -> Iterator[str]:
        """Ids of all policies and suppressions."""
        for binder in (self.overrides, self.blocking, self.firm):
            yield from (judge.entity.id for judge in binder.judges)
        yield from (entity.id for entity, _ in self.broken)

    @classmethod
    def of(
        cls,
        policies: Sequence[Policy],
        broken: Sequence[tuple[ContactPolicy, str]],
        suppressions: Sequence[Policy] = (),
    ) -> ContactPolicyIndex:
        """Sort policies. A suppression that mandatory offers get past is one among the blocking policies."""
        blocking = [policy for policy in policies if not policy.overrides]
        blocking += [policy for policy in suppressions if not policy.binds_mandatory]
        return cls(
            RuleIndex([policy for policy in policies if policy.overrides]),
            RuleIndex(blocking),
            RuleIndex([policy for policy in blocking if policy.limits_exposure]),
            broken,
            RuleIndex([policy for policy in suppressions if policy.binds_mandatory]),
        )


def prepare_qualify(binder: RuleIndex) -> NodeAction:
    """Apply qualification rules; those of stage match make the score smaller instead of removing."""
    asked = {("qualify", judge.entity.id) for judge in binder.judges}

    def act(run: Run) -> None:
        context = run.context
        run.applied |= asked

        def judge(candidate: Candidate) -> RemovalReason | None:
            for _, binding, verdict in binder.ask(candidate, context):
                rule = binding.judge.entity
                if not isinstance(rule, QualificationRule) or rule.stage is not RuleStage.MATCH:
                    return rule.id, rule.name, verdict
                candidate.fit *= rule.multiplier
                candidate.explanation.setdefault("fit", []).append({"rule": rule.id, "reason": verdict.reason})
            return None

        run.keep("qualify", judge)

    return act


def prepare_policies(gate: ContactPolicyIndex) -> NodeAction:
    """Apply consent, suppressions, the offers' own caps and budgets, and contact policies, highest priority first."""
    asked = {("contact_policy", entity_id) for entity_id in (OFFER_LIMITS, *gate.ids)}

    def act(run: Run) -> None:
        run.applied |= asked
        require_consent(run)
        apply_suppressions(run)
        context = run.context

        def judge(candidate: Candidate) -> RemovalReason | None:
            own = check_offer_limits(candidate, context)
            if own is not None:
                return candidate.offer.id, candidate.offer.name, own
            if gate.broken:
                entity, fault = gate.broken[0]
                verdict = Verdict(True, f"the policy cannot be evaluated: {fault}", is_fault=True)
                return entity.id, entity.name, verdict
            override = gate.overrides.first(candidate, context)
            if override is not None:
                candidate.explanation["override"] = override.binding.judge.entity.id
                return None
            return _find_blocking_policy(gate.blocking, candidate, context)

        run.keep("contact_policy", judge)
        run.guards.append(partial(_recheck_limits, gate))

    return act


def require_consent(run: Run) -> None:
    """Remove what the customer has not consented to. It runs in every flow, even where no node asks for it."""
    context = run.context
    if not context.customer.withheld and not context.customer.objections:
        return

    def judge(candidate: Candidate) -> RemovalReason | None:
        verdict = check_consent(candidate, context, run.catalogue.channels)
        return ("consent", "Consent", verdict) if verdict else None

    run.keep("contact_policy", judge)
    run.gates.setdefault("contact_policy", len(run.candidates))


def apply_suppressions(run: Run) -> None:
    """Remove what suppressions that nothing gets past keep from the customer. Like consent, no flow does without it."""
    context, firm = run.context, run.catalogue.firm_suppressions
    if not firm.judges or not context.customer.last_outcome_ms:
        return
    run.keep("contact_policy", lambda candidate: _find_blocking_policy(firm, candidate, context))
    run.gates.setdefault("contact_policy", len(run.candidates))


def check_consent(candidate: Candidate, context: Context, channels: Mapping[str, Channel]) -> Verdict | None:
    """Say why the customer may not be contacted about a candidate; None if that is allowed.

    A candidate without a creative goes to the channel of the request; if that names none either, the channel is not
    known, and the contact needs the consent of every channel.
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


def _recheck_limits(gate: ContactPolicyIndex, candidate: Candidate, context: Context) -> RemovalReason | None:
    """Judge a candidate once more, after what the decision shows before it."""
    own = check_offer_limits(candidate, context)
    if own is not None:
        return candidate.offer.id, candidate.offer.name, own
    return None if "override" in candidate.explanation else _find_blocking_policy(gate.limiting, candidate, context)


def _find_blocking_policy(blocking: RuleIndex, candidate: Candidate, context: Context) -> RemovalReason | None:
    found = blocking.first(candidate, context)
    if found is not None and is_mandatory_now(candidate.offer, context.now_ms):
        heeded = (one for one in blocking.ask(candidate, context) if not _exempts_mandatory(one.binding))
        found = next(heeded, None)
    if found is None:
        return None
    entity = found.binding.judge.entity
    return entity.id, entity.name, found.verdict


def _exempts_mandatory(binding: ScopedRule) -> bool:
    return isinstance(binding.judge, Policy) and not binding.judge.binds_mandatory


def check_offer_limits(candidate: Candidate, context: Context) -> Verdict | None:
    """The offer's own frequency caps and budgets."""
    offer, caps = candidate.offer, candidate.offer.frequency_caps
    if caps == NO_CAPS and offer.budget == NO_BUDGET:
        return None
    is_known = offer.id in context.tallies.known_offers
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

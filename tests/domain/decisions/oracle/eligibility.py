"""Eligibility in the plain evaluator: every rule is checked for every candidate, under one scope after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from rapport.domain.catalogue.inventory import Budget, Channel, FrequencyCaps
from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.catalogue.strategy import ContactPolicy
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.decisions.candidates import Context
from rapport.domain.decisions.eligibility.policies import Policy
from rapport.domain.decisions.eligibility.policy_checks import list_budgets
from rapport.domain.decisions.eligibility.rules import Rule
from rapport.domain.decisions.eligibility.scopes import describe_scope, find_scoped_id, select_subjects
from rapport.domain.decisions.facts import EVERYTHING, Selection
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit
from rapport.domain.profiles.consent import MARKETING, find_missing_purpose
from tests.domain.decisions.oracle.run import Candidate, NodeAction, Run

CONSENT: Final = "consent"


"""Id and type of the rule that the customer must consent to the contact."""


OFFER_LIMITS: Final = "offer_limits"


"""Type of the rule that an offer's own caps and budget must not be used up; also its id in explanations."""


_MANDATORY: Final = "the offer is mandatory"


_NO_CAPS: Final = FrequencyCaps()


_NO_BUDGET: Final = Budget()


_CALENDAR: Final = {
    unit: Window(WindowKind.CALENDAR, unit) for unit in (WindowUnit.DAY, WindowUnit.WEEK, WindowUnit.MONTH)
}


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """Rules or policies, highest priority first. It is no index: each rule is checked for each candidate."""

    rules: Sequence[Policy | Rule]

    def evaluate(self, candidate: Candidate, context: Context, *, stop_at_first: bool) -> Sequence[RuleVerdict]:
        """Return the blocking verdicts on a candidate, in the order of the rules and their scopes."""
        verdicts: list[RuleVerdict] = []
        for rule in self.rules:
            for selection, scope in _list_scopes(rule, candidate, context):
                verdict = rule.check(candidate, context, selection, scope)
                if verdict.is_blocked:
                    verdicts.append(rule.block(verdict))
                    if stop_at_first and verdicts[-1].effect != "lowers_fit":
                        return verdicts
        return verdicts

    def find_covering(self, candidate: Candidate, context: Context) -> frozenset[str]:
        """Return the ids of the rules with a scope that covers a candidate."""
        return frozenset(rule.entity.id for rule in self.rules if _list_scopes(rule, candidate, context))


def _list_scopes(rule: Policy | Rule, candidate: Candidate, context: Context) -> Sequence[tuple[Selection, str]]:
    """Return the contacts that count and a description, by scope that covers a candidate.

    A rule that does not read the contacts in its scope gives the same verdict under each, and is checked once.
    """
    covering: list[tuple[Selection, str]] = []
    for scope in rule.scopes:
        if scope.scope is ScopeKind.SEGMENT:
            selection = EVERYTHING if scope.scope_id in context.segments else None
        else:
            selection = select_subjects(scope, find_scoped_id(scope.scope, candidate, context), rule.members)
        if selection is not None:
            covering.append((selection, describe_scope(scope)))
    return covering if isinstance(rule, Policy) and rule.is_history_only else covering[:1]


@dataclass(frozen=True, slots=True)
class ContactPolicyIndex:
    """Index of contact policies and suppressions by their effect.

    Attributes:
        overrides: Policies that exempt candidates from all blocking ones.
        blocking: Policies and suppressions that block.
        limiting: Those of ``blocking`` that can block because of what the decision itself shows.
        broken: Verdicts of the policies that cannot be compiled; they remove every candidate.
        unconditional: Suppressions that apply even to overridden and mandatory offers.
    """

    overrides: RuleIndex
    blocking: RuleIndex
    limiting: RuleIndex
    broken: Sequence[RuleVerdict]
    unconditional: RuleIndex

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
            [_reject_broken(policy, fault) for policy, fault in broken_policies],
            RuleIndex([policy for policy in suppressions if policy.applies_to_mandatory]),
        )


def _reject_broken(policy: ContactPolicy, fault: str) -> RuleVerdict:
    verdict = Verdict(True, f"the policy cannot be evaluated: {fault}", is_fault=True)
    return RuleVerdict(policy.id, policy.name, verdict, policy.rule_type)


def evaluate_policies(
    policies: ContactPolicyIndex, candidate: Candidate, context: Context, *, stop_at_first: bool
) -> Sequence[RuleVerdict]:
    """Evaluate the offer's own limits, then the policies; an override exempts the candidate from those behind it."""
    limits = evaluate_offer_limits(candidate, context)
    if stop_at_first and (limits or policies.broken):
        return limits or policies.broken
    overrides = policies.overrides.evaluate(candidate, context, stop_at_first=stop_at_first)
    if stop_at_first and overrides:
        return overrides
    exemption = f"{overrides[0].name} lets the offer past it" if overrides else ""
    blocking = evaluate_blocking_policies(policies.blocking, candidate, context, exemption, stop_at_first=stop_at_first)
    return blocking if stop_at_first else (*limits, *policies.broken, *overrides, *blocking)


def evaluate_blocking_policies(
    blocking: RuleIndex, candidate: Candidate, context: Context, exemption: str = "", *, stop_at_first: bool
) -> Sequence[RuleVerdict]:
    """Evaluate policies or suppressions; their verdicts have no effect on a candidate that is exempt from them.

    Args:
        blocking: The policies or suppressions.
        candidate: The candidate.
        context: Request and facts.
        exemption: Reason why the candidate is exempt from all of them; empty if it is not.
        stop_at_first: Whether verdicts behind the first that removes the candidate may be missing.
    """
    is_mandatory = candidate.offer.mandatory and is_mandatory_now(candidate.offer, context.now_ms)
    if not exemption and not is_mandatory:
        return blocking.evaluate(candidate, context, stop_at_first=stop_at_first)
    return [
        verdict._replace(effect="none", exemption=exemption or _MANDATORY)
        if exemption or verdict.spares_mandatory
        else verdict
        for verdict in blocking.evaluate(candidate, context, stop_at_first=False)
    ]


def evaluate_limits(
    policies: ContactPolicyIndex, candidate: Candidate, context: Context, *, is_overridden: bool
) -> Sequence[RuleVerdict]:
    """Evaluate the offer's own limits and the policies that can block because of what the decision itself shows."""
    limits = evaluate_offer_limits(candidate, context)
    if limits or is_overridden:
        return limits
    return evaluate_blocking_policies(policies.limiting, candidate, context, stop_at_first=True)


def evaluate_consent(candidate: Candidate, context: Context, channels: Mapping[str, Channel]) -> Sequence[RuleVerdict]:
    """Evaluate whether the customer may be contacted about a candidate at all."""
    verdict = _check_consent(candidate, context, channels)
    return () if verdict is None else (RuleVerdict(CONSENT, "Consent", verdict, CONSENT),)


def _check_consent(candidate: Candidate, context: Context, channels: Mapping[str, Channel]) -> Verdict | None:
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


def evaluate_offer_limits(candidate: Candidate, context: Context) -> Sequence[RuleVerdict]:
    """Evaluate whether one of the offer's own frequency caps or budgets is used up."""
    verdict = _check_offer_limits(candidate, context)
    return () if verdict is None else (RuleVerdict(candidate.offer.id, candidate.offer.name, verdict, OFFER_LIMITS),)


def _check_offer_limits(candidate: Candidate, context: Context) -> Verdict | None:
    offer, caps = candidate.offer, candidate.offer.frequency_caps
    if caps == _NO_CAPS and offer.budget == _NO_BUDGET:
        return None
    for unit, most in ((WindowUnit.DAY, caps.daily), (WindowUnit.WEEK, caps.weekly), (WindowUnit.MONTH, caps.monthly)):
        if most is None:
            continue
        shown = context.count(_CALENDAR[unit], Selection(frozenset((offer.id,)))).impressions
        if shown >= most:
            return Verdict(
                True, f"the offer's own cap is reached: {shown}/{most} a {unit}", {"max": most, "actual": shown}
            )
    for budget, used, limit in () if offer.budget == _NO_BUDGET else list_budgets(candidate, context):
        if limit is not None and used >= limit:
            spent = {"budgetField": budget, "threshold": limit, "actual": used}
            return Verdict(True, f"the offer's budget is used up: {budget} {used:g} of {limit:g}", spent)
    return None


def prepare_qualify(rules: RuleIndex) -> NodeAction:
    """Return an action that applies qualification rules; those of stage match lower the fit instead of removing."""

    def act(run: Run) -> None:
        context, stop = run.context, run.stops_at_first
        run.note_coverage("qualify", (rules,))
        run.apply_check("qualify", lambda candidate: rules.evaluate(candidate, context, stop_at_first=stop))

    return act


def prepare_policies(policies: ContactPolicyIndex) -> NodeAction:
    """Return an action that applies consent, suppressions, the offers' own limits, and policies by priority."""
    everywhere = (OFFER_LIMITS, *(verdict.by for verdict in policies.broken))

    def act(run: Run) -> None:
        context, stop = run.context, run.stops_at_first
        require_consent(run)
        apply_suppressions(run)
        run.note_coverage("contact_policy", (policies.overrides, policies.blocking), everywhere)
        run.apply_check(
            "contact_policy", lambda candidate: evaluate_policies(policies, candidate, context, stop_at_first=stop)
        )
        run.rechecks.append(partial(_evaluate_limits_again, policies))

    return act


def require_consent(run: Run) -> None:
    """Remove candidates that the customer has not consented to. Every flow does so, even without a policy node."""
    context, channels = run.context, run.catalogue.channels
    if not context.customer.withheld and not context.customer.objections:
        return
    run.apply_check("contact_policy", lambda candidate: evaluate_consent(candidate, context, channels))
    run.counts_by_type.setdefault("contact_policy", len(run.candidates))


def apply_suppressions(run: Run) -> None:
    """Remove candidates that unconditional suppressions block. Every flow does so, even without a policy node."""
    context, stop, unconditional = run.context, run.stops_at_first, run.catalogue.unconditional_suppressions
    run.note_coverage("contact_policy", (unconditional,))
    if not unconditional.rules or not context.customer.last_outcome_ms:
        return
    run.apply_check(
        "contact_policy",
        lambda candidate: evaluate_blocking_policies(unconditional, candidate, context, stop_at_first=stop),
    )
    run.counts_by_type.setdefault("contact_policy", len(run.candidates))


def _evaluate_limits_again(
    policies: ContactPolicyIndex, candidate: Candidate, context: Context
) -> Sequence[RuleVerdict]:
    """Evaluate the limits of a candidate, counting what the decision shows before."""
    return evaluate_limits(policies, candidate, context, is_overridden="override" in candidate.explanation)

"""Evaluation of contact policies, suppressions, offers' own limits and consent.

Each function returns the blocking verdicts on a candidate in order, as :class:`RuleIndex` does, which evaluates the
single rules. A decision lets them stop at the first verdict that settles the matter; an explanation takes all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.inventory import Budget, FrequencyCaps
from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.decisions.eligibility.policy_checks import list_budgets
from rapport.domain.decisions.eligibility.rule_index import RuleIndex
from rapport.domain.decisions.facts import Selection
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit
from rapport.domain.profiles.consent import MARKETING, find_missing_purpose

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Channel
    from rapport.domain.catalogue.strategy import ContactPolicy
    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.eligibility.policies import Policy

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
        suppressions: Sequence[Policy],
        size: int,
    ) -> ContactPolicyIndex:
        """Build the index. Suppressions from which mandatory offers are exempt are among the blocking policies.

        ``size`` is the number of possible candidates.
        """
        blocking = [policy for policy in policies if not policy.overrides]
        blocking += [policy for policy in suppressions if not policy.applies_to_mandatory]
        return cls(
            RuleIndex([policy for policy in policies if policy.overrides], size),
            RuleIndex(blocking, size),
            RuleIndex([policy for policy in blocking if policy.limits_exposure], size),
            [_reject_broken(policy, fault) for policy, fault in broken_policies],
            RuleIndex([policy for policy in suppressions if policy.applies_to_mandatory], size),
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


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """Check of the offers' own limits and the policies that can block because of what the decision itself shows."""

    policies: ContactPolicyIndex

    def evaluate(self, candidate: Candidate, context: Context) -> Sequence[RuleVerdict]:
        """Evaluate the limits of one candidate."""
        limits = evaluate_offer_limits(candidate, context)
        if limits or candidate.is_overridden:
            return limits
        return evaluate_blocking_policies(self.policies.limiting, candidate, context, stop_at_first=True)

    def find_shared_removals(self, candidates: Sequence[Candidate], context: Context) -> Sequence[RuleVerdict | None]:
        """Return for each candidate the verdict that removes it, without those that depend on the candidate itself."""
        positions = [candidate.position for candidate in candidates]
        if None in positions:
            return [None] * len(candidates)
        known = context.history.known_offers
        verdicts = self.policies.limiting.find_shared_removals(candidates, positions, context)
        return [
            None
            if verdict is None or candidate.offer.mandatory or candidate.offer.id in known or candidate.is_overridden
            else verdict
            for candidate, verdict in zip(candidates, verdicts, strict=True)
        ]


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
    is_known = offer.id in context.history.known_offers
    for unit, most in ((WindowUnit.DAY, caps.daily), (WindowUnit.WEEK, caps.weekly), (WindowUnit.MONTH, caps.monthly)):
        if most is None:
            continue
        shown = context.count(_CALENDAR[unit], Selection(frozenset((offer.id,)))).impressions if is_known else 0
        if shown >= most:
            return Verdict(
                True, f"the offer's own cap is reached: {shown}/{most} a {unit}", {"max": most, "actual": shown}
            )
    for budget, used, limit in () if offer.budget == _NO_BUDGET else list_budgets(candidate, context):
        if limit is not None and used >= limit:
            spent = {"budgetField": budget, "threshold": limit, "actual": used}
            return Verdict(True, f"the offer's budget is used up: {budget} {used:g} of {limit:g}", spent)
    return None

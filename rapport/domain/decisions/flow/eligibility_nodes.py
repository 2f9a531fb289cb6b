"""Flow nodes that apply qualification rules, consent, suppressions, offer limits and contact policies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from rapport.domain.decisions.eligibility.evaluation import (
    OFFER_LIMITS,
    ContactPolicyIndex,
    evaluate_blocking_policies,
    evaluate_consent,
    evaluate_limits,
    evaluate_policies,
)
from rapport.domain.decisions.eligibility.rule_index import RuleIndex
from rapport.domain.decisions.run import NodeAction, Run

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.verdict import RuleVerdict


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

"""Flow nodes that apply qualification rules, consent, suppressions, offer limits and contact policies."""

from __future__ import annotations

from rapport.domain.decisions.eligibility.evaluation import (
    OFFER_LIMITS,
    ContactPolicyIndex,
    LimitCheck,
    evaluate_blocking_policies,
    evaluate_consent,
    evaluate_policies,
)
from rapport.domain.decisions.eligibility.rule_index import RuleIndex
from rapport.domain.decisions.run import NodeAction, Run


def prepare_qualify(rules: RuleIndex) -> NodeAction:
    """Return an action that applies qualification rules; those of stage match lower the fit instead of removing."""

    def act(run: Run) -> None:
        context, stop = run.context, run.stops_at_first
        run.note_coverage("qualify", (rules,))
        run.apply_check(
            "qualify", lambda candidate: rules.evaluate(candidate, context, stop_at_first=stop), run.find_rows(rules)
        )

    return act


def prepare_policies(policies: ContactPolicyIndex) -> NodeAction:
    """Return an action that applies consent, suppressions, the offers' own limits, and policies by priority."""
    everywhere = (OFFER_LIMITS, *(verdict.by for verdict in policies.broken))

    def act(run: Run) -> None:
        context, stop = run.context, run.stops_at_first
        require_consent(run)
        apply_suppressions(run)
        run.note_coverage("contact_policy", (policies.overrides, policies.blocking), everywhere)
        indexes = policies.overrides, policies.blocking
        run.apply_check(
            "contact_policy",
            lambda candidate: evaluate_policies(policies, candidate, context, stop_at_first=stop),
            None if policies.broken else run.find_rows(*indexes, with_limits=True),
        )
        run.rechecks.append(LimitCheck(policies))

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
        run.find_rows(unconditional),
    )
    run.counts_by_type.setdefault("contact_policy", len(run.candidates))

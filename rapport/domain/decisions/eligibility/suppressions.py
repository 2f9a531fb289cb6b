"""Compilation of suppression rules into policies, which apply whatever policies a flow selects."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.strategy import ContactPolicy
from rapport.domain.catalogue.suppression import SuppressionRule, select_active_rules
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.configs import read_config
from rapport.domain.decisions.eligibility.policies import Policy, compile_policy
from rapport.domain.decisions.eligibility.policy_checks import compile_outcome
from rapport.domain.decisions.eligibility.policy_configs import OutcomeConfig
from rapport.domain.decisions.eligibility.scopes import EACH, ScopeMembers
from rapport.domain.profiles.suppressions import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.domain.decisions.candidates import Candidate, Context

_SCOPES: Final[Mapping[str, tuple[ScopeKind, str | None]]] = {
    "global": (ScopeKind.GLOBAL, None),
    "offer": (ScopeKind.OFFER, EACH),
    "category": (ScopeKind.CATEGORY, EACH),
}


def compile_suppressions(configured: Collection[SuppressionRule], members: ScopeMembers) -> Sequence[Policy]:
    """Compile the suppression rules in force.

    Args:
        configured: All suppression rules of a tenant, whatever their status.
        members: Members of the whole catalogue.
    """
    return [_compile(rule, members) for rule in select_active_rules(configured)]


def _compile(rule: SuppressionRule, members: ScopeMembers) -> Policy:
    policy = _make_policy(rule)

    def lifted_ms(candidate: Candidate, context: Context) -> int:
        offer = candidate.offer
        scope_ids = {"global": EVERYTHING, "offer": offer.id, "category": offer.category_id or ""}
        return context.customer.endings.lifted_ms.get((rule.id, scope_ids[rule.scope]), 0)

    check = compile_outcome(read_config(policy.config, OutcomeConfig), members, lifted_ms)
    return replace(compile_policy(policy, members), check=check)


def _make_policy(rule: SuppressionRule) -> ContactPolicy:
    scope, scope_id = _SCOPES[rule.scope]
    return ContactPolicy(
        id=rule.id,
        name=rule.name,
        rule_type="outcome_based",
        scope=scope,
        scope_id=scope_id,
        config={
            "afterOutcome": list(rule.outcomes),
            "suppressForDays": rule.days,
            "endedBy": list(rule.ended_by),
            "endedByConsent": list(rule.ended_by_consent),
            "bypassable": rule.bypassable,
        },
    )

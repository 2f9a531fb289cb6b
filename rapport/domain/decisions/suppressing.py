"""Suppressions as decisions keep them: each rule a policy that applies whatever policies a flow has chosen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.strategy import ContactPolicy
from rapport.domain.catalogue.suppression import SuppressionRule, rules_in_force
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.decisions.policies import Policy, compile_policy
from rapport.domain.decisions.scopes import EACH, Members

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCOPES: Final[Mapping[str, tuple[ScopeKind, str | None]]] = {
    "global": (ScopeKind.GLOBAL, None),
    "offer": (ScopeKind.OFFER, EACH),
    "category": (ScopeKind.CATEGORY, EACH),
}


def compile_suppressions(configured: Collection[SuppressionRule], members: Members) -> Sequence[Policy]:
    """Prepare the rules in force.

    Args:
        configured: All of a tenant's rules, whatever their status.
        members: Of the whole catalogue.
    """
    return [compile_policy(_policy_of(rule), members) for rule in rules_in_force(configured)]


def _policy_of(rule: SuppressionRule) -> ContactPolicy:
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
            "bypassable": rule.bypassable,
        },
    )

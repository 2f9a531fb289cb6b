"""Contact policies: compilation of their configs into checks, and their evaluation under scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.catalogue.inventory import Budget
from rapport.domain.conditions import is_candidate_field, is_entity_field
from rapport.domain.configs import ConfigError, read_config
from rapport.domain.decisions.eligibility.policy_checks import (
    Check,
    compile_budget,
    compile_cap,
    compile_cap_over_everything,
    compile_category,
    compile_cooldown,
    compile_exclusion,
    compile_hours,
    compile_metric,
    compile_outcome,
    compile_override,
    compile_segments,
)
from rapport.domain.decisions.eligibility.policy_configs import (
    BudgetConfig,
    CapConfig,
    CategoryConfig,
    CooldownConfig,
    ExclusionConfig,
    HoursConfig,
    MetricConfig,
    OutcomeConfig,
    OverrideConfig,
    PolicyConfig,
    SegmentConfig,
)
from rapport.domain.decisions.eligibility.scopes import ScopeMembers, scopes_of
from rapport.domain.decisions.verdict import RuleVerdict
from rapport.domain.faults import Fault

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.catalogue.strategy import ContactPolicy
    from rapport.domain.catalogue.values import Scope
    from rapport.domain.decisions.candidates import Context
    from rapport.domain.decisions.verdict import Verdict
    from rapport.domain.decisions.windows import Window


@dataclass(frozen=True, slots=True)
class Policy:
    """Compiled contact policy.

    Attributes:
        check: Evaluates the policy for the contacts in a selection.
        overrides: Whether the policy exempts candidates from all other policies instead of blocking them.
        applies_to_mandatory: Whether the policy also blocks mandatory offers.
        windows: Windows in which it counts contacts.
        outcomes: Outcomes whose latest times it reads.
        outcome_days: Reach of ``outcomes`` into the past, in days.
        contact_days: Reach of the latest contact into the past, in days.
        is_shared: Whether the verdict is the same for all candidates under the same scope.
        is_static: Whether the verdict depends on nothing but the offer, creative and channel of the candidate.
        is_history_only: Whether it reads only the contacts in its scope, so that it passes if there are none. The
            verdict of any other policy does not depend on which of its scopes applies.
        covers_offer: Returns whether the policy can block candidates of an offer at all.
        limits_exposure: Whether items shown by a decision can make the policy block further items of the same decision.
            A cooldown cannot: items shown together are one contact.
    """

    entity: ContactPolicy
    scopes: Sequence[Scope]
    check: Check
    overrides: bool
    applies_to_mandatory: bool
    windows: frozenset[Window]
    outcomes: frozenset[str]
    outcome_days: float
    contact_days: float
    members: ScopeMembers
    is_shared: bool
    is_static: bool
    is_history_only: bool
    covers_offer: Callable[[Offer], bool]
    limits_exposure: bool

    def block(self, verdict: Verdict) -> RuleVerdict:
        """Return a blocking verdict of its check as a verdict of the policy."""
        return RuleVerdict(
            self.entity.id,
            self.entity.name,
            verdict,
            self.entity.rule_type,
            "exempts" if self.overrides else "removes",
            spares_mandatory=not self.applies_to_mandatory,
        )

    def is_irrelevant(self, context: Context) -> bool:
        """Return whether the policy passes every candidate, because the customer has no outcomes that it could read."""
        return bool(self.outcomes) and not context.customer.last_outcome_ms


def compile_policy(policy: ContactPolicy, members: ScopeMembers) -> Policy:
    """Compile a policy.

    Raises:
        ConfigError: Its config does not fit its type, or it is a cap without a maximum.
        ConditionError: A condition in it cannot be evaluated.
    """
    kind, make = _TYPES[policy.rule_type]
    config = read_config(policy.config, kind)
    if isinstance(config, CapConfig):
        _check_maximum(config)
    return Policy(
        entity=policy,
        scopes=scopes_of(policy),
        check=make(config, members),
        overrides=policy.rule_type == "allow_override",
        applies_to_mandatory=policy.rule_type in ("frequency_cap", "cross_channel_cap") or not config.bypassable,
        windows=frozenset(window for window, _ in config.list_limits())
        if isinstance(config, CapConfig)
        else frozenset(),
        outcomes=_list_outcomes(config),
        outcome_days=_find_outcome_days(config),
        contact_days=_find_contact_days(config),
        members=members,
        is_shared=_is_shared(config),
        is_static=isinstance(config, OverrideConfig) and all(is_entity_field(test.field) for test in config.conditions),
        is_history_only=policy.rule_type in ("frequency_cap", "cooldown", "outcome_based"),
        covers_offer=_choose_offer_filter(config),
        limits_exposure=isinstance(config, ExclusionConfig)
        or (isinstance(config, CapConfig) and config.counts in ("impressions", "contacts")),
    )


def _is_shared(config: PolicyConfig) -> bool:
    if isinstance(config, OverrideConfig):
        return not any(is_candidate_field(condition.field) for condition in config.conditions)
    return not isinstance(config, BudgetConfig | ExclusionConfig | CategoryConfig)


def _choose_offer_filter(config: PolicyConfig) -> Callable[[Offer], bool]:
    if isinstance(config, ExclusionConfig):
        return lambda offer: offer.id in config.offer_group
    if isinstance(config, BudgetConfig):
        return lambda offer: offer.budget != Budget()
    return lambda _offer: True


def _check_maximum(config: CapConfig) -> None:
    if not config.list_limits():
        known = "maxPerDay, maxPerWeek, maxPerMonth, maxTotal, maxContacts"
        raise ConfigError(Fault("", f"a cap needs a maximum: one of {known}"))
    if config.max_contacts is None and (config.window_days or config.window_hours):
        raise ConfigError(Fault("maxContacts", "is required with windowDays or windowHours"))


def _list_outcomes(config: PolicyConfig) -> frozenset[str]:
    if isinstance(config, OutcomeConfig):
        return frozenset((*config.outcomes, *config.ended_by))
    return frozenset(config.after_outcome) if isinstance(config, CategoryConfig) else frozenset()


def _find_outcome_days(config: PolicyConfig) -> float:
    if isinstance(config, OutcomeConfig):
        return config.suppress_for_days
    return config.suppression_days if isinstance(config, CategoryConfig) else 0.0


def _find_contact_days(config: PolicyConfig) -> float:
    if isinstance(config, CooldownConfig):
        return config.cooldown_hours / _DAY_HOURS
    return config.within_days if isinstance(config, ExclusionConfig) else 0.0


_DAY_HOURS: Final = 24
_TYPES: Final[Mapping[str, tuple[type[PolicyConfig], Callable[[Any, ScopeMembers], Check]]]] = {
    "frequency_cap": (CapConfig, compile_cap),
    "cooldown": (CooldownConfig, compile_cooldown),
    "budget_exhausted": (BudgetConfig, compile_budget),
    "outcome_based": (OutcomeConfig, compile_outcome),
    "segment_exclusion": (SegmentConfig, compile_segments),
    "time_window": (HoursConfig, compile_hours),
    "mutual_exclusion": (ExclusionConfig, compile_exclusion),
    "cross_channel_cap": (CapConfig, compile_cap_over_everything),
    "customer_total_cap": (CapConfig, compile_cap_over_everything),
    "allow_override": (OverrideConfig, compile_override),
    "category_suppression": (CategoryConfig, compile_category),
    "metric_condition": (MetricConfig, compile_metric),
}

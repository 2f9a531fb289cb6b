"""Qualification rules: their configs, and their compilation into checks of candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

import msgspec

from rapport.domain.catalogue.strategy import RuleStage
from rapport.domain.catalogue.values import Scope
from rapport.domain.conditions import Condition, Operator, compile_condition, is_candidate_field, is_entity_field
from rapport.domain.configs import Config, read_config
from rapport.domain.decisions.eligibility.scopes import (
    ScopeMembers,
    find_scope_faults,
    scopes_of,
)
from rapport.domain.decisions.verdict import PASSED, Effect, RuleVerdict, Verdict
from rapport.domain.periods import DAY_MS
from rapport.domain.times import InstantError, parse_instant

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import QualificationRule
    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.facts import Selection

Check = Callable[["Candidate", "Context", "Selection", str], Verdict]
"""Check of a candidate, with the signature of a policy's check; rules count no contacts and ignore the last two."""
RuleCheck = Callable[["Candidate", "Context"], Verdict]
OnMissing: TypeAlias = Literal["pass", "fail"]


class SegmentRule(Config, frozen=True, kw_only=True):
    """Requires the customer to be in all of these segments; none is no requirement."""

    required_segments: Sequence[str] = ()


class ValueRule(Config, frozen=True, kw_only=True):
    """Requirement on a value.

    Attributes:
        on_missing: Verdict if there is no such value; None for the default of the rule's type and stage.
    """

    on_missing: OnMissing | None = None


class AttributeRule(ValueRule, frozen=True, kw_only=True):
    """Condition on ``customer.*``, ``attributes.*`` or another field; a bare name is an attribute of the customer."""

    attribute: str
    operator: Operator = "eq"
    value: Any = None


class PropensityRule(ValueRule, frozen=True, kw_only=True):
    """Minimum of the propensity that the request gives for the offer."""

    min_score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    model: str = ""


class RecencyRule(ValueRule, frozen=True, kw_only=True):
    """Maximum age, in days, of a date among the customer's attributes."""

    attribute: str
    max_days: Annotated[float, msgspec.Meta(gt=0)]


class MetricRule(ValueRule, frozen=True, kw_only=True):
    """Condition on a behavioral metric."""

    metric: str
    operator: Operator = "gte"
    value: Any = None


class OfferRule(ValueRule, frozen=True, kw_only=True):
    """Condition on a field of the offer."""

    attribute: str
    operator: Operator = "eq"
    value: Any = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Compiled qualification rule.

    Attributes:
        check: Evaluates the rule, without regard to its scopes.
        is_shared: Whether the verdict is the same for all candidates under the same scope.
        is_static: Whether the verdict depends on nothing but the offer, creative and channel of the candidate.
    """

    entity: QualificationRule
    scopes: Sequence[Scope]
    check: Check
    members: ScopeMembers
    is_shared: bool
    is_static: bool = False

    def block(self, verdict: Verdict) -> RuleVerdict:
        """Return a blocking verdict of its check as a verdict of the rule; one of stage match only lowers the fit."""
        rule = self.entity
        effect: Effect = "lowers_fit" if rule.stage is RuleStage.MATCH else "removes"
        return RuleVerdict(rule.id, rule.name, verdict, rule.rule_type, effect, multiplier=rule.multiplier)

    def is_irrelevant(self, _context: Context) -> bool:
        """Return whether the rule passes every candidate of this customer; never known in advance for rules."""
        return False


def compile_rule(rule: QualificationRule, members: ScopeMembers) -> Rule:
    """Compile a rule.

    Raises:
        ConfigError: Its config does not fit its type.
        ConditionError: Its condition cannot be evaluated.
    """
    kind, make = _TYPES[rule.rule_type]
    config = read_config(rule.config, kind)
    check = _as_check(make(config, _choose_on_missing(config, rule.stage)))
    return Rule(rule, scopes_of(rule), check, members, _is_shared(config), _is_static(config))


def _choose_on_missing(config: Config, stage: RuleStage) -> OnMissing:
    """Return the verdict of a rule whose value is missing, unless the config sets it.

    A rule of stage eligibility fails, because eligibility must be established. At the other stages, which are about
    suitability, a missing attribute or propensity passes. Missing dates, metrics and offer fields fail at every stage.
    """
    if isinstance(config, ValueRule) and config.on_missing is not None:
        return config.on_missing
    is_lenient = isinstance(config, AttributeRule | PropensityRule) and stage is not RuleStage.ELIGIBILITY
    return "pass" if is_lenient else "fail"


def make_blocking_rule(rule: QualificationRule, members: ScopeMembers, fault: str) -> Rule:
    """Return a rule that blocks every candidate in place of one that cannot be compiled.

    It applies under the scopes of the original, or globally if these are faulty, too.
    """
    verdict = Verdict(True, f"the rule cannot be evaluated: {fault}", is_fault=True)
    scopes = [Scope()] if find_scope_faults(rule) else scopes_of(rule)
    return Rule(rule, scopes, lambda *_: verdict, members, is_shared=True)


def _as_check(rule_check: RuleCheck) -> Check:
    return lambda candidate, context, _selection, _scope: rule_check(candidate, context)


def _is_shared(config: Config) -> bool:
    if isinstance(config, AttributeRule | RecencyRule):
        return "." not in config.attribute or not is_candidate_field(config.attribute)
    return isinstance(config, SegmentRule | MetricRule)


def _is_static(config: Config) -> bool:
    return isinstance(config, OfferRule) or (isinstance(config, AttributeRule) and is_entity_field(config.attribute))


def _compile_segments(config: SegmentRule, _missing: OnMissing) -> RuleCheck:
    required = frozenset(config.required_segments)

    def check(_candidate: Candidate, context: Context) -> Verdict:
        missing = sorted(required - context.segments)
        if not missing:
            return PASSED
        detail = {"required": sorted(required), "actual": sorted(context.segments)}
        return Verdict(True, f"Missing required segments: {', '.join(missing)}", detail)

    return check


def _compile_attribute(config: AttributeRule, missing: OnMissing) -> RuleCheck:
    name = config.attribute if "." in config.attribute else f"customer.{config.attribute}"
    return _compile_condition(name, config.attribute, config.operator, config.value, missing)


def _compile_offer(config: OfferRule, missing: OnMissing) -> RuleCheck:
    name = config.attribute if config.attribute.startswith("offer.") else f"offer.{config.attribute}"
    return _compile_condition(name, config.attribute, config.operator, config.value, missing)


def _compile_metric(config: MetricRule, missing: OnMissing) -> RuleCheck:
    name = f"metric.{config.metric}"
    return _compile_condition(name, config.metric, config.operator, config.value, missing)


def _compile_condition(name: str, label: str, operator: Operator, value: object, missing: OnMissing) -> RuleCheck:
    test = compile_condition(Condition(field=name, operator=operator, value=value))

    def check(candidate: Candidate, context: Context) -> Verdict:
        actual = context.lookup(name, candidate)
        if actual is None and not test.tests_presence:
            if missing == "pass":
                return PASSED
        elif test.holds(actual):
            return PASSED
        detail = {"attribute": label, "operator": operator, "expected": value, "actual": actual}
        what = "is not known" if actual is None else f"is {actual!r}"
        return Verdict(True, f"{label} {what}, wanted is {operator} {value!r}", detail)

    return check


def _compile_propensity(config: PropensityRule, missing: OnMissing) -> RuleCheck:
    def check(candidate: Candidate, context: Context) -> Verdict:
        actual = context.request.propensities.get(candidate.offer.id)
        if missing == "pass" if actual is None else actual >= config.min_score:
            return PASSED
        detail = {"model": config.model, "minScore": config.min_score, "actualScore": actual}
        what = "is not known" if actual is None else f"{actual:.3f} is below {config.min_score:g}"
        return Verdict(True, f"propensity {what}", detail)

    return check


def _compile_recency(config: RecencyRule, missing: OnMissing) -> RuleCheck:
    name = config.attribute if "." in config.attribute else f"customer.{config.attribute}"

    def check(candidate: Candidate, context: Context) -> Verdict:
        at_ms = _parse_instant_ms(context.lookup(name, candidate))
        days = None if at_ms is None else (context.now_ms - at_ms) / DAY_MS
        if missing == "pass" if days is None else days <= config.max_days:
            return PASSED
        detail = {"attribute": config.attribute, "maxDays": config.max_days, "actualDays": days and round(days, 2)}
        what = "has no date" if days is None else f"lies {days:.1f} days back"
        return Verdict(True, f"{config.attribute} {what}, at most {config.max_days:g} days are wanted", detail)

    return check


def _parse_instant_ms(value: object) -> int | None:
    try:
        return parse_instant(value) if isinstance(value, str | int | float) else None
    except InstantError:
        return None


_TYPES: Final[Mapping[str, tuple[type[Config], Callable[[Any, OnMissing], RuleCheck]]]] = {
    "segment_required": (SegmentRule, _compile_segments),
    "attribute_condition": (AttributeRule, _compile_attribute),
    "propensity_threshold": (PropensityRule, _compile_propensity),
    "recency_check": (RecencyRule, _compile_recency),
    "metric_condition": (MetricRule, _compile_metric),
    "offer_attribute": (OfferRule, _compile_offer),
}

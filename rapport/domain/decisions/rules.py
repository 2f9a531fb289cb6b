"""Qualification rules: who may get an offer, and for whom it fits less well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from rapport.domain.catalogue.values import Scope
from rapport.domain.decisions.conditions import Condition, Operator, asks_candidate, compile_condition
from rapport.domain.decisions.configs import Config, read_config
from rapport.domain.decisions.scopes import Members, describe, find_scope_flaws, scopes_of, selection_for
from rapport.domain.decisions.verdicts import PASSED, Verdict
from rapport.domain.periods import DAY_MS
from rapport.domain.times import InstantError, parse_instant

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import QualificationRule
    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.facts import Selection

Check = Callable[["Candidate", "Context", "Selection", str], Verdict]
"""Judges a candidate, as those of policies do; a rule counts no contacts, so the last two do not matter to it."""
Judge = Callable[["Candidate", "Context"], Verdict]


class SegmentRule(Config, frozen=True, kw_only=True):
    """The customer must be in all of these segments; none is no requirement."""

    required_segments: Sequence[str] = ()


class AttributeRule(Config, frozen=True, kw_only=True):
    """A condition on ``customer.*``, ``attributes.*`` or another field; a bare name is the customer's.

    A customer without the attribute passes, unless the operator asks whether there is one.
    """

    attribute: str
    operator: Operator = "eq"
    value: Any = None


class PropensityRule(Config, frozen=True, kw_only=True):
    """The offer's propensity must reach a minimum; without any it counts as 0.5."""

    min_score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    model: str = ""


class RecencyRule(Config, frozen=True, kw_only=True):
    """A date of the customer must not lie further back than some days; without the date the rule fails."""

    attribute: str
    max_days: Annotated[float, msgspec.Meta(gt=0)]


class MetricRule(Config, frozen=True, kw_only=True):
    """A behavioral metric must fulfil a condition; without a value the rule fails."""

    metric: str
    operator: Operator = "gte"
    value: Any = None


class OfferRule(Config, frozen=True, kw_only=True):
    """A field of the offer must fulfil a condition."""

    attribute: str
    operator: Operator = "eq"
    value: Any = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to be applied.

    Attributes:
        is_shared: Whether it says the same about all candidates under the same scope.
    """

    entity: QualificationRule
    scopes: Sequence[Scope]
    check: Check
    members: Members
    is_shared: bool

    def is_quiet(self, _context: Context) -> bool:
        """Whether it lets all candidates pass whatever they are: there is no rule of which that is known."""
        return False

    def judge(self, candidate: Candidate, context: Context) -> Verdict | None:
        """What it says; None where it does not apply to the candidate."""
        for scope in self.scopes:
            selection = selection_for(scope, candidate, context, self.members)
            if selection is not None:
                return self.check(candidate, context, selection, describe(scope))
        return None


def compile_rule(rule: QualificationRule, members: Members) -> Rule:
    """Prepare a rule.

    Raises:
        ConfigError: Its config does not fit its type.
        ConditionError: Its condition cannot be evaluated.
    """
    kind, make = _TYPES[rule.rule_type]
    config = read_config(rule.config, kind)
    return Rule(rule, scopes_of(rule), _as_check(make(config)), members, _is_shared(config))


def blocking_rule(rule: QualificationRule, members: Members, fault: str) -> Rule:
    """What stands for a rule that cannot be read: nobody fulfils it, where its scopes say so or all over."""
    verdict = Verdict(True, f"the rule cannot be evaluated: {fault}", is_fault=True)
    scopes = [Scope()] if find_scope_flaws(rule) else scopes_of(rule)
    return Rule(rule, scopes, lambda *_: verdict, members, is_shared=True)


def _as_check(judge: Judge) -> Check:
    return lambda candidate, context, _selection, _scope: judge(candidate, context)


def _is_shared(config: Config) -> bool:
    if isinstance(config, AttributeRule | RecencyRule):
        return "." not in config.attribute or not asks_candidate(config.attribute)
    return isinstance(config, SegmentRule | MetricRule)


def _segments(config: SegmentRule) -> Judge:
    required = frozenset(config.required_segments)

    def check(_candidate: Candidate, context: Context) -> Verdict:
        missing = sorted(required - context.segments)
        if not missing:
            return PASSED
        detail = {"required": sorted(required), "actual": sorted(context.segments)}
        return Verdict(True, f"Missing required segments: {', '.join(missing)}", detail)

    return check


def _attribute(config: AttributeRule) -> Judge:
    name = config.attribute if "." in config.attribute else f"customer.{config.attribute}"
    return _condition(name, config.attribute, config.operator, config.value, passes_without=True)


def _offer(config: OfferRule) -> Judge:
    name = config.attribute if config.attribute.startswith("offer.") else f"offer.{config.attribute}"
    return _condition(name, config.attribute, config.operator, config.value, passes_without=False)


def _metric(config: MetricRule) -> Judge:
    name = f"metric.{config.metric}"
    return _condition(name, config.metric, config.operator, config.value, passes_without=False)


def _condition(name: str, label: str, operator: Operator, value: object, *, passes_without: bool) -> Judge:
    test = compile_condition(Condition(field=name, operator=operator, value=value))

    def check(candidate: Candidate, context: Context) -> Verdict:
        actual = context.lookup(name, candidate)
        if actual is None and not test.asks_for_presence:
            if passes_without:
                return PASSED
        elif test.holds(actual):
            return PASSED
        detail = {"attribute": label, "operator": operator, "expected": value, "actual": actual}
        return Verdict(True, f"{label} is {actual!r}, wanted is {operator} {value!r}", detail)

    return check


def _propensity(config: PropensityRule) -> Judge:
    def check(candidate: Candidate, context: Context) -> Verdict:
        actual = context.request.propensities.get(candidate.offer.id, 0.5)
        if actual >= config.min_score:
            return PASSED
        detail = {"model": config.model, "minScore": config.min_score, "actualScore": actual}
        return Verdict(True, f"propensity {actual:.3f} is below {config.min_score:g}", detail)

    return check


def _recency(config: RecencyRule) -> Judge:
    name = config.attribute if "." in config.attribute else f"customer.{config.attribute}"

    def check(candidate: Candidate, context: Context) -> Verdict:
        at_ms = _instant_ms(context.lookup(name, candidate))
        days = None if at_ms is None else (context.now_ms - at_ms) / DAY_MS
        if days is not None and days <= config.max_days:
            return PASSED
        detail = {"attribute": config.attribute, "maxDays": config.max_days, "actualDays": days and round(days, 2)}
        what = "has no date" if days is None else f"lies {days:.1f} days back"
        return Verdict(True, f"{config.attribute} {what}, at most {config.max_days:g} days are wanted", detail)

    return check


def _instant_ms(value: object) -> int | None:
    try:
        return parse_instant(value) if isinstance(value, str | int | float) else None
    except InstantError:
        return None


_TYPES: Final[Mapping[str, tuple[type[Config], Callable[[Any], Judge]]]] = {
    "segment_required": (SegmentRule, _segments),
    "attribute_condition": (AttributeRule, _attribute),
    "propensity_threshold": (PropensityRule, _propensity),
    "recency_check": (RecencyRule, _recency),
    "metric_condition": (MetricRule, _metric),
    "offer_attribute": (OfferRule, _offer),
}

"""Scorecards: models that add points for each condition that holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from rapport.domain.catalogue.strategy import ScorecardRule
from rapport.domain.conditions import CompiledCondition, Condition, ConditionError, compile_condition
from rapport.domain.configs import Config, ConfigError
from rapport.domain.decisions.model import CandidateScorer, ModelScore, Scorer, is_candidate_field, read_field
from rapport.domain.faults import Fault

if TYPE_CHECKING:
    from random import Random

    from rapport.domain.decisions.candidates import Candidate, Context


class ScorecardConfig(Config, frozen=True, kw_only=True):
    """Scorecard: a base score and rules that add points.

    Attributes:
        min_score: Start of the scale of raw scores.
        max_score: End of the scale.
        normalization: Mapping of raw scores to 0..1. sigmoid: ``1 / (1 + e^-x)`` with x = 6 times the distance from
            the middle of the scale, divided by its length; linear: position on the scale, clipped at its ends.
        rules: Rules, each a :class:`~rapport.domain.catalogue.strategy.ScorecardRule`; decoded one by one, so that
            every fault is found.
    """

    name: str = ""
    base_score: float = 50.0
    min_score: float = 0.0
    max_score: float = 100.0
    normalization: Literal["sigmoid", "linear"] = "sigmoid"
    rules: Sequence[Mapping[str, Any]] = ()


class _CompiledPoints(NamedTuple):
    field: str
    test: CompiledCondition
    points: float
    hit: Mapping[str, Any]
    miss: Mapping[str, Any]

    def holds(self, candidate: Candidate, context: Context) -> bool:
        """Return whether the condition holds; it never does for a field without a value."""
        value = read_field(self.field, candidate, context)
        return value is not None and self.test.holds(value)


def compile_scorecard(config: ScorecardConfig) -> Scorer:
    """Compile a scorecard.

    Raises:
        ConfigError: The config is faulty; the error lists every fault.
    """
    rules = _compile_rules(config)
    normalize = _make_sigmoid_scale(config) if config.normalization == "sigmoid" else _make_linear_scale(config)

    def begin(context: Context, _random: Random) -> CandidateScorer:
        own = frozenset(rule.field for rule in rules if is_candidate_field(rule.field, context))
        shared: dict[int, bool] = {}

        def score(candidate: Candidate) -> ModelScore:
            raw = config.base_score
            explanations: list[Mapping[str, Any]] = []
            for index, rule in enumerate(rules):
                holds = shared.get(index)
                if holds is None:
                    holds = rule.holds(candidate, context)
                    if rule.field not in own:
                        shared[index] = holds
                raw += rule.points if holds else 0.0
                explanations.append(rule.hit if holds else rule.miss)
            return ModelScore(normalize(raw), {"rawScore": raw, "explanations": explanations})

        return score

    return Scorer(learns=False, begin=begin)


def _compile_rules(config: ScorecardConfig) -> list[_CompiledPoints]:
    faults: list[Fault] = []
    if config.max_score <= config.min_score:
        faults.append(Fault("maxScore", f"{config.max_score:g} must be above minScore, {config.min_score:g}"))
    rules: list[_CompiledPoints] = []
    seen: set[str] = set()
    for index, given in enumerate(config.rules):
        try:
            rule = msgspec.convert(given, ScorecardRule)
            rules.append(_compile_rule(rule))
        except (msgspec.ValidationError, ConditionError) as error:
            faults.append(Fault(f"rules[{index}]", str(error).replace("`$.", "`")))
            continue
        if rule.id in seen:
            faults.append(Fault(f"rules[{index}].id", f"{rule.id} occurs twice"))
        seen.add(rule.id)
    if faults:
        raise ConfigError(*faults)
    return rules


def _compile_rule(rule: ScorecardRule) -> _CompiledPoints:
    test = compile_condition(Condition(field=rule.field, operator=rule.operator, value=rule.value))
    about = {"id": rule.id, "field": rule.field, "description": rule.description}
    hit = {**about, "matched": True, "points": rule.points}
    return _CompiledPoints(rule.field, test, rule.points, hit, {**about, "matched": False, "points": 0.0})


def _make_sigmoid_scale(config: ScorecardConfig) -> Callable[[float], float]:
    middle, length = (config.max_score + config.min_score) / 2, config.max_score - config.min_score
    return lambda raw: sigmoid((raw - middle) / length * 6)


def _make_linear_scale(config: ScorecardConfig) -> Callable[[float], float]:
    low, length = config.min_score, config.max_score - config.min_score
    return lambda raw: min(1.0, max(0.0, (raw - low) / length))


def sigmoid(x: float) -> float:
    """Return ``1 / (1 + e^-x)`` without overflow far from 0."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    small = math.exp(x)
    return small / (1 + small)

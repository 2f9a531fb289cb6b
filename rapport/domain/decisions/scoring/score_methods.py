"""Methods of the score node: functions from propensities to scores, before fit and levers, for all candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.decisions.scoring.factor_weights import choose_exponents
from rapport.domain.decisions.scoring.factors import Factors
from rapport.domain.decisions.valuation import Valuation
from rapport.domain.formulas import Formula, FormulaError, compile_formula
from rapport.domain.numbers import MAX_NUMBER

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.node_types import ScoreConfig
    from rapport.domain.decisions.run import Run


class ScoreFunction(NamedTuple):
    """Score of one candidate as a function of its propensity.

    Attributes:
        apply: Maps a propensity to the score.
        explanation: Other inputs of the score, for the trace.
        plain: Score and valuation of a candidate without a propensity, whose score nothing multiplies; None to make
            them.
    """

    apply: Callable[[float], float]
    explanation: Mapping[str, Any]
    plain: tuple[float, Valuation] | None = None


ScoreMethod = Callable[["Sequence[Candidate]"], "list[ScoreFunction]"]


def choose_method(run: Run, config: ScoreConfig, name: str) -> ScoreMethod:
    """Return the scoring method of a name, prepared for a run."""
    if name == "propensity":
        return _score_by_propensity
    if name == "priority_weighted":
        return score_by_priority
    return _make_expression_method(run, config) if config.expression else _make_factor_method(run, config)


def weight_of(candidate: Candidate) -> float:
    """Return the creative's weight, from 0 to 1; 1 without a creative."""
    return candidate.creative.weight / 100 if candidate.creative else 1.0


def score_by_priority(candidates: Sequence[Candidate]) -> list[ScoreFunction]:
    """Score candidates by their priority times their weight, both from 0 to 1."""
    return [
        _make_priority_score(
            candidate.offer.priority, 100.0 if (creative := candidate.creative) is None else creative.weight
        )
        for candidate in candidates
    ]


@lru_cache(maxsize=4_096)
def _make_priority_score(priority: int, percent: float) -> ScoreFunction:
    weight = percent / 100
    score = priority / 100 * weight

    def apply(_propensity: float) -> float:
        return score

    return ScoreFunction(apply, {"priority": priority, "weight": weight}, (score, Valuation(None, apply, 1.0)))


def _identity(propensity: float) -> float:
    return propensity


_PROPENSITY: Final = ScoreFunction(_identity, {})


def _score_by_propensity(candidates: Sequence[Candidate]) -> list[ScoreFunction]:
    return [_PROPENSITY] * len(candidates)


def _make_factor_method(run: Run, config: ScoreConfig) -> ScoreMethod:
    """Return the method ``P^Wp * R^Wr * I^Wi * E^We``: a factor of 0 makes the score 0 unless its weight is 0.

    P is the propensity, R the relevance, I the impact, E the emphasis; the weights are the node's exponents.
    """
    factors, choose = Factors(run.context, config.reference_value), choose_exponents(run, config)

    def score_one(candidate: Candidate) -> ScoreFunction:
        exponents = choose(candidate)
        relevance, impact = factors.compute_relevance(candidate), factors.compute_impact(candidate)
        emphasis = factors.compute_emphasis(candidate)
        others = relevance**exponents.relevance * impact**exponents.impact * emphasis**exponents.emphasis
        explanation = {
            "factors": {"relevance": relevance, "impact": impact, "emphasis": emphasis},
            "weights": exponents._asdict(),
        }
        return ScoreFunction(lambda propensity: propensity**exponents.propensity * others, explanation)

    return lambda candidates: list(map(score_one, candidates))


_FACTORS: Final[Mapping[str, Callable[[Factors, Candidate], float]]] = {
    "relevance": Factors.compute_relevance,
    "impact": Factors.compute_impact,
    "emphasis": Factors.compute_emphasis,
    "fit": lambda _factors, candidate: candidate.fit,
    "weight": lambda _factors, candidate: weight_of(candidate),
}
"""Names available to score formulas besides ``propensity`` and those of :meth:`Context.lookup`."""


def _make_expression_method(run: Run, config: ScoreConfig) -> ScoreMethod:
    """Return the method that evaluates the tenant's own formula.

    The score may exceed 1. A result that is no number or below 0 counts as 0, and one above :data:`MAX_NUMBER` as that,
    so that no factor makes the score infinite. If the formula cannot be compiled, priority and weight are used instead.
    """
    text = config.expression
    try:
        formula = _compile_cached(text)
    except FormulaError as error:
        run.recorder.problems.append(f"the formula of node {run.node} cannot be used: {error}")
        return score_by_priority
    factors, context = Factors(run.context, config.reference_value), run.context
    used = [name for name in _FACTORS if name in formula.names]

    def score_one(candidate: Candidate) -> ScoreFunction:
        inputs = {name: _FACTORS[name](factors, candidate) for name in used}

        def score(propensity: float) -> float:
            values: Mapping[str, object] = {**inputs, "propensity": propensity}
            result = formula.evaluate(lambda name: values[name] if name in values else context.lookup(name, candidate))
            return min(max(0.0, result), MAX_NUMBER) if isinstance(result, float) else 0.0

        return ScoreFunction(score, {"expression": text, "factors": inputs})

    return lambda candidates: list(map(score_one, candidates))


@lru_cache(maxsize=256)
def _compile_cached(text: str) -> Formula:
    return compile_formula(text)

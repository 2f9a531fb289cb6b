"""The methods of the score node: from a candidate and its propensity to a score, before fit and levers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.decisions.scoring.factor_weights import exponents_for
from rapport.domain.decisions.scoring.factors import Factors
from rapport.domain.formulas import Formula, FormulaError, compile_formula
from rapport.domain.numbers import MAX_NUMBER

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.node_types import ScoreConfig
    from rapport.domain.decisions.run import Run


class Worth(NamedTuple):
    """What a method makes of one candidate.

    Attributes:
        of: From a propensity to a score.
        explanation: What else went into it.
    """

    of: Callable[[float], float]
    explanation: Mapping[str, Any]


Method = Callable[["Candidate"], Worth]


def method_for(run: Run, config: ScoreConfig, name: str) -> Method:
    """The method of a name, for the candidates of a run."""
    if name == "propensity":
        return _propensity
    if name == "priority_weighted":
        return weigh_priority
    return _by_expression(run, config) if config.expression else _by_factors(run, config)


def weight_of(candidate: Candidate) -> float:
    """The creative's weight, from 0 to 1; 1 without a creative."""
    return candidate.creative.weight / 100 if candidate.creative else 1.0


def weigh_priority(candidate: Candidate) -> Worth:
    """Priority times weight, both from 0 to 1."""
    return _by_priority(candidate.offer.priority, weight_of(candidate))


@lru_cache(maxsize=4_096)
def _by_priority(priority: int, weight: float) -> Worth:
    score = priority / 100 * weight
    return Worth(lambda _propensity: score, {"priority": priority, "weight": weight})


def _identity(propensity: float) -> float:
    return propensity


_PROPENSITY: Final = Worth(_identity, {})


def _propensity(_candidate: Candidate) -> Worth:
    return _PROPENSITY


def _by_factors(run: Run, config: ScoreConfig) -> Method:
    """``P^Wp * R^Wr * I^Wi * E^We``: a factor of 0 makes the score 0, unless its weight is 0."""
    factors, choose = Factors(run.context, config.reference_value), exponents_for(run, config)

    def worth(candidate: Candidate) -> Worth:
        exponents = choose(candidate)
        relevance, impact = factors.relevance(candidate), factors.impact(candidate)
        emphasis = factors.emphasis(candidate)
        others = relevance**exponents.relevance * impact**exponents.impact * emphasis**exponents.emphasis
        explanation = {
            "factors": {"relevance": relevance, "impact": impact, "emphasis": emphasis},
            "weights": exponents._asdict(),
        }
        return Worth(lambda propensity: propensity**exponents.propensity * others, explanation)

    return worth


_FACTORS: Final[Mapping[str, Callable[[Factors, Candidate], float]]] = {
    "relevance": Factors.relevance,
    "impact": Factors.impact,
    "emphasis": Factors.emphasis,
    "fit": lambda _factors, candidate: candidate.fit,
    "weight": lambda _factors, candidate: weight_of(candidate),
}
"""Names of a score formula besides ``propensity`` and those of :meth:`Context.lookup`."""


def _by_expression(run: Run, config: ScoreConfig) -> Method:
    """A tenant's own formula; it is no propensity, so that it may exceed 1.

    Without a number, or below 0, it is 0; beyond :data:`MAX_NUMBER` it is that, so that no factor makes it infinite.
    """
    text = config.expression
    try:
        formula = _compiled(text)
    except FormulaError as error:
        run.recorder.problems.append(f"the formula of node {run.node} cannot be used: {error}")
        return weigh_priority
    factors, context = Factors(run.context, config.reference_value), run.context
    own = [name for name in _FACTORS if name in formula.names]

    def worth(candidate: Candidate) -> Worth:
        known = {name: _FACTORS[name](factors, candidate) for name in own}

        def score(propensity: float) -> float:
            values: Mapping[str, object] = {**known, "propensity": propensity}
            found = formula.evaluate(lambda name: values[name] if name in values else context.lookup(name, candidate))
            return min(max(0.0, found), MAX_NUMBER) if isinstance(found, float) else 0.0

        return Worth(score, {"expression": text, "factors": known})

    return worth


@lru_cache(maxsize=256)
def _compiled(text: str) -> Formula:
    return compile_formula(text)

"""Optimize node: arbitration by the weighted objectives of a ranking profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rapport.domain.decisions.scoring.factors import OBJECTIVES, Factors
from rapport.domain.decisions.scoring.propensity import DEFAULT, PropensityEstimator
from rapport.domain.decisions.valuation import Valuation

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.node_types import OptimizeConfig
    from rapport.domain.decisions.run import Run


def optimize_candidates(run: Run, config: OptimizeConfig) -> None:
    """Score every candidate by the weighted mean of its objectives, times its fit, times its levers.

    The node's own weights override those of the profile. Unknown objectives (see
    :data:`rapport.domain.decisions.scoring.factors.OBJECTIVES`) are ignored and noted in the trace. If no weight is
    left, the scores stay as they are.
    """
    weights = _merge_weights(run, config)
    total = sum(weights.values())
    if not total:
        run.recorder.problems.append(f"node {run.node} weighs none of {', '.join(OBJECTIVES)}: the scores stay")
        return
    of_propensity = sum(weight for name, weight in weights.items() if OBJECTIVES[name] is None) / total
    factors, propensities = Factors(run.context, config.reference_value), PropensityEstimator(run.context)
    explanations: list[Mapping[str, object]] = []
    for candidate in run.candidates:
        objectives = {
            name: measure(factors, candidate) for name in weights if (measure := OBJECTIVES[name]) is not None
        }
        others = sum(weights[name] * value for name, value in objectives.items()) / total
        if of_propensity:
            propensity = _find_propensity(candidate, propensities)
            objectives |= {name: propensity for name in weights if OBJECTIVES[name] is None}
        else:
            propensity = DEFAULT
        _replace_score(candidate, others, of_propensity, propensity)
        explanations.append({"method": "optimize", "objectives": objectives, "weights": weights})
    run.recorder.note_scores(
        run.candidates, [candidate.score or 0.0 for candidate in run.candidates], lambda: explanations
    )


def _merge_weights(run: Run, config: OptimizeConfig) -> dict[str, float]:
    given = dict(config.weights)
    if config.profile_id:
        profile = run.catalogue.profiles.get(config.profile_id)
        if profile is None:
            run.recorder.problems.append(f"ranking profile {config.profile_id} of node {run.node} is not active")
        else:
            given = {**profile.weights, **given}
    unknown = sorted(given.keys() - OBJECTIVES.keys())
    if unknown:
        run.recorder.problems.append(f"node {run.node} leaves out unknown objectives: {', '.join(unknown)}")
    return {name: weight for name, weight in given.items() if name in OBJECTIVES}


def _find_propensity(candidate: Candidate, propensities: PropensityEstimator) -> float:
    if candidate.valuation is not None and candidate.valuation.propensity is not None:
        return candidate.valuation.propensity
    value = propensities.estimate(candidate).value
    return DEFAULT if value is None else value


def _replace_score(candidate: Candidate, others: float, of_propensity: float, propensity: float) -> None:
    before = candidate.valuation
    factor = before.factor if before else candidate.fit

    def score(value: float) -> float:
        return others + of_propensity * value

    exploration = before.exploration if before and of_propensity else None
    candidate.score = score(propensity) * factor
    candidate.valuation = Valuation(propensity, score, factor, exploration)

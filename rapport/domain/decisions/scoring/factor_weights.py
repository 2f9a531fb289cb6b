"""Exponents of the four factors in the score formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.domain.decisions.node_types import FormulaWeights, ScoreConfig, StrategyOverride

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.run import Run


class Exponents(NamedTuple):
    """Exponents of the factors; they add up to 1."""

    propensity: float
    relevance: float
    impact: float
    emphasis: float


FACTOR_BY_OBJECTIVE: Final[Mapping[str, str]] = {
    "propensity": "propensity",
    "conversion": "propensity",
    "relevance": "relevance",
    "recency": "relevance",
    "fatigue": "relevance",
    "impact": "impact",
    "margin": "impact",
    "revenue": "impact",
    "emphasis": "emphasis",
    "fairness": "emphasis",
}
"""Factor by objective of a ranking profile; the weights of objectives with the same factor are summed."""


def choose_exponents(run: Run, config: ScoreConfig) -> Callable[[Candidate], Exponents]:
    """Return a function from candidates to exponents: of the first covering override, else of the node itself."""
    default = _read_profile(run, config.strategy_profile_id) or _read_weights(config.formula or FormulaWeights())
    overrides = [
        (override, exponents)
        for override in config.strategy_overrides
        if (exponents := _read_profile(run, override.profile_id)) is not None
    ]

    def choose(candidate: Candidate) -> Exponents:
        for override, exponents in overrides:
            if _is_covered(override, candidate):
                return exponents
        return default

    return choose


def _is_covered(override: StrategyOverride, candidate: Candidate) -> bool:
    if override.scope == "category":
        return candidate.offer.category_id == override.value
    if override.scope == "productType":
        return candidate.offer.product_type == override.value
    return candidate.channel is not None and override.value in (candidate.channel.id, candidate.channel.channel_type)


def _read_weights(weights: FormulaWeights) -> Exponents:
    return Exponents(
        weights.propensity_weight, weights.relevance_weight, weights.impact_weight, weights.emphasis_weight
    )


def _read_profile(run: Run, profile_id: str) -> Exponents | None:
    """Return a profile's weights, summed by factor and scaled to a sum of 1; None if the profile cannot be used."""
    if not profile_id:
        return None
    profile = run.catalogue.profiles.get(profile_id)
    if profile is None:
        run.recorder.problems.append(f"ranking profile {profile_id} of node {run.node} is not active")
        return None
    sums = dict.fromkeys(Exponents._fields, 0.0)
    for objective, weight in profile.weights.items():
        if objective in FACTOR_BY_OBJECTIVE:
            sums[FACTOR_BY_OBJECTIVE[objective]] += weight
    total = sum(sums.values())
    if not total:
        run.recorder.problems.append(
            f"ranking profile {profile_id} weighs none of {', '.join(FACTOR_BY_OBJECTIVE)}: "
            f"node {run.node} goes without it"
        )
        return None
    return Exponents(**{factor: weight / total for factor, weight in sums.items()})

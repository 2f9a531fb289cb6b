"""Selection probability: the propensity with which a decision shows an offer, needed to learn from logged decisions.

**Definition.** For a candidate that reached the ranking: the probability that the ranking puts it into one of the
places, given the facts and the catalogue, so that only the draws of a bandit are random; times the share of all
customers to whom the same models and creatives are assigned (assignments are a hash of the customer's id). So:

* without a bandit, an experiment or competing creatives it is 1 for shown candidates and 0 for all others;
* for a creative that is assigned to 30 % of the customers it is 0.3;
* for a bandit it is estimated from about :data:`~rapport.domain.decisions.model.DRAWS` cases, one of which is the
  actual draw. Each case is ranked like the decision itself, so that the estimates add up to the number of places.

Candidates that an earlier placement of the same request shows are excluded: the probabilities of a placement are
conditional on the earlier placements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rapport.domain.decisions.scoring.rank_node import RankingPool

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.facts import Subject
    from rapport.domain.decisions.node_types import RankConfig
    from rapport.domain.decisions.run import Run
    from rapport.domain.decisions.valuation import Valuation


def estimate_selection_probabilities(
    run: Run, pool: Sequence[Candidate], config: RankConfig, places: int
) -> Mapping[Subject, float]:
    """Return the selection probability of each candidate, by subject.

    Args:
        run: Run after scoring.
        pool: Candidates before the ranking.
        config: Config of the rank node.
        places: Maximum number of candidates that are shown.
    """
    field = RankingPool.build(pool, run.context.now_ms, run.catalogue.columns)
    places = min(places, config.max_candidates)
    weights, cases = _list_score_cases(field.candidates)
    chances = [0.0] * len(field.candidates)
    for weight, scores in zip(weights, cases, strict=True):
        for index in field.rank(scores, config.method, places):
            chances[index] += weight
    return {
        candidate.subject: min(1.0, chance) * candidate.share
        for candidate, chance in zip(field.candidates, chances, strict=True)
    }


def _list_score_cases(candidates: Sequence[Candidate]) -> tuple[Sequence[float], Sequence[Sequence[float]]]:
    """Return the probability of each case, and the scores of all candidates in each case."""
    distributions = [
        candidate.valuation.distribution() if candidate.valuation and candidate.valuation.distribution else None
        for candidate in candidates
    ]
    weights = next((distribution.weights for distribution in distributions if distribution), None)
    if weights is None:
        return (1.0,), ([candidate.score or 0.0 for candidate in candidates],)
    rows: list[Sequence[float]] = []
    for candidate, distribution in zip(candidates, distributions, strict=True):
        score, valuation = candidate.score or 0.0, candidate.valuation
        if valuation is None or distribution is None:
            rows.append([score] * len(weights))
        else:
            factor = _find_factor(valuation, score)
            rows.append([valuation.score_function(propensity) * factor for propensity in distribution.scores])
    return weights, list(zip(*rows, strict=True))


def _find_factor(valuation: Valuation, score: float) -> float:
    """Return fit times levers, times the change that a plug-in has made to the score since."""
    base = valuation.score_function(valuation.propensity or 0.0)
    return score / base if base else valuation.factor

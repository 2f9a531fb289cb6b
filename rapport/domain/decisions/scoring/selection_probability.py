"""How probable it was that an offer was shown: what has to be known to learn from logged decisions.

**The definition.** Of a candidate that reached the ranking: the probability that the ranking puts it into one of the
places, given everything that was known of the customer, the catalogue and the answers so far, with nothing left to
chance but the draws of a bandit; times the part of all customers for whom models and creatives were picked in the same
way (their picks are a function of the customer's id, drawn once like a lot). So:

* without a bandit, an experiment and competing creatives it is 1 for what is shown and 0 for the rest;
* with a creative that 30 % of the customers get, it is 0.3;
* with a bandit it is estimated by :data:`~rapport.domain.decisions.model.DRAWS` cases, of which the draw
  that was made is one. The cases are ranked as the decision was, so that the estimates of all candidates add up to the
  places.

Candidates that an earlier placement of the same request took are not among the candidates: what later placements show
is given what the earlier ones did.
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
    """The probability of each candidate to be shown.

    Args:
        run: After scoring.
        pool: The candidates as they were before they were ranked.
        config: Of the rank node.
        places: How many are shown at most.
    """
    field = RankingPool.of(pool, run.context.now_ms)
    places = min(places, config.max_candidates)
    weights, cases = _list_score_cases(field.candidates)
    chances = [0.0] * len(field.candidates)
    for weight, scores in zip(weights, cases, strict=True):
        for index in field.arrange(scores, config.method, places):
            chances[index] += weight
    return {
        candidate.subject: min(1.0, chance) * candidate.share
        for candidate, chance in zip(field.candidates, chances, strict=True)
    }


def _list_score_cases(candidates: Sequence[Candidate]) -> tuple[Sequence[float], Sequence[Sequence[float]]]:
    """What the scores of all candidates might have been together, and how probable each case is."""
    prospects = [c.valuation.prospects() if c.valuation and c.valuation.prospects else None for c in candidates]
    weights = next((prospect.weights for prospect in prospects if prospect), None)
    if weights is None:
        return (1.0,), ([candidate.score or 0.0 for candidate in candidates],)
    rows: list[Sequence[float]] = []
    for candidate, prospect in zip(candidates, prospects, strict=True):
        score, valuation = candidate.score or 0.0, candidate.valuation
        if valuation is None or prospect is None:
            rows.append([score] * len(weights))
        else:
            worth, factor = valuation.worth, _find_factor(valuation, score)
            rows.append([worth(propensity) * factor for propensity in prospect.scores])
    return weights, list(zip(*rows, strict=True))


def _find_factor(valuation: Valuation, score: float) -> float:
    """Fit times levers, times what a plug-in has made of the score since."""
    usual = valuation.worth(valuation.propensity or 0.0)
    return score / usual if usual else valuation.factor

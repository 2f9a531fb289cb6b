"""Valuation of a candidate: computed by the score node, used by the optimize node and for selection probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class ScoreDistribution(NamedTuple):
    """Discrete distribution of the scores that a model with random draws can give to a candidate.

    Attributes:
        weights: Probability of each case; they add up to 1 and are the same for all candidates of one decision.
        scores: Scores of one candidate, in the order of the cases.
    """

    weights: Sequence[float]
    scores: Sequence[float]


class Valuation(NamedTuple):
    """Components of a candidate's score: ``score_function(propensity) * factor``.

    Attributes:
        propensity: Probability of a positive answer; None where the method needs none.
        score_function: Maps a propensity to the score of the method.
        factor: Fit times levers.
        distribution: Computes the distribution of the propensity; None where it does not depend on random draws.
    """

    propensity: float | None
    score_function: Callable[[float], float]
    factor: float
    distribution: Callable[[], ScoreDistribution] | None = None

"""Valuation of a candidate: computed by the score node, used by the optimize node and where the output draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

PropensityKind: TypeAlias = Literal["exact", "estimated", "floor"]


class BetaPosterior(NamedTuple):
    """Beta(alpha, beta) distribution of a propensity, of which Thompson sampling draws."""

    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        """The expected propensity."""
        return self.alpha / (self.alpha + self.beta)


class EpsilonShare(NamedTuple):
    """Part of the draws that choose at random; the others choose the best."""

    epsilon: float


Exploration: TypeAlias = BetaPosterior | EpsilonShare
"""Way in which a model tries offers of which it is not sure; the same kind for all candidates of a decision."""


class Propensity(NamedTuple):
    """Probability with which an item is shown at its rank.

    Attributes:
        kind: How it is known; see :mod:`.scoring.exploration`.
    """

    value: float
    kind: PropensityKind


CERTAIN: Final = Propensity(1.0, "exact")


class Valuation(NamedTuple):
    """Components of a candidate's score: ``score_function(propensity) * factor``.

    Attributes:
        propensity: Probability of a positive answer, the expected one of a model that explores; None where the method
            needs none.
        score_function: Maps a propensity to the score of the method.
        factor: Fit times levers.
        exploration: How the model explores; None if it does not.
    """

    propensity: float | None
    score_function: Callable[[float], float]
    factor: float
    exploration: Exploration | None = None

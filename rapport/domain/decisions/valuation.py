"""A candidate's value: what the score node gives and the rank node orders by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class ScoreDistribution(NamedTuple):
    """The scores that a model which leaves something to chance might have given.

    Attributes:
        weights: How probable each case is; they add up to 1, and all candidates of one decision have the same ones.
        scores: Of one candidate, case by case.
    """

    weights: Sequence[float]
    scores: Sequence[float]


@dataclass(frozen=True, slots=True)
class Valuation:
    """Where a candidate's score comes from.

    Attributes:
        propensity: The probability of a positive answer; None where nobody asked for it.
        worth: What the method makes of a propensity.
        factor: Fit times levers.
        prospects: What chance might have made of the propensity; None where it had no part.
    """

    propensity: float | None
    worth: Callable[[float], float]
    factor: float
    prospects: Callable[[], ScoreDistribution] | None = None

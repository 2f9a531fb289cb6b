"""Draw of a slate, rank by rank, each among all candidates that can be shown there: so its probability is known.

**Definition.** The propensity of an item is the probability of its offer at its rank, given the items ranked before it,
the facts, the catalogue and the arms that the customer is in. Everything that could keep a candidate from being shown
(caps, exclusions, other placements, rendering) has been asked before the draw. So over many decisions an offer that can
be shown at a rank is shown there as often as its propensity says, and 1 / propensity weighs it without bias.

Kinds of propensities:

* *exact*: a closed form. Without exploration it is 1. Epsilon-greedy with K candidates: epsilon / K, and 1 - epsilon
  more for the best.
* *estimated*: Thompson sampling draws a propensity of every candidate from its posterior anew at each rank, and takes
  the best. The probability of that is the share of :data:`DRAWS` further draws in which the same candidate is the best.
* *floor*: it was the best in none of them; the propensity is that of half a draw.

Mandatory offers are never explored: they come first, by their expected scores. The method of the rank node counts, too:
``diversity`` halves scores for each item of the same category before, ``round_robin`` draws among the categories with
the fewest items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rapport.domain.decisions.scoring.rank_node import RankingPool
from rapport.domain.decisions.valuation import CERTAIN, BetaPosterior, EpsilonShare, Propensity

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.run import Run
    from rapport.domain.decisions.valuation import Exploration, Valuation

Floats: TypeAlias = NDArray[np.float64]
DRAWS: Final = 1_024
"""Draws behind an estimate: of a probability p it has a standard error of sqrt(p (1 - p) / 1,024)."""
_GRID: Final = 2_049
_NEGLIGIBLE: Final = 45.0
"""Densities this far below the highest, in natural logarithms, add nothing to a probability."""
_NODES: Final = np.linspace(0, DRAWS - 1, 65).round().astype(np.intp)
"""Quantiles of which the score is computed; between them it is interpolated."""


class Pick(NamedTuple):
    """Candidate that was drawn, by its index in the pool, and the probability of that."""

    row: int
    propensity: Propensity


def explores(run: Run) -> bool:
    """Return whether a model of a run explores."""
    return any(_get_exploration(candidate) is not None for candidate in run.candidates)


@dataclass(slots=True)
class SlateDraw:
    """Draw of the items of one placement.

    Attributes:
        pool: Candidates of the run, in the order in which ties are broken.
        method: Method of the rank node.
    """

    pool: RankingPool
    method: str
    random: Random
    _picked: dict[int, int] = field(default_factory=dict)
    _scored: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def begin(cls, run: Run) -> SlateDraw:
        """Begin with the candidates of a run."""
        pool = RankingPool.build(run.candidates, run.context.now_ms, run.catalogue.columns)
        return cls(pool, run.ranking.method, run.random)

    def pick(self, rows: Sequence[int]) -> Pick:
        """Draw the next item.

        Args:
            rows: Indices in the pool of the candidates that can be shown, ascending; at least one.
        """
        categories, mandatory = self.pool.categories, [row for row in rows if row < self.pool.mandatory]
        pick = self._pick_best(mandatory) if mandatory else self._draw(rows)
        self._picked[categories[pick.row]] = self._count_picked(pick.row) + 1
        return pick

    def _count_picked(self, row: int) -> int:
        return self._picked.get(self.pool.categories[row], 0)

    def _pick_best(self, rows: Sequence[int]) -> Pick:
        return Pick(max(rows, key=lambda row: self.pool.candidates[row].score or 0.0), CERTAIN)

    def _draw(self, rows: Sequence[int]) -> Pick:
        if self.method == "round_robin":
            fewest = min(map(self._count_picked, rows))
            rows = [row for row in rows if self._count_picked(row) == fewest]
        parts = [0.5 ** self._count_picked(row) if self.method == "diversity" else 1.0 for row in rows]
        candidates = [self.pool.candidates[row] for row in rows]
        exploration = next(filter(None, map(_get_exploration, candidates)), None)
        if isinstance(exploration, BetaPosterior):
            return self._sample(rows, parts)
        best = max(range(len(rows)), key=lambda index: (candidates[index].score or 0.0) * parts[index])
        if isinstance(exploration, EpsilonShare):
            return self._explore(rows, best, exploration)
        return Pick(rows[best], CERTAIN)

    def _explore(self, rows: Sequence[int], best: int, share: EpsilonShare) -> Pick:
        is_random = self.random.random() < share.epsilon
        index = self.random.randrange(len(rows)) if is_random else best
        value = share.epsilon / len(rows) + (1.0 - share.epsilon if index == best else 0.0)
        return Pick(rows[index], Propensity(value, "exact"))

    def _sample(self, rows: Sequence[int], parts: Sequence[float]) -> Pick:
        drawn, cases = np.empty(len(rows)), np.empty((len(rows), DRAWS))
        for index, (row, part) in enumerate(zip(rows, parts, strict=True)):
            candidate = self.pool.candidates[row]
            valuation, posterior = candidate.valuation, _get_exploration(candidate)
            if valuation is None or not isinstance(posterior, BetaPosterior):
                drawn[index] = cases[index] = (candidate.score or 0.0) * part
                continue
            factor = _find_factor(valuation, candidate.score or 0.0) * part
            if row not in self._scored:
                self._scored[row] = _score_quantiles(valuation, posterior)
            order = _ORDERS[self.random.randrange(len(_ORDERS))]
            cases[index] = np.roll(self._scored[row][order], self.random.randrange(DRAWS)) * factor
            drawn[index] = valuation.score_function(self.random.betavariate(*posterior)) * factor
        best = int(drawn.argmax())
        wins = int(np.count_nonzero(cases.argmax(axis=0) == best))
        propensity = Propensity(wins / DRAWS, "estimated") if wins else Propensity(0.5 / DRAWS, "floor")
        return Pick(rows[best], propensity)


def _get_exploration(candidate: Candidate) -> Exploration | None:
    return None if candidate.valuation is None else candidate.valuation.exploration


def _find_factor(valuation: Valuation, score: float) -> float:
    """Return fit times levers, times the change that a plug-in has made to the score since."""
    base = valuation.score_function(valuation.propensity or 0.0)
    return score / base if base else valuation.factor


def _score_quantiles(valuation: Valuation, posterior: BetaPosterior) -> Floats:
    """Return the scores of the quantiles of a posterior."""
    quantiles = _list_quantiles(posterior)
    nodes = quantiles[_NODES]
    return np.interp(quantiles, nodes, [valuation.score_function(propensity) for propensity in nodes.tolist()])


@lru_cache(maxsize=2_048)
def _list_quantiles(posterior: BetaPosterior) -> Floats:
    """Return the quantiles (i + 0.5) / DRAWS of a posterior, as draws whose mean error is far below one of theirs.

    By logits, in which the density exp(alpha y) / (1 + exp(y))^(alpha + beta) is smooth and has one peak.
    """
    alpha, beta = posterior
    peak = math.log(alpha / beta)
    logits = np.linspace(_find_edge(posterior, peak, -1.0), _find_edge(posterior, peak, 1.0), _GRID)
    density = np.exp(_log_density(posterior, logits) - _log_density(posterior, peak))
    heights = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    places = np.interp((np.arange(DRAWS) + 0.5) / DRAWS, heights / heights[-1], logits)
    quantiles: Floats = 1.0 / (1.0 + np.exp(-places))
    return quantiles


def _log_density(posterior: BetaPosterior, logits: Floats | float) -> Floats:
    density: Floats = posterior.alpha * np.asarray(logits) - (posterior.alpha + posterior.beta) * np.logaddexp(
        0.0, logits
    )
    return density


def _find_edge(posterior: BetaPosterior, peak: float, direction: float) -> float:
    """Find where the density is negligible, by steps away from its peak that double."""
    least = float(_log_density(posterior, peak)) - _NEGLIGIBLE
    step = 1e-6
    while float(_log_density(posterior, peak + direction * step)) > least:
        step *= 2
    return peak + direction * step


_ORDERS: Final = np.array([np.random.default_rng(number).permutation(DRAWS) for number in range(64)])
"""Orders of quantiles. With one drawn for each candidate, and a rotation, any two candidates meet in all pairs."""

"""Rank node: orders the candidates and keeps the first ones.

Mandatory offers come first, by score. The others follow by method:

top_score    by descending score.
diversity    the highest ``score / 2^n`` next, where n is the number of candidates of its category (mandatory ones, too)
             ranked before.
round_robin  the categories take turns, in the order of their best scores; each contributes its highest score next.

Offers without a category form a category together. Ties are broken by higher priority, then by smaller id of the
offer, then of the creative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.decisions.verdict import Verdict

if TYPE_CHECKING:
    from rapport.domain.decisions.candidate_columns import CandidateColumns
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.node_types import RankConfig
    from rapport.domain.decisions.run import Run


def rank_candidates(run: Run, config: RankConfig) -> None:
    """Rank the candidates of a run, and keep the first ``max_candidates``."""
    pool = RankingPool.build(run.candidates, run.context.now_ms, run.catalogue.columns)
    order = pool.rank([candidate.score or 0.0 for candidate in pool.candidates], config.method, config.max_candidates)
    if len(order) < len(pool.candidates):
        _note_cut(run, config, pool, frozenset(order))
    run.candidates = [pool.candidates[index] for index in order]


def _note_cut(run: Run, config: RankConfig, pool: RankingPool, kept: frozenset[int]) -> None:
    for index, candidate in enumerate(pool.candidates):
        if index not in kept:
            reason = f"ranked behind the first {config.max_candidates}"
            detail = {"score": candidate.score, "method": config.method, "maxCandidates": config.max_candidates}
            run.recorder.note_removal("rank", run.node, candidate, Verdict(True, reason, detail))


@dataclass(frozen=True, slots=True)
class RankingPool:
    """Candidates of a ranking, in the order in which ties are broken.

    Attributes:
        categories: Number of each candidate's category.
        mandatory: Number of mandatory candidates; they lead the list.
    """

    candidates: Sequence[Candidate]
    categories: Sequence[int]
    mandatory: int

    @classmethod
    def build(cls, candidates: Sequence[Candidate], now_ms: int, columns: CandidateColumns) -> RankingPool:
        """Build the pool of the candidates of a run, in any order."""
        has_positions = None not in [candidate.position for candidate in candidates]
        ordered = sorted(candidates, key=_get_position if has_positions else _make_sort_key)
        first = [
            candidate
            for candidate in ordered
            if candidate.offer.mandatory and is_mandatory_now(candidate.offer, now_ms)
        ]
        if first:
            leading = {candidate.offer.id for candidate in first}
            ordered = first + [candidate for candidate in ordered if candidate.offer.id not in leading]
        if has_positions:
            categories = [columns.categories[candidate.position] for candidate in ordered]  # type: ignore[index]
        else:
            numbers: dict[str | None, int] = {}
            categories = [numbers.setdefault(candidate.offer.category_id, len(numbers)) for candidate in ordered]
        return cls(ordered, categories, len(first))

    def rank(self, scores: Sequence[float], method: str, places: int) -> list[int]:
        """Return the indices of the candidates that get a place, in ranked order.

        Args:
            scores: Score of each candidate, by index.
            method: Method of the rank node.
            places: Maximum number of places.
        """
        first = sorted(range(self.mandatory), key=scores.__getitem__, reverse=True)[:places]
        others = sorted(range(self.mandatory, len(scores)), key=scores.__getitem__, reverse=True)
        if method == "diversity":
            others = self._spread(others, scores, first)
        elif method == "round_robin":
            others = self._take_turns(others)
        return first + others[: places - len(first)]

    def _spread(self, others: Sequence[int], scores: Sequence[float], first: Sequence[int]) -> list[int]:
        """Rank by diversity: sort by scores that are halved once for every better candidate of the same category."""
        categories = self.categories
        halving = [1.0] * (max(categories, default=0) + 1)
        for index in first:
            halving[categories[index]] /= 2
        halved = [0.0] * len(scores)
        for index in others:
            category = categories[index]
            part = halving[category]
            halved[index] = -scores[index] * part
            halving[category] = part / 2
        return sorted(range(self.mandatory, len(scores)), key=halved.__getitem__)

    def _take_turns(self, others: Sequence[int]) -> list[int]:
        queues: dict[int, list[int]] = {}
        for index in others:
            queues.setdefault(self.categories[index], []).append(index)
        return [index for turn in zip_longest(*queues.values()) for index in turn if index is not None]


_get_position: Final = attrgetter("position")


def _make_sort_key(candidate: Candidate) -> tuple[int, str, str]:
    return -candidate.offer.priority, candidate.offer.id, candidate.creative.id if candidate.creative else ""

"""Recorder of a trace while a flow runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rapport.domain.decisions.trace import CouplingRecord, Stage, Trace
from rapport.domain.decisions.trace_blocks import BlockSequence, CandidateIds, RemovalBlock, ScoreBlock

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.verdict import Verdict

B = TypeVar("B", RemovalBlock, ScoreBlock)
OUTPUT_STAGES: Final = frozenset(("compute", "set_properties", "render", "response"))
"""Stages of the output phase, which run for a single candidate at a time."""


@dataclass(slots=True)
class TraceRecorder:
    """Recorder of a trace while a flow runs.

    Attributes:
        placement_id: Placement that is being decided; None in a request without placements.
    """

    stages: list[Stage] = field(default_factory=list)
    coupling: list[CouplingRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    placement_id: str | None = None
    _removals: list[tuple[RemovalBlock, list[Candidate]]] = field(default_factory=list)
    _scores: list[tuple[ScoreBlock, Sequence[Candidate]]] = field(default_factory=list)
    _last: tuple[str, Verdict, str, str | None] | None = None

    def note_stage(self, stage: str, node: str, before: int, after: Sequence[Candidate], *, method: str = "") -> None:
        """Record the candidates before and after a node; the runs of an output node are summed to one entry."""
        passed = len(after)
        if stage in OUTPUT_STAGES:
            for index, entry in enumerate(self.stages):
                if (entry.stage, entry.node, entry.placement_id) == (stage, node, self.placement_id):
                    before, passed = before + entry.candidates, passed + entry.passed
                    del self.stages[index]
                    break
        self.stages.append(
            Stage(
                stage=stage,
                node=node,
                candidates=before,
                passed=passed,
                placement_id=self.placement_id,
                method=method,
                top_score=_find_top_score(after) if method else None,
            )
        )

    def note_removal(self, stage: str, by: str, candidate: Candidate, verdict: Verdict, *, by_name: str = "") -> None:
        """Record the removal of a candidate."""
        self.note_removals(stage, by, (candidate,), verdict, by_name=by_name)

    def note_removals(
        self, stage: str, by: str, candidates: Iterable[Candidate], verdict: Verdict, *, by_name: str = ""
    ) -> None:
        """Record the removal of candidates, if there are any, by one verdict."""
        removed = list(candidates)
        if not removed:
            return
        last, self._last = self._last, (stage, verdict, by, self.placement_id)
        if last is not None and last[1] is verdict and last == self._last:
            self._removals[-1][1].extend(removed)
            return
        block = RemovalBlock(
            stage, by, by_name, verdict.reason, verdict.detail or {}, self.placement_id, verdict.is_fault, ()
        )
        self._removals.append((block, removed))

    def note_scores(
        self,
        candidates: Iterable[Candidate],
        scores: Sequence[float],
        explain: Callable[[], Sequence[Mapping[str, Any]]],
    ) -> None:
        """Record scores; ``explain`` makes their explanations when they are first read."""
        self._scores.append((ScoreBlock((), scores, cache(explain)), list(candidates)))

    def finish(self) -> Trace:
        """Return the trace."""
        return Trace(
            stages=self.stages,
            removals=BlockSequence(partial(_fill_blocks, self._removals)),
            scores=BlockSequence(partial(_fill_blocks, self._scores)),
            coupling=self.coupling,
            problems=self.problems,
        )


def _fill_blocks(blocks: Sequence[tuple[B, Sequence[Candidate]]]) -> Sequence[B]:
    """Return the blocks with the ids of their candidates, which do not change after they are scored or removed."""
    return [replace(block, candidates=_list_ids(candidates)) for block, candidates in blocks]


def _list_ids(candidates: Iterable[Candidate]) -> list[CandidateIds]:
    return [
        (candidate.offer.id, candidate.creative.id if candidate.creative is not None else "")
        for candidate in candidates
    ]


def _find_top_score(candidates: Iterable[Candidate]) -> float | None:
    scores = [candidate.score for candidate in candidates]
    if None in scores:
        scores = [score for score in scores if score is not None]
    return max(scores, default=None)  # type: ignore[type-var]  # none is None

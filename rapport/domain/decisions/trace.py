"""Trace of a decision: collected while a flow runs, recorded with the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.verdict import Verdict


class Removal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Removal of a candidate.

    Attributes:
        stage: Type of the node.
        by: Id of the rule or policy, else of the node.
        detail: Values that the reason rests on.
        is_fault: Whether a faulty configuration removed it instead of a rule's condition.
    """

    stage: str
    by: str
    by_name: str = ""
    offer_id: str
    creative_id: str = ""
    reason: str
    detail: Mapping[str, Any] = {}
    placement_id: str | None = None
    is_fault: bool = False


class Stage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Candidates before and after one node.

    Attributes:
        candidates: Number before the node.
        passed: Number after it.
        method: Method in the node's config; empty if it has none.
        top_score: Largest score after a node with a method.
    """

    stage: str
    node: str
    candidates: int
    passed: int
    placement_id: str | None = None
    method: str = ""
    top_score: float | None = None


class ScoreRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Score of a candidate with its explanation."""

    offer_id: str
    creative_id: str = ""
    score: float
    explanation: Mapping[str, Any] = {}


class CouplingRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Placement of an atomic channel in which another placement stayed empty.

    Attributes:
        cascaded: Whether it had items, which were removed.
    """

    channel_id: str
    placement: str
    cascaded: bool


class Trace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Trace of a decision: its stages, removals and scores, and problems of the configuration or request."""

    stages: Sequence[Stage]
    removals: Sequence[Removal]
    scores: Sequence[ScoreRecord]
    coupling: Sequence[CouplingRecord] = ()
    problems: Sequence[str] = ()


OUTPUT_STAGES: Final = frozenset(("compute", "set_properties", "render", "response"))
"""Stages of the output phase, which run for a single candidate at a time."""


@dataclass(slots=True)
class TraceRecorder:
    """Recorder of a trace while a flow runs.

    Attributes:
        placement_id: Placement that is being decided; None in a request without placements.
    """

    stages: list[Stage] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    scores: list[ScoreRecord] = field(default_factory=list)
    coupling: list[CouplingRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    placement_id: str | None = None

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
                top_score=max((c.score for c in after if c.score is not None), default=None) if method else None,
            )
        )

    def note_removal(self, stage: str, by: str, candidate: Candidate, verdict: Verdict, *, by_name: str = "") -> None:
        """Record the removal of a candidate."""
        self.removals.append(
            Removal(
                stage=stage,
                by=by,
                by_name=by_name,
                offer_id=candidate.offer.id,
                creative_id=candidate.creative.id if candidate.creative else "",
                reason=verdict.reason,
                detail=verdict.detail or {},
                placement_id=self.placement_id,
                is_fault=verdict.is_fault,
            )
        )

    def finish(self) -> Trace:
        """Return the trace."""
        return Trace(
            stages=self.stages,
            removals=self.removals,
            scores=self.scores,
            coupling=self.coupling,
            problems=self.problems,
        )

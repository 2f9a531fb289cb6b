"""Why each candidate went or stayed: written while a flow runs, kept with the decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.verdict import Verdict


class Removal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A candidate that left, and why.

    Attributes:
        stage: The node's type.
        by: The rule's or policy's id, or the node's.
        detail: The numbers behind the reason.
        is_fault: Whether a fault of the configuration took it, and no rule or policy that says so.
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
    """What one node did."""

    stage: str
    node: str
    candidates: int
    passed: int
    placement_id: str | None = None
    method: str = ""
    top_score: float | None = None


class ScoreRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How a candidate was scored."""

    offer_id: str
    creative_id: str = ""
    score: float
    explanation: Mapping[str, Any] = {}


class CouplingRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A placement that was emptied because another one of its channel stayed empty."""

    channel_id: str
    placement: str
    cascaded: bool


class Trace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision explained."""

    stages: Sequence[Stage]
    removals: Sequence[Removal]
    scores: Sequence[ScoreRecord]
    coupling: Sequence[CouplingRecord] = ()
    problems: Sequence[str] = ()


OUTPUT_STAGES: Final = frozenset(("compute", "set_properties", "render", "response"))
"""Stages of the output phase."""


@dataclass(slots=True)
class TraceRecorder:
    """Collects a trace.

    Attributes:
        placement_id: The placement being decided, of a request for several.
    """

    stages: list[Stage] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    scores: list[ScoreRecord] = field(default_factory=list)
    coupling: list[CouplingRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    placement_id: str | None = None

    def note_stage(self, stage: str, node: str, before: int, after: Sequence[Candidate], *, method: str = "") -> None:
        """Note what a node did. One that gets candidates one after the other is noted once, with all of them."""
        passed = len(after)
        if stage in OUTPUT_STAGES:
            for index, one in enumerate(self.stages):
                if (one.stage, one.node, one.placement_id) == (stage, node, self.placement_id):
                    before, passed = before + one.candidates, passed + one.passed
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
        """Note that a candidate leaves."""
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
        """The trace."""
        return Trace(
            stages=self.stages,
            removals=self.removals,
            scores=self.scores,
            coupling=self.coupling,
            problems=self.problems,
        )

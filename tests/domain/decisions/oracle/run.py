"""State of one run of the plain evaluator: its candidates, its trace, one list entry for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from rapport.domain.catalogue.inventory import Channel, Creative, Offer
from rapport.domain.decisions.candidates import Context
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.facts import Subject
from rapport.domain.decisions.node_types import MAX_CANDIDATES, RankConfig
from rapport.domain.decisions.trace import CouplingRecord, Removal, ScoreRecord, Stage, Trace
from rapport.domain.decisions.trace_recorder import OUTPUT_STAGES
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.decisions.verdict_log import VerdictLog
from rapport.domain.experiments.assignment import Assignment


@dataclass(frozen=True, slots=True)
class Valuation:
    """Components of a candidate's score: ``score_function(propensity) * factor``.

    Attributes:
        propensity: Probability of a positive answer; None where the method needs none.
        score_function: Maps a propensity to the score of the method.
        factor: Fit times levers.
    """

    propensity: float | None
    score_function: Callable[[float], float]
    factor: float


@dataclass(slots=True)
class Candidate:
    """Candidate of a decision: an offer with one of its creatives.

    Attributes:
        creative: None if the flow requires no creative and the offer has none that fits.
        fit: Product of the multipliers of the match rules that failed.
        score: None until the score node has run.
        share: Share of all customers to whom the same model and creative are assigned, 0 to 1.
        valuation: Components of the score; None until the score node has run.
        properties: Values that nodes set; returned with the item.
        personalization: Computed values; returned with the item and available to its content.
        content: Rendered texts of the creative; empty until the output phase.
    """

    offer: Offer
    creative: Creative | None = None
    channel: Channel | None = None
    fit: float = 1.0
    score: float | None = None
    share: float = 1.0
    valuation: Valuation | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    personalization: dict[str, Any] = field(default_factory=dict)
    explanation: dict[str, Any] = field(default_factory=dict)
    content: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        """Subject under which contacts about the candidate are counted."""
        return Subject(
            self.offer.id,
            self.creative.id if self.creative else "",
            self.creative.channel_id if self.creative else "",
        )


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


@dataclass(slots=True)
class Run:
    """Run of a flow for one placement of a request.

    Attributes:
        candidates: Candidates that have not been removed yet.
        random: The run's only source of random numbers; its seed is recorded with the decision.
        open_circuits: Keys of models that are not called, because their circuit is open.
        failed_models: Keys of models that failed in this run.
        assignments: Arms of experiments that the customer is in.
        node: Id of the node that runs.
        max_candidates: Smallest maximum of the rank nodes that have run.
        allocation: Method of the group node, which spreads candidates over placements.
        is_fallback: Whether the customer is held out: no models, no optimization, no extensions.
        counts_by_type: Number of candidates left after the last node of each type.
        depth: Nesting depth of ``call_flow`` nodes.
        ranked_by: Id of the last rank node.
        ranking: Config of the last rank node.
        rechecks: Checks to repeat for a candidate once the decision has chosen others to be shown before it.
        log: Log of an exhaustive run, in which blocked candidates stay, so that every rule is evaluated for them; None
            in a run that decides.
    """

    catalogue: Catalogue
    context: Context
    recorder: TraceRecorder
    candidates: list[Candidate]
    random: Random
    open_circuits: frozenset[str] = frozenset()
    failed_models: set[str] = field(default_factory=set)
    assignments: list[Assignment] = field(default_factory=list)
    node: str = ""
    max_candidates: int = MAX_CANDIDATES
    allocation: Literal["greedy", "optimal"] = "greedy"
    is_fallback: bool = False
    counts_by_type: dict[str, int] = field(default_factory=dict)
    depth: int = 0
    ranked_by: str = ""
    ranking: RankConfig = field(default_factory=RankConfig)
    rechecks: list[Callable[[Candidate, Context], Sequence[RuleVerdict]]] = field(default_factory=list)
    log: VerdictLog | None = None

    @property
    def stops_at_first(self) -> bool:
        """Whether verdicts on a candidate behind the first that settles whether it is removed do not matter."""
        return self.log is None

    def is_passing(self, candidate: Candidate) -> bool:
        """Return whether no rule blocks a candidate; outside of exhaustive runs true for all that are left."""
        return self.log is None or self.log.is_passing(candidate)

    def remove(self, stage: str, candidate: Candidate, verdicts: Sequence[RuleVerdict]) -> bool:
        """Apply the blocking verdicts on a candidate; return whether it is removed.

        A run that decides applies them up to the first that settles the matter: one that removes the candidate, which
        is recorded, or one that exempts it from those behind. An exhaustive run applies and logs them all, and removes
        nothing.
        """
        for verdict in verdicts:
            if self.log is not None:
                self.log.note_verdict(stage, candidate, verdict)
            elif verdict.effect == "removes":
                self.recorder.note_removal(stage, verdict.by, candidate, verdict.verdict, by_name=verdict.name)
                return True
            if verdict.effect == "lowers_fit":
                candidate.fit *= verdict.multiplier
                failed = {"rule": verdict.by, "reason": verdict.verdict.reason}
                candidate.explanation.setdefault("fit", []).append(failed)
            elif verdict.effect == "exempts":
                candidate.explanation.setdefault("override", verdict.by)
                if self.log is None:
                    return False
        return False

    def apply_check(self, stage: str, check: Callable[[Candidate], Sequence[RuleVerdict]]) -> None:
        """Remove the candidates that a check removes by its verdicts on them."""
        kept: list[Candidate] = []
        for candidate in self.candidates:
            verdicts = check(candidate)
            if not verdicts or not self.remove(stage, candidate, verdicts):  # most pass without any verdict
                kept.append(candidate)
        self.candidates = kept

    def note_coverage(self, stage: str, indexes: Iterable[Any], everywhere: Iterable[str] = ()) -> None:
        """In an exhaustive run, log for each candidate which of the rules that are applied now cover it.

        Args:
            stage: Stage of the flow.
            indexes: The rules.
            everywhere: Ids of further rules, which cover every candidate.
        """
        if self.log is None:
            return
        for candidate in self.candidates:
            covering = dict.fromkeys(everywhere, True)
            for index in indexes:
                ids = index.find_covering(candidate, self.context)
                covering |= {rule.entity.id: rule.entity.id in ids for rule in index.rules}
            self.log.note_coverage(stage, candidate, covering)


NodeAction = Callable[[Run], None]

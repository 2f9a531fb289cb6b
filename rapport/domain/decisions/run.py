"""State of one run of a flow: one placement of one request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal, TypeAlias

from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.facts import Subject
from rapport.domain.decisions.node_types import MAX_CANDIDATES, RankConfig
from rapport.domain.decisions.trace import TraceRecorder
from rapport.domain.decisions.verdict import Verdict
from rapport.domain.experiments.assignment import Assignment

RemovalReason: TypeAlias = tuple[str, str, Verdict]
"""Id and name of the rule, policy or node that blocks a candidate, and its verdict."""


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
        pool: Candidates before the last ranking.
        rechecks: Checks to repeat for a candidate once the decision has chosen others to be shown before it.
        applied_rules: Stage and id of each rule and policy that the run has applied.
        is_exhaustive: Whether blocked candidates stay, so that every rule is evaluated (for explanations).
        blocked_subjects: In an exhaustive run, the candidates that are blocked; a subject without a creative blocks the
            whole offer.
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
    pool: Sequence[Candidate] = ()
    rechecks: list[Callable[[Candidate, Context], RemovalReason | None]] = field(default_factory=list)
    applied_rules: set[tuple[str, str]] = field(default_factory=set)
    is_exhaustive: bool = False
    blocked_subjects: set[Subject] = field(default_factory=set)

    def is_passing(self, candidate: Candidate) -> bool:
        """Return whether no rule blocks a candidate; outside of exhaustive runs true for all that are left."""
        return not self.blocked_subjects or self.blocked_subjects.isdisjoint(
            (candidate.subject, Subject(candidate.offer.id, "", ""))
        )

    def remove(self, stage: str, candidate: Candidate, reason: RemovalReason) -> bool:
        """Record that a candidate is blocked; return whether it is removed, which exhaustive runs do not do."""
        by, name, verdict = reason
        self.recorder.note_removal(stage, by, candidate, verdict, by_name=name)
        if self.is_exhaustive:
            self.blocked_subjects.add(candidate.subject)
        return not self.is_exhaustive

    def apply_check(self, stage: str, check: Callable[[Candidate], RemovalReason | None]) -> None:
        """Remove the candidates for which a check returns a reason."""
        kept: list[Candidate] = []
        for candidate in self.candidates:
            reason = check(candidate)
            if reason is None or not self.remove(stage, candidate, reason):
                kept.append(candidate)
        self.candidates = kept


NodeAction = Callable[[Run], None]

"""A flow while it runs for one placement."""

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
"""By whom, its name, why."""


@dataclass(slots=True)
class Run:
    """A flow while it runs for one placement.

    Attributes:
        random: The run's only source of chance; its seed is kept with the decision.
        open_circuits: Keys of models that are not asked, because they failed lately.
        failed_models: Keys of models that failed in this run.
        assignments: The arms of experiments that the customer is in.
        node: The id of the node that runs.
        most: How many candidates its rank nodes let stay.
        allocation: How its group node spreads candidates over placements.
        is_fallback: Whether the customer is held out: models, optimization and extensions are left out.
        gates: How many candidates were left after the last node of each type.
        depth: Of flows that call flows.
        ranked_by: The id of the node that ranked.
        ranking: How it did.
        pool: What it ranked.
        guards: Judge candidates again, once it is known what is shown before them.
        applied: Stage and id of each rule and policy that its gates asked.
        is_inquiry: Whether candidates stay whatever is said about them, so that everything is said.
        objected: In an inquiry, what would have left; a subject without a creative stands for the whole offer.
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
    most: int = MAX_CANDIDATES
    allocation: Literal["greedy", "optimal"] = "greedy"
    is_fallback: bool = False
    gates: dict[str, int] = field(default_factory=dict)
    depth: int = 0
    ranked_by: str = ""
    ranking: RankConfig = field(default_factory=RankConfig)
    pool: Sequence[Candidate] = ()
    guards: list[Callable[[Candidate, Context], RemovalReason | None]] = field(default_factory=list)
    applied: set[tuple[str, str]] = field(default_factory=set)
    is_inquiry: bool = False
    objected: set[Subject] = field(default_factory=set)

    def passes(self, candidate: Candidate) -> bool:
        """Whether nothing was said against a candidate that is still there; outside of inquiries that is so."""
        return not self.objected or self.objected.isdisjoint((candidate.subject, Subject(candidate.offer.id, "", "")))

    def remove(self, stage: str, candidate: Candidate, objection: RemovalReason) -> bool:
        """Note what is said against a candidate, and say whether it leaves."""
        by, name, verdict = objection
        self.recorder.note_removal(stage, by, candidate, verdict, by_name=name)
        if self.is_inquiry:
            self.objected.add(candidate.subject)
        return not self.is_inquiry

    def keep(self, stage: str, judge: Callable[[Candidate], RemovalReason | None]) -> None:
        """Keep the candidates that a judge says nothing about; he says: by whom, its name, the verdict."""
        kept: list[Candidate] = []
        for candidate in self.candidates:
            objection = judge(candidate)
            if objection is None or not self.remove(stage, candidate, objection):
                kept.append(candidate)
        self.candidates = kept


NodeAction = Callable[[Run], None]

"""State of one run of a flow: one placement of one request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.eligibility.evaluation import LimitCheck
from rapport.domain.decisions.eligibility.rule_index import RuleIndex
from rapport.domain.decisions.node_types import MAX_CANDIDATES, RankConfig
from rapport.domain.decisions.trace_recorder import TraceRecorder
from rapport.domain.decisions.verdict import RuleVerdict
from rapport.domain.decisions.verdict_log import VerdictLog
from rapport.domain.experiments.assignment import Assignment


@dataclass(slots=True)
class Run:
    """Run of a flow for one placement of a request.

    Attributes:
        candidates: Candidates that have not been removed yet.
        seed: Seed of :attr:`random`.
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
    seed: int | str = 0
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
    rechecks: list[LimitCheck] = field(default_factory=list)
    log: VerdictLog | None = None
    _random: Random | None = None

    @property
    def random(self) -> Random:
        """The run's only source of random numbers, made when the first is drawn: that takes longer than many rules."""
        if self._random is None:
            self._random = Random(self.seed)  # noqa: S311 - no secret: kept so that the decision can be run again
        return self._random

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

    def apply_check(
        self, stage: str, check: Callable[[Candidate], Sequence[RuleVerdict]], rows: Iterable[int] | None = None
    ) -> None:
        """Remove the candidates that a check removes by its verdicts on them.

        Args:
            stage: Stage of the flow.
            check: Returns the blocking verdicts on a candidate.
            rows: Indices of the candidates on which there can be any; None for all.
        """
        removed: set[int] = set()
        for row in range(len(self.candidates)) if rows is None else rows:
            candidate = self.candidates[row]
            verdicts = check(candidate)
            if verdicts and self.remove(stage, candidate, verdicts):
                removed.add(row)
        if removed:
            self.candidates = [candidate for row, candidate in enumerate(self.candidates) if row not in removed]

    def find_rows(self, *indexes: RuleIndex, with_limits: bool = False) -> Sequence[int] | None:
        """Return the indices of the candidates on which rules can give a verdict; None for all.

        Args:
            indexes: The rules.
            with_limits: Whether the offers' own limits can block, too.
        """
        positions = [candidate.position for candidate in self.candidates]
        if None in positions:
            return None
        columns, rows = self.catalogue.columns, set[int]()
        if with_limits or any(index.reads_history for index in indexes):
            known, limited = self.context.history.known_offers, columns.limited if with_limits else frozenset[str]()
            rows.update(
                row
                for row, candidate in enumerate(self.candidates)
                if candidate.offer.id in known or candidate.offer.id in limited
            )
        for index in indexes:
            rows.update(index.find_rows(self.candidates, positions, self.context))
        return sorted(rows)

    def note_coverage(self, stage: str, indexes: Iterable[RuleIndex], everywhere: Iterable[str] = ()) -> None:
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

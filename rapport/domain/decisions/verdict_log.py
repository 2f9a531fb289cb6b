"""Log of an exhaustive run of a flow, from which explanations are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rapport.domain.decisions.facts import Subject

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.verdict import RuleVerdict


class VerdictKey(NamedTuple):
    """Key of a verdict on a candidate: stage of the flow, type and id of the rule; a node has no type."""

    stage: str
    kind: str
    by: str


@dataclass(slots=True)
class VerdictLog:
    """Log of an exhaustive run, which evaluates all rules for every candidate, for explanations.

    Attributes:
        verdicts: Blocking verdicts by subject, in the order of the run; a subject without a creative stands for the
            whole offer. Of several verdicts of one rule, the first that removes the candidate.
        coverage: By subject, then by stage and id of each rule that was applied: whether a scope of it covers the
            candidate.
        blocked: Subjects of the candidates that are blocked.
    """

    verdicts: dict[Subject, dict[VerdictKey, RuleVerdict]] = field(default_factory=dict)
    coverage: dict[Subject, dict[tuple[str, str], bool]] = field(default_factory=dict)
    blocked: set[Subject] = field(default_factory=set)

    def note_verdict(self, stage: str, candidate: Candidate, verdict: RuleVerdict) -> None:
        """Record a blocking verdict."""
        key = VerdictKey(stage, verdict.kind, verdict.by)
        _add_verdict(self.verdicts.setdefault(candidate.subject, {}), key, verdict)
        if verdict.effect == "removes":
            self.blocked.add(candidate.subject)

    def note_coverage(self, stage: str, candidate: Candidate, covering: Mapping[str, bool]) -> None:
        """Record by id of some rules whether they cover a candidate."""
        coverage = self.coverage.setdefault(candidate.subject, {})
        for rule_id, covers in covering.items():
            coverage[stage, rule_id] = covers or coverage.get((stage, rule_id), False)

    def is_passing(self, candidate: Candidate) -> bool:
        """Return whether no verdict removes a candidate."""
        return self.blocked.isdisjoint((candidate.subject, Subject(candidate.offer.id, "", "")))

    def list_verdicts(self, candidate: Candidate) -> Mapping[VerdictKey, RuleVerdict]:
        """Return the blocking verdicts on a candidate and on its whole offer, in the order of the run."""
        verdicts: dict[VerdictKey, RuleVerdict] = {}
        for subject in (Subject(candidate.offer.id, "", ""), candidate.subject):
            for key, verdict in self.verdicts.get(subject, {}).items():
                _add_verdict(verdicts, key, verdict)
        return verdicts

    def list_coverage(self, candidate: Candidate) -> Mapping[tuple[str, str], bool]:
        """Return by stage and id of each rule that was applied whether it covers a candidate or its whole offer."""
        of_offer = self.coverage.get(Subject(candidate.offer.id, "", ""), {})
        own = self.coverage.get(candidate.subject, {})
        return {key: of_offer.get(key, False) or own.get(key, False) for key in of_offer.keys() | own.keys()}


def _add_verdict(verdicts: dict[VerdictKey, RuleVerdict], key: VerdictKey, verdict: RuleVerdict) -> None:
    if key not in verdicts or (verdicts[key].effect != "removes" and verdict.effect == "removes"):
        verdicts[key] = verdict

"""Output phase: chooses the items of each placement from the ranked candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, takewhile
from typing import TYPE_CHECKING, Final

from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.decisions.compile_flow import run_steps
from rapport.domain.decisions.node_types import OUTPUT
from rapport.domain.decisions.output.allocation import allocate_optimally
from rapport.domain.decisions.output.rendering import render
from rapport.domain.decisions.program import Program
from rapport.domain.decisions.run import Run
from rapport.domain.decisions.scoring.exploration import SlateDraw, explores
from rapport.domain.decisions.trace import CouplingRecord
from rapport.domain.decisions.valuation import CERTAIN, Propensity
from rapport.domain.decisions.verdict import RuleVerdict, Verdict

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate, Context
    from rapport.domain.decisions.facts import Subject

_CANNOT_OPTIMIZE: Final = (
    "the flow allocates optimally, but the request does not deduplicate: each placement shows its best"
)
_CANNOT_EXPLORE: Final = (
    "the flow allocates optimally, but a model explores: each placement is drawn after the ones before"
)
_SHOWN_ELSEWHERE: Final = Verdict(True, "the offer is shown in another placement")


@dataclass(slots=True)
class PlacementSlot:
    """Placement while it is filled.

    Attributes:
        run: Run with ranked candidates.
        limit: Maximum number of items.
        channel_id: Channel of the placement; None in a request without a placement.
        chosen: Candidates that it shows.
        rejected: Candidates that it cannot show, by :func:`id`; the reasons are in the trace.
        complete: Candidates whose output is complete, by :func:`id`.
        propensities: Propensities of the items that were drawn, by subject; all others are certain.
    """

    run: Run
    limit: int
    placement_id: str | None = None
    channel_id: str | None = None
    chosen: list[Candidate] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)
    complete: set[int] = field(default_factory=set)
    propensities: dict[Subject, Propensity] = field(default_factory=dict)

    def find_propensity(self, candidate: Candidate) -> Propensity:
        """Return the probability with which an item is shown: of its draw, times the share of its creative."""
        value, kind = self.propensities.get(candidate.subject, CERTAIN)
        return Propensity(value * candidate.share, kind)

    def reject(self, stage: str, candidate: Candidate, verdicts: Sequence[RuleVerdict]) -> bool:
        """Apply the verdicts on a ranked candidate; return whether it cannot be shown."""
        self.run.recorder.placement_id = self.placement_id
        is_rejected = self.run.remove(stage, candidate, verdicts)
        if is_rejected:
            self.rejected.add(id(candidate))
        return is_rejected

    def reject_alike(self, stage: str, candidates: Sequence[Candidate], verdict: RuleVerdict) -> None:
        """Remove ranked candidates by one verdict."""
        recorder = self.run.recorder
        recorder.placement_id = self.placement_id
        recorder.note_removals(stage, verdict.by, candidates, verdict.verdict, by_name=verdict.name)
        self.rejected.update(map(id, candidates))


def fill_placements(slots: Sequence[PlacementSlot], program: Program, *, deduplicate: bool | None) -> None:
    """Choose the items of each placement, and run the output phase for them.

    The next candidate takes the place of one whose content has unresolved placeholders, or that a cap blocks because of
    the items chosen before.

    Args:
        slots: Placements with ranked candidates.
        program: Compiled flow.
        deduplicate: Whether an offer is shown in one placement only; None: only if the flow allocates optimally.
    """
    is_optimal = len(slots) > 1 and any(slot.run.allocation == "optimal" for slot in slots)
    filler = _PlacementFiller(program, is_optimal if deduplicate is None else deduplicate)
    exploring = [explores(slot.run) for slot in slots]
    if is_optimal and (any(exploring) or not filler.deduplicate):
        slots[0].run.recorder.problems.append(_CANNOT_EXPLORE if any(exploring) else _CANNOT_OPTIMIZE)
        is_optimal = False
    if is_optimal:
        filler.fill_optimally(slots)
    else:
        for slot, is_exploring in zip(slots, exploring, strict=True):
            if is_exploring:
                filler.fill_by_drawing(slot)
            else:
                filler.fill_greedily(slot)
    for slot in slots:
        _note_remaining(
            slot, {candidate.offer.id for other in slots if other is not slot for candidate in other.chosen}
        )


@dataclass(slots=True)
class _PlacementFiller:
    """Filler of the placements of one decision.

    Attributes:
        deduplicate: Whether an offer is shown in one placement only.
        shown: Subjects chosen so far, in all placements.
    """

    program: Program
    deduplicate: bool
    shown: list[Subject] = field(default_factory=list)
    _offers: set[str] = field(default_factory=set)
    _contexts: dict[int, Context] = field(default_factory=dict)

    def fill_greedily(self, slot: PlacementSlot) -> None:
        """Fill a placement with the best candidates, in their order."""
        ranked, row = slot.run.candidates, 0
        while row < len(ranked) and len(slot.chosen) < slot.limit:
            candidate = ranked[row]
            row += 1
            if self._reject_repeated(slot, candidate):
                continue
            if self._is_showable(slot, candidate):
                slot.chosen.append(candidate)
                self._add(candidate)
            else:
                row += self._reject_next(slot, row)

    def fill_by_drawing(self, slot: PlacementSlot) -> None:
        """Fill a placement by draws, each among all candidates that can be shown at its rank."""
        draw = SlateDraw.begin(slot.run)
        rows: Sequence[int] = range(len(draw.pool.candidates))
        while len(slot.chosen) < slot.limit:
            candidates = draw.pool.candidates
            rows = [row for row in rows if not self._reject_repeated(slot, candidates[row])]
            rows = [row for row in rows if self._is_showable(slot, candidates[row])]
            if not rows:
                return
            pick = draw.pick(rows)
            candidate = candidates[pick.row]
            slot.chosen.append(candidate)
            slot.propensities[candidate.subject] = pick.propensity
            self._add(candidate)
            rows = [row for row in rows if row != pick.row]

    def _reject_repeated(self, slot: PlacementSlot, candidate: Candidate) -> bool:
        """Reject a candidate whose offer is shown already, where that matters; return whether it is."""
        is_repeated = self.deduplicate and candidate.offer.id in self._offers
        if is_repeated:
            slot.reject("group", candidate, [RuleVerdict(slot.run.node, "", _SHOWN_ELSEWHERE)])
        return is_repeated

    def _reject_next(self, slot: PlacementSlot, row: int) -> int:
        """Reject the next candidates as long as verdicts remove them that many share; return their number.

        Blocks of growing size are looked at: often the next candidate can be shown, and often none behind it can.
        """
        rejected, size = 0, 8
        if len(slot.run.rechecks) != 1 or not self.shown:
            return 0
        while True:
            block = slot.run.candidates[row + rejected : row + rejected + size]
            count = self._reject_block(slot, block)
            rejected += count
            if not block or count < len(block):
                return rejected
            size *= 2

    def _reject_block(self, slot: PlacementSlot, block: Sequence[Candidate]) -> int:
        (check,), context = slot.run.rechecks, self._get_context(slot)
        count = 0
        for verdict, same in groupby(check.find_shared_removals(block, context)):
            end = count + sum(1 for _ in same)
            alike = block[count:end]
            if self.deduplicate and not self._offers.isdisjoint([candidate.offer.id for candidate in alike]):
                alike = list(takewhile(lambda candidate: candidate.offer.id not in self._offers, alike))
            if verdict is not None:
                slot.reject_alike("contact_policy", alike, verdict)
            else:
                alike = list(takewhile(lambda candidate: self._reject_alone(slot, candidate), alike))
            count += len(alike)
            if count < end:
                break
        return count

    def _reject_alone(self, slot: PlacementSlot, candidate: Candidate) -> bool:
        """Repeat the checks for a candidate, counting what is shown before; return whether it cannot be shown."""
        context = self._get_context(slot)
        return any(
            slot.reject("contact_policy", candidate, recheck.evaluate(candidate, context))
            for recheck in slot.run.rechecks
        )

    def fill_optimally(self, slots: Sequence[PlacementSlot]) -> None:
        """Allocate optimally, and repeat without the candidates that turn out not to be showable, until all are."""
        places = sum(slot.limit for slot in slots)
        numbered = {str(number): slot for number, slot in enumerate(slots)}
        while True:
            self.shown.clear()
            ranked = {number: _score_remaining(slot, places) for number, slot in numbered.items()}
            filled = allocate_optimally(ranked, {number: slot.limit for number, slot in numbered.items()})
            for number, slot in numbered.items():
                by_offer = {candidate.offer.id: candidate for candidate in _list_remaining(slot)}
                slot.chosen = [by_offer[offer_id] for offer_id in filled[number]]
            if all(self._confirm(slot, candidate) for slot in slots for candidate in slot.chosen):
                return

    def _confirm(self, slot: PlacementSlot, candidate: Candidate) -> bool:
        is_showable = self._is_showable(slot, candidate)
        if is_showable:
            self._add(candidate)
        return is_showable

    def _add(self, candidate: Candidate) -> None:
        self.shown.append(candidate.subject)
        self._offers.add(candidate.offer.id)
        self._contexts.clear()

    def _is_showable(self, slot: PlacementSlot, candidate: Candidate) -> bool:
        if self.shown and slot.run.rechecks and self._reject_alone(slot, candidate):
            return False
        return id(candidate) in slot.complete or finish_candidate(slot, candidate, self.program)

    def _get_context(self, slot: PlacementSlot) -> Context:
        """Return the context of a placement in which the items chosen so far are shown."""
        context = self._contexts.get(id(slot))
        if context is None:
            context = self._contexts[id(slot)] = slot.run.context.with_shown(tuple(self.shown))
        return context


def _list_remaining(slot: PlacementSlot) -> list[Candidate]:
    return [candidate for candidate in slot.run.candidates if id(candidate) not in slot.rejected]


def _score_remaining(slot: PlacementSlot, places: int) -> list[tuple[str, float]]:
    """Return the offers that can be part of an optimal allocation, with their scores.

    No placement needs more candidates than there are places in all placements. A mandatory offer scores more than all
    other offers together.
    """
    left, now_ms = _list_remaining(slot)[:places], slot.run.context.now_ms
    bonus = 1 + places * max((candidate.score or 0.0 for candidate in left), default=0.0)
    return [
        (candidate.offer.id, (candidate.score or 0.0) + (bonus if is_mandatory_now(candidate.offer, now_ms) else 0.0))
        for candidate in left
    ]


def finish_candidate(slot: PlacementSlot, candidate: Candidate, program: Program) -> bool:
    """Run the output phase for a candidate; return whether all placeholders in its content have a value."""
    run = slot.run
    run.recorder.placement_id = slot.placement_id
    lookup = partial(run.context.lookup, candidate=candidate)
    for name, formula in run.catalogue.computed.get(candidate.offer.id, ()):
        candidate.personalization[name] = formula.evaluate(lookup)
    ranked, run.candidates = run.candidates, [candidate]
    run_steps(run, program.phases[OUTPUT])
    run.candidates = ranked
    if candidate.creative is not None:
        rendered = render(candidate.creative, lookup)
        if rendered.unresolved:
            reason = f"its content has no value for {', '.join(rendered.unresolved)}"
            verdict = Verdict(True, reason, {"unresolved": list(rendered.unresolved)}, is_fault=True)
            slot.reject("render", candidate, [RuleVerdict(candidate.creative.id, candidate.creative.name, verdict)])
            return False
        candidate.content = rendered.content
    slot.complete.add(id(candidate))
    return True


def _note_remaining(slot: PlacementSlot, shown_elsewhere: set[str]) -> None:
    """Record why the remaining candidates are not shown."""
    settled = slot.rejected.union(map(id, slot.chosen))
    remaining = [candidate for candidate in slot.run.candidates if id(candidate) not in settled]
    behind = Verdict(True, f"ranked behind the first {slot.limit}")
    elsewhere = shown_elsewhere if len(slot.chosen) < slot.limit else set[str]()
    recorder = slot.run.recorder
    recorder.placement_id = slot.placement_id
    for is_elsewhere, candidates in groupby(remaining, key=lambda candidate: candidate.offer.id in elsewhere):
        recorder.note_removals("rank", slot.run.ranked_by, candidates, _SHOWN_ELSEWHERE if is_elsewhere else behind)


def couple_placements(slots: Sequence[PlacementSlot], *, override: str | None) -> None:
    """Empty all placements of an atomic channel if one of them stayed empty.

    Args:
        slots: Filled placements.
        override: Coupling mode of the flow, which takes precedence over those of the channels.
    """
    for slot in slots:
        channel = slot.run.catalogue.channels.get(slot.channel_id or "")
        if channel is None or (override or channel.coupling_mode) != "atomic":
            continue
        siblings = [other for other in slots if other.channel_id == slot.channel_id]
        if not slot.chosen and any(other.chosen for other in siblings):
            _empty_channel(slot, siblings)


def _empty_channel(empty: PlacementSlot, siblings: Sequence[PlacementSlot]) -> None:
    recorder = empty.run.recorder
    for slot in siblings:
        record = CouplingRecord(
            channel_id=slot.channel_id or "", placement=slot.placement_id or "", cascaded=bool(slot.chosen)
        )
        recorder.coupling.append(record)
        verdict = Verdict(True, f"placement {empty.placement_id} of the same atomic channel stayed empty")
        for candidate in slot.chosen:
            slot.reject("group", candidate, [RuleVerdict(slot.channel_id or "", "", verdict)])
        slot.chosen.clear()

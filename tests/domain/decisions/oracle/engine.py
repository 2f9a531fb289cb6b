"""The plain evaluator that the columnar one is compared to: it looks at each candidate alone and remembers nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Final, NamedTuple

from rapport.domain.catalogue.inventory import Offer
from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.catalogue.strategy import DecisionFlow
from rapport.domain.catalogue.values import Status
from rapport.domain.decisions.candidates import Context, PlacementRequest, Request
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.decision import Decision, DecisionItem, ExperimentRecord, Funnel, PlacementResult
from rapport.domain.decisions.facts import CustomerFacts, Subject, TenantFacts
from rapport.domain.decisions.node_types import NARROW, OUTPUT, SCORE
from rapport.domain.decisions.output.allocation import allocate_optimally
from rapport.domain.decisions.output.rendering import render
from rapport.domain.decisions.program import FlowStep, Program
from rapport.domain.decisions.trace import CouplingRecord
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.decisions.verdict_log import VerdictKey, VerdictLog
from rapport.domain.experiments.assignment import is_held_out
from tests.domain.decisions.oracle.eligibility import ContactPolicyIndex, RuleIndex, apply_suppressions, require_consent
from tests.domain.decisions.oracle.flow import FlowDependencies, compile_flow, run_required_steps, run_steps
from tests.domain.decisions.oracle.run import Candidate, Run, TraceRecorder

_CANNOT_OPTIMIZE: Final = (
    "the flow allocates optimally, but the request does not deduplicate: each placement shows its best"
)


_TAKEN: Final = "the offer is shown in another placement"


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
    """

    run: Run
    limit: int
    placement_id: str | None = None
    channel_id: str | None = None
    chosen: list[Candidate] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)
    complete: set[int] = field(default_factory=set)

    def reject(self, stage: str, candidate: Candidate, verdicts: Sequence[RuleVerdict]) -> bool:
        """Apply the verdicts on a ranked candidate; return whether it cannot be shown."""
        self.run.recorder.placement_id = self.placement_id
        is_rejected = self.run.remove(stage, candidate, verdicts)
        if is_rejected:
            self.rejected.add(id(candidate))
        return is_rejected


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
    if is_optimal and deduplicate is False:
        slots[0].run.recorder.problems.append(_CANNOT_OPTIMIZE)
    filler = _PlacementFiller(program, is_optimal if deduplicate is None else deduplicate)
    if filler.deduplicate and is_optimal:
        filler.fill_optimally(slots)
    else:
        for slot in slots:
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
        for candidate in slot.run.candidates:
            if len(slot.chosen) == slot.limit:
                return
            if self.deduplicate and candidate.offer.id in self._offers:
                slot.reject("group", candidate, [RuleVerdict(slot.run.node, "", Verdict(True, _TAKEN))])
            elif self._is_showable(slot, candidate):
                slot.chosen.append(candidate)
                self._add(candidate)

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
        if self.shown and slot.run.rechecks:
            context = self._contexts.get(id(slot))
            if context is None:
                context = self._contexts[id(slot)] = slot.run.context.with_shown(tuple(self.shown))
            for recheck in slot.run.rechecks:
                if slot.reject("contact_policy", candidate, recheck(candidate, context)):
                    return False
        return id(candidate) in slot.complete or finish_candidate(slot, candidate, self.program)


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
    chosen = set(map(id, slot.chosen))
    behind = Verdict(True, f"ranked behind the first {slot.limit}")
    slot.run.recorder.placement_id = slot.placement_id
    for candidate in slot.run.candidates:
        if id(candidate) in chosen or id(candidate) in slot.rejected:
            continue
        is_taken = len(chosen) < slot.limit and candidate.offer.id in shown_elsewhere
        verdict = Verdict(True, _TAKEN) if is_taken else behind
        slot.run.recorder.note_removal("rank", slot.run.ranked_by, candidate, verdict)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateEvaluation:
    """Result of evaluating all rules of a flow for one candidate.

    Attributes:
        verdicts: Everything that blocks the candidate, in the order of the flow, and the verdicts without effect.
        coverage: By stage and id of each rule that the flow applies: whether a scope of it covers the candidate.
        is_passing: Whether the flow can show the candidate.
    """

    candidate: Candidate
    verdicts: Mapping[VerdictKey, RuleVerdict]
    coverage: Mapping[tuple[str, str], bool]
    is_passing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEvaluation:
    """Result of evaluating all rules of a flow, for one request.

    Attributes:
        candidates: Evaluated candidates by offer id; of several creatives that pass, only the one that would be chosen.
    """

    flow: DecisionFlow
    now_ms: int
    candidates: Mapping[str, Sequence[CandidateEvaluation]]


def compile_plainly(catalogue: Catalogue) -> Catalogue:
    """Return a catalogue whose flows are compiled to the steps of the plain evaluator."""
    policies = ContactPolicyIndex.build(catalogue.policies, catalogue.broken_policies, catalogue.suppressions)
    dependencies = FlowDependencies(
        list(catalogue.offers.values()),
        catalogue.rules,
        catalogue.policies,
        catalogue.broken_policies,
        RuleIndex(catalogue.rules),
        policies,
        catalogue.suppressions,
    )
    return replace(
        catalogue,
        programs={key: compile_flow(program.flow, dependencies) for key, program in catalogue.programs.items()},
        compile=partial(compile_flow, dependencies=dependencies),
        unconditional_suppressions=policies.unconditional,
    )


def decide(
    catalogue: Catalogue,
    flow: DecisionFlow,
    request: Request,
    customer: CustomerFacts,
    tenant: TenantFacts,
    *,
    now_ms: int,
    seed: int,
    open_circuits: frozenset[str] = frozenset(),
) -> Decision:
    """Decide which offers a customer is shown.

    Customers who are held out, by the tenant or by an experiment, get the fallback: the candidates that pass all rules
    and policies, ranked by priority and weight alone.

    Args:
        catalogue: Compiled catalogue of the tenant.
        flow: Flow whose published nodes run: one of the catalogue's, or another one for a simulation.
        request: Request with channels and placements given by id.
        customer: Facts of the customer, loaded as the catalogue's ``needs`` demand.
        tenant: Facts of the tenant.
        now_ms: Time of the decision, epoch milliseconds.
        seed: Seed of all random draws.
        open_circuits: Keys of models that are not called, because their circuit is open.

    Raises:
        ConfigError: A node of a flow outside the catalogue cannot be used.
        ConditionError: A condition in such a flow cannot be evaluated.
    """
    program = (catalogue := compile_plainly(catalogue)).get_program(flow)
    slots = _rank_placements(program, _prepare_input(catalogue, request, customer, tenant, now_ms), seed, open_circuits)
    fill_placements(slots, program, deduplicate=request.deduplicate)
    couple_placements(slots if request.placements else (), override=flow.coupling_override)
    return _build_decision(flow, slots, seed)


def evaluate_flow(
    catalogue: Catalogue,
    flow: DecisionFlow,
    request: Request,
    customer: CustomerFacts,
    tenant: TenantFacts,
    offers: Iterable[Offer],
    *,
    now_ms: int,
    seed: int,
    open_circuits: frozenset[str] = frozenset(),
) -> FlowEvaluation:
    """Run a flow as :func:`decide` does, but evaluate all rules for blocked candidates, too, and choose no items.

    Also evaluates ``offers`` that the inventory of the flow does not have. Other arguments and exceptions are those of
    :func:`decide`, whose decision shows only candidates that pass here.
    """
    program = (catalogue := compile_plainly(catalogue)).get_program(flow)
    decision_input = _prepare_input(catalogue, request, customer, tenant, now_ms)
    slots = _rank_placements(program, decision_input, seed, open_circuits, is_exhaustive=True)
    for slot in slots:
        for candidate in slot.run.candidates:
            finish_candidate(slot, candidate, program)
    runs = [slot.run for slot in slots]
    present = {candidate.offer.id for run in runs for candidate in run.candidates}
    missing = [offer for offer in offers if offer.id not in present]
    runs += [_evaluate_missing(run, program, missing) for run in runs if missing]
    candidates: dict[str, list[CandidateEvaluation]] = {}
    for run in runs:
        for candidate in run.candidates:
            candidates.setdefault(candidate.offer.id, []).append(_get_evaluation(run, candidate))
    return FlowEvaluation(flow=flow, now_ms=now_ms, candidates=candidates)


def _evaluate_missing(run: Run, program: Program, offers: Sequence[Offer]) -> Run:
    """Evaluate the rules for offers that the inventory does not have, in a run of its own, for the same placement."""
    flow_key = program.flow.key
    apart = Run(run.catalogue, run.context, TraceRecorder(), [], Random(0), log=VerdictLog())
    for offer in offers:
        is_active = offer.status is Status.ACTIVE
        reason = f"the inventory of flow {flow_key} does not have it" if is_active else f"the offer is {offer.status}"
        candidate = Candidate(offer)
        apart.remove("inventory", candidate, [RuleVerdict("inventory", "", Verdict(True, reason))])
        apart.candidates.append(candidate)
    _narrow(apart, program, [step for step in program.phases[NARROW] if step.node.type != "inventory"])
    return apart


def _get_evaluation(run: Run, candidate: Candidate) -> CandidateEvaluation:
    log = run.log or VerdictLog()
    return CandidateEvaluation(
        candidate=candidate,
        verdicts=log.list_verdicts(candidate),
        coverage=log.list_coverage(candidate),
        is_passing=run.is_passing(candidate),
    )


class _DecisionInput(NamedTuple):
    catalogue: Catalogue
    context: Context
    recorder: TraceRecorder


def _prepare_input(
    catalogue: Catalogue, request: Request, customer: CustomerFacts, tenant: TenantFacts, now_ms: int
) -> _DecisionInput:
    """Build the context, and record which values of the request are ignored.

    A request can put the customer only into segments that the catalogue does not define: membership in the catalogue's
    own segments follows from their filters.
    """
    recorder = TraceRecorder()
    recorder.problems += [
        f"the request's attribute {name} is not taken for customer.{name}: the source of that is what is stored"
        for name in customer.ignored
    ]
    if customer.unknown_zone:
        zone = customer.unknown_zone
        recorder.problems.append(f"the customer's time zone {zone!r} is not known: the tenant's counts")
    own = {*catalogue.segments, *catalogue.segments.values()}
    claims = sorted((request.segments & own) - customer.segments)
    recorder.problems += [
        f"the request's segment {name} does not count: the catalogue says who is in it, and the customer is not"
        for name in claims
    ]
    if claims:
        request = replace(request, segments=request.segments.difference(claims))
    return _DecisionInput(catalogue, Context(request, customer, tenant, now_ms), recorder)


def _rank_placements(
    program: Program,
    decision_input: _DecisionInput,
    seed: int,
    open_circuits: frozenset[str],
    *,
    is_exhaustive: bool = False,
) -> list[PlacementSlot]:
    """Run the first two phases for each placement."""
    request, tenant = decision_input.context.request, decision_input.context.tenant
    fallback = is_held_out(tenant.tenant_id, decision_input.context.person_id, tenant.holdout_percent)
    slots: list[PlacementSlot] = []
    for number, wanted in enumerate(request.placements or (None,)):
        slot = _make_slot(*decision_input, wanted)
        slot.run.random = Random(f"{seed}:{number}")
        slot.run.open_circuits, slot.run.is_fallback = open_circuits, fallback
        slot.run.log = VerdictLog() if is_exhaustive else None
        _run_first_phases(slot, program)
        slots.append(slot)
    return slots


def _make_slot(
    catalogue: Catalogue, context: Context, recorder: TraceRecorder, wanted: PlacementRequest | None
) -> PlacementSlot:
    request = context.request
    if wanted is None:
        run = Run(catalogue, context, recorder, [], Random(0))
        return PlacementSlot(run, request.limit, request.placement_id, request.channel_id)
    placement = catalogue.placements.get(wanted.placement_id)
    channel_id = wanted.channel_id or (placement.channel_id if placement else request.channel_id)
    own = replace(request, placement_id=wanted.placement_id, channel_id=channel_id, limit=wanted.limit, placements=())
    run = Run(catalogue, context.with_request(own), recorder, [], Random(0))
    return PlacementSlot(run, wanted.limit, wanted.placement_id, channel_id)


def _run_first_phases(slot: PlacementSlot, program: Program) -> None:
    slot.run.recorder.placement_id = slot.placement_id
    _narrow(slot.run, program, program.phases[NARROW])
    run_steps(slot.run, program.phases[SCORE])
    slot.limit = min(slot.limit, slot.run.max_candidates)


def _narrow(run: Run, program: Program, steps: Sequence[FlowStep]) -> None:
    run_steps(run, steps)
    run_required_steps(run, program)
    require_consent(run)
    apply_suppressions(run)


def _build_decision(flow: DecisionFlow, slots: Sequence[PlacementSlot], seed: int) -> Decision:
    runs = [slot.run for slot in slots]
    chosen = [(slot, candidate) for slot in slots for candidate in slot.chosen]
    failed = sorted({key for run in runs for key in run.failed_models})
    return Decision(
        flow_key=flow.key,
        flow_version=flow.published_version,
        items=[_build_item(rank, slot, candidate) for rank, (slot, candidate) in enumerate(chosen, 1)],
        funnel=_count_funnel(runs, len(chosen)),
        placement_results=[
            PlacementResult(placement_id=slot.placement_id, channel_id=slot.channel_id, count=len(slot.chosen))
            for slot in slots
        ],
        experiments=list(_list_experiments(runs)),
        trace=runs[0].recorder.finish(),
        control_group=any(run.is_fallback for run in runs),
        degraded_scoring=bool(failed),
        failed_models=failed,
        seed=seed,
    )


def _list_experiments(runs: Sequence[Run]) -> Iterator[ExperimentRecord]:
    for assignment in dict.fromkeys(assignment for run in runs for assignment in run.assignments):
        yield ExperimentRecord(
            experiment_id=assignment.experiment_id,
            experiment_key=assignment.experiment_key,
            variant=assignment.variant,
        )


def _count_funnel(runs: Sequence[Run], final: int) -> Funnel:
    """Sum the funnel over the runs; a stage that a flow skips passes all candidates."""
    candidates = qualified = allowed = 0
    for run in runs:
        before = run.counts_by_type.get("match_creatives", run.counts_by_type.get("inventory", 0))
        after = run.counts_by_type.get("qualify", before)
        candidates, qualified = candidates + before, qualified + after
        allowed += run.counts_by_type.get("contact_policy", after)
    return Funnel(
        candidate_count=candidates, after_qualification=qualified, after_contact_policy=allowed, final_count=final
    )


def _build_item(rank: int, slot: PlacementSlot, candidate: Candidate) -> DecisionItem:
    offer, creative, channel = candidate.offer, candidate.creative, candidate.channel
    category = slot.run.catalogue.categories.get(offer.category_id or "")
    return DecisionItem(
        rank=rank,
        offer_id=offer.id,
        offer_name=offer.name,
        category_id=offer.category_id,
        category_name=category.name if category else None,
        creative_id=creative.id if creative else None,
        creative_name=creative.name if creative else None,
        channel_id=channel.id if channel else None,
        channel_type=channel.channel_type if channel else None,
        placement_id=slot.placement_id or (creative.placement_id if creative else None),
        score=candidate.score or 0.0,
        propensity=0.0,
        content=candidate.content,
        personalization=candidate.personalization,
        properties=candidate.properties,
        variant=creative.ab_test_variant if creative else None,
    )

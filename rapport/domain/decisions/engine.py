"""Decision engine: runs a flow on a catalogue, a request and facts, and returns a decision with its trace.

A decision is a pure function of its arguments: equal arguments give equal decisions in every process and at any time.
Replay relies on that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from rapport.domain.catalogue.values import Status
from rapport.domain.decisions.candidates import Candidate, Context, PlacementRequest, Request
from rapport.domain.decisions.compile_flow import run_required_steps, run_steps
from rapport.domain.decisions.decision import Decision, DecisionItem, ExperimentRecord, Funnel, PlacementResult
from rapport.domain.decisions.flow.eligibility_nodes import apply_suppressions, require_consent
from rapport.domain.decisions.node_types import NARROW, SCORE
from rapport.domain.decisions.output.placements import (
    PlacementSlot,
    couple_placements,
    fill_placements,
    finish_candidate,
)
from rapport.domain.decisions.program import FlowStep, Program
from rapport.domain.decisions.run import Run
from rapport.domain.decisions.trace_recorder import TraceRecorder
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.decisions.verdict_log import VerdictKey, VerdictLog
from rapport.domain.experiments.assignment import is_held_out

if TYPE_CHECKING:
    from rapport.domain.catalogue.inventory import Offer
    from rapport.domain.catalogue.strategy import DecisionFlow
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import CustomerFacts, TenantFacts


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
    program = catalogue.get_program(flow)
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
    program = catalogue.get_program(flow)
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
    apart = Run(run.catalogue, run.context, TraceRecorder(), [], log=VerdictLog())
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
    percent = tenant.holdout_percent
    fallback = percent > 0 and is_held_out(tenant.tenant_id, decision_input.context.person_id, percent)
    slots: list[PlacementSlot] = []
    for number, wanted in enumerate(request.placements or (None,)):
        slot = _make_slot(*decision_input, wanted)
        slot.run.seed = f"{seed}:{number}"
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
        run = Run(catalogue, context, recorder, [])
        return PlacementSlot(run, request.limit, request.placement_id, request.channel_id)
    placement = catalogue.placements.get(wanted.placement_id)
    channel_id = wanted.channel_id or (placement.channel_id if placement else request.channel_id)
    own = replace(request, placement_id=wanted.placement_id, channel_id=channel_id, limit=wanted.limit, placements=())
    run = Run(catalogue, context.with_request(own), recorder, [])
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
    propensity = slot.find_propensity(candidate)
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
        propensity=propensity.value,
        propensity_kind=propensity.kind,
        content=candidate.content,
        personalization=candidate.personalization,
        properties=candidate.properties,
        variant=creative.ab_test_variant if creative else None,
    )

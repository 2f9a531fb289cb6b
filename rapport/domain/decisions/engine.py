"""Decision engine: runs a flow on a catalogue, a request and facts, and returns a decision with its trace.

A decision is a pure function of its arguments: equal arguments give equal decisions in every process and at any time.
Replay relies on that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, NamedTuple

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
from rapport.domain.decisions.program import Program
from rapport.domain.decisions.run import Run
from rapport.domain.decisions.trace import Removal, TraceRecorder
from rapport.domain.experiments.assignment import is_held_out

if TYPE_CHECKING:
    from rapport.domain.catalogue.strategy import DecisionFlow
    from rapport.domain.decisions.catalogue import Catalogue
    from rapport.domain.decisions.facts import CustomerFacts, TenantFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEvaluation:
    """Result of evaluating all rules of a flow for every offer of its inventory, for one request.

    Attributes:
        context: Request and facts of the evaluation.
        candidates: Candidates by offer id; of several creatives that pass, only the one that would be chosen.
        passing: Candidates that no rule blocks, by :func:`id`.
        removals: All removals, several for a candidate that several rules block.
        applied_rules: Stage and id of each rule and policy that the flow has applied.
    """

    flow: DecisionFlow
    context: Context
    candidates: Mapping[str, Sequence[Candidate]]
    passing: Collection[int]
    removals: Sequence[Removal]
    applied_rules: Collection[tuple[str, str]]


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
    *,
    now_ms: int,
    seed: int,
    open_circuits: frozenset[str] = frozenset(),
) -> FlowEvaluation:
    """Run a flow as :func:`decide` does, but evaluate all rules for blocked candidates, too, and choose no items.

    Arguments and exceptions are those of :func:`decide`, whose decision shows only candidates that pass here.
    """
    program = catalogue.get_program(flow)
    decision_input = _prepare_input(catalogue, request, customer, tenant, now_ms)
    slots = _rank_placements(program, decision_input, seed, open_circuits, is_exhaustive=True)
    for slot in slots:
        for candidate in slot.run.candidates:
            if not finish_candidate(slot, candidate, program):
                slot.run.blocked_subjects.add(candidate.subject)
    runs = [slot.run for slot in slots]
    candidates: dict[str, list[Candidate]] = {}
    for run in runs:
        for candidate in run.candidates:
            candidates.setdefault(candidate.offer.id, []).append(candidate)
    return FlowEvaluation(
        flow=flow,
        context=decision_input.context,
        candidates=candidates,
        passing={id(candidate) for run in runs for candidate in run.candidates if run.is_passing(candidate)},
        removals=slots[0].run.recorder.removals,
        applied_rules={rule for run in runs for rule in run.applied_rules},
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
        slot.run.random = Random(f"{seed}:{number}")  # noqa: S311 - no secret: kept so that the decision can be run again
        slot.run.open_circuits, slot.run.is_fallback, slot.run.is_exhaustive = open_circuits, fallback, is_exhaustive
        _run_first_phases(slot, program)
        slots.append(slot)
    return slots


def _make_slot(
    catalogue: Catalogue, context: Context, recorder: TraceRecorder, wanted: PlacementRequest | None
) -> PlacementSlot:
    request = context.request
    if wanted is None:
        run = Run(catalogue, context, recorder, [], Random(0))  # noqa: S311 - replaced
        return PlacementSlot(run, request.limit, request.placement_id, request.channel_id)
    placement = catalogue.placements.get(wanted.placement_id)
    channel_id = wanted.channel_id or (placement.channel_id if placement else request.channel_id)
    own = replace(request, placement_id=wanted.placement_id, channel_id=channel_id, limit=wanted.limit, placements=())
    run = Run(catalogue, context.with_request(own), recorder, [], Random(0))  # noqa: S311 - replaced
    return PlacementSlot(run, wanted.limit, wanted.placement_id, channel_id)


def _run_first_phases(slot: PlacementSlot, program: Program) -> None:
    slot.run.recorder.placement_id = slot.placement_id
    run_steps(slot.run, program.phases[NARROW])
    run_required_steps(slot.run, program)
    require_consent(slot.run)
    apply_suppressions(slot.run)
    run_steps(slot.run, program.phases[SCORE])
    slot.limit = min(slot.limit, slot.run.max_candidates)


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
        propensity=slot.probabilities.get(candidate.subject, 0.0),
        content=candidate.content,
        personalization=candidate.personalization,
        properties=candidate.properties,
        variant=creative.ab_test_variant if creative else None,
    )

"""Runs a flow: from a catalogue, a request and facts to a decision that explains itself.

A decision is a function of its arguments. The same ones give the same decision, in every process, for ever; that is
what a replay rests on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from rapport.domain.decisions.candidates import Candidate, Context, PlacementRequest, Request
from rapport.domain.decisions.compile_flow import run_default_steps, run_steps
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
    """What a flow has to say about every offer of its inventory, for one request.

    Attributes:
        context: What the flow knew.
        candidates: By offer; of several creatives that pass, the one that would be chosen.
        passing: What nothing was said against, by :func:`id`.
        removals: Everything that was said.
        applied: Stage and id of each rule and policy that the flow's gates asked.
    """

    flow: DecisionFlow
    context: Context
    candidates: Mapping[str, Sequence[Candidate]]
    passing: Collection[int]
    removals: Sequence[Removal]
    applied: Collection[tuple[str, str]]


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
    """Decide what a customer is shown.

    Customers who are held out, by the tenant or by an experiment, get the fallback: what rules and policies let pass,
    by priority and weight alone.

    Args:
        catalogue: Compiled.
        flow: Whose published nodes are run; one of the catalogue's, or another for a simulation.
        request: Names channels and placements by their ids.
        customer: What the catalogue's needs ask for.
        tenant: Likewise.
        now_ms: Epoch milliseconds.
        seed: Of all chance in the decision.
        open_circuits: Keys of models that are not asked, because they failed lately.

    Raises:
        ConfigError: A flow that is not one of the catalogue's has a node that cannot be used.
        ConditionError: Or a condition.
    """
    program = catalogue.program_of(flow)
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
    """Run a flow as :func:`decide` does, but go on after each objection, and choose nothing.

    Arguments and exceptions are those of :func:`decide`, whose decision shows only what passes here.
    """
    program = catalogue.program_of(flow)
    begun = _prepare_input(catalogue, request, customer, tenant, now_ms)
    slots = _rank_placements(program, begun, seed, open_circuits, is_inquiry=True)
    for slot in slots:
        for candidate in slot.run.candidates:
            if not finish_candidate(slot, candidate, program):
                slot.run.objected.add(candidate.subject)
    runs = [slot.run for slot in slots]
    candidates: dict[str, list[Candidate]] = {}
    for run in runs:
        for candidate in run.candidates:
            candidates.setdefault(candidate.offer.id, []).append(candidate)
    return FlowEvaluation(
        flow=flow,
        context=begun.context,
        candidates=candidates,
        passing={id(candidate) for run in runs for candidate in run.candidates if run.passes(candidate)},
        removals=slots[0].run.recorder.removals,
        applied={asked for run in runs for asked in run.applied},
    )


class _DecisionInput(NamedTuple):
    catalogue: Catalogue
    context: Context
    recorder: TraceRecorder


def _prepare_input(
    catalogue: Catalogue, request: Request, customer: CustomerFacts, tenant: TenantFacts, now_ms: int
) -> _DecisionInput:
    """Put together what is known, and say which claims of the request do not count.

    In the catalogue's own segments is who fulfils their filters; in others who a request says is.
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
    program: Program, begun: _DecisionInput, seed: int, open_circuits: frozenset[str], *, is_inquiry: bool = False
) -> list[PlacementSlot]:
    """Run the first two phases for each placement."""
    request, tenant = begun.context.request, begun.context.tenant
    fallback = is_held_out(tenant.tenant_id, begun.context.person_id, tenant.holdout_percent)
    slots: list[PlacementSlot] = []
    for number, wanted in enumerate(request.placements or (None,)):
        slot = _make_slot(*begun, wanted)
        slot.run.random = Random(f"{seed}:{number}")  # noqa: S311 - no secret: kept so that the decision can be run again
        slot.run.open_circuits, slot.run.is_fallback, slot.run.is_inquiry = open_circuits, fallback, is_inquiry
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
    run = Run(catalogue, context.asked(own), recorder, [], Random(0))  # noqa: S311 - replaced
    return PlacementSlot(run, wanted.limit, wanted.placement_id, channel_id)


def _run_first_phases(slot: PlacementSlot, program: Program) -> None:
    slot.run.recorder.placement_id = slot.placement_id
    run_steps(slot.run, program.phases[NARROW])
    run_default_steps(slot.run, program)
    require_consent(slot.run)
    apply_suppressions(slot.run)
    run_steps(slot.run, program.phases[SCORE])
    slot.limit = min(slot.limit, slot.run.most)


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
    for one in dict.fromkeys(assignment for run in runs for assignment in run.assignments):
        yield ExperimentRecord(experiment_id=one.experiment_id, experiment_key=one.experiment_key, variant=one.variant)


def _count_funnel(runs: Sequence[Run], final: int) -> Funnel:
    """A gate that a flow does not have lets all pass."""
    candidates = qualified = allowed = 0
    for run in runs:
        before = run.gates.get("match_creatives", run.gates.get("inventory", 0))
        after = run.gates.get("qualify", before)
        candidates, qualified = candidates + before, qualified + after
        allowed += run.gates.get("contact_policy", after)
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

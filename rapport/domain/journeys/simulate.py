"""Simulation of journeys: without effects, and with a clock that jumps over waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus
from rapport.domain.journeys.progress import DecideAction, complete, enrol, take_step

if TYPE_CHECKING:
    from rapport.domain.journeys.plan import JourneyPlan
    from rapport.domain.journeys.progress import Action, JourneyFacts

MAX_STEPS: Final = 500
"""Most steps of a simulation: cycles of short waits may go on for a year."""
Choose = Callable[[DecideAction], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedStep:
    """Step that the customer would come to.

    Attributes:
        at_ms: Time of the step, epoch milliseconds.
        action: Action of the step.
        chosen: Offers that a decision would choose.
    """

    step_id: str
    type: str
    at_ms: int
    action: Action | None = None
    chosen: Sequence[Mapping[str, Any]] | None = None


def simulate(
    plan: JourneyPlan, customer_id: str, entry: Mapping[str, Any], facts: JourneyFacts, choose: Choose, now_ms: int
) -> tuple[Sequence[SimulatedStep], Enrolment]:
    """Simulate a journey; the clock jumps to the end of each wait, the facts stay as they are.

    Args:
        plan: Compiled journey.
        customer_id: Id of the customer.
        entry: Event of the entry.
        facts: Facts about the customer.
        choose: Returns the offers that a decision would choose.
        now_ms: Time of entry, epoch milliseconds.

    Returns:
        The steps, and the final state; still active if the simulation stopped early.
    """
    state = enrol(plan, "simulated", customer_id, entry, now_ms)
    steps: list[SimulatedStep] = []
    is_new = True
    while state.status is EnrolmentStatus.ACTIVE and len(steps) < MAX_STEPS:
        after, action = take_step(plan, state, facts, now_ms)
        chosen = choose(action) if isinstance(action, DecideAction) else None
        if is_new and after.status is not EnrolmentStatus.EXPIRED:
            kind = plan.steps[state.step].type
            steps.append(SimulatedStep(step_id=state.step, type=kind, at_ms=now_ms, action=action, chosen=chosen))
        is_new = action is not None or after.visits != state.visits
        if action is not None:
            state = complete(plan, after, now_ms, chosen=chosen)
        else:
            state = after
            now_ms = now_ms if is_new else max(now_ms, after.due_at_ms)
    return steps, state

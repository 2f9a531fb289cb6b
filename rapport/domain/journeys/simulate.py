"""Goes through a journey in no time and without effects: what would happen to a customer, and when."""

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
"""Of a simulation: circles of short waits may go round for a year."""
Choose = Callable[[DecideAction], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedStep:
    """A step that the customer would come to.

    Attributes:
        at_ms: When, epoch milliseconds.
        action: What would be done there.
        chosen: What a decision would choose.
    """

    step_id: str
    type: str
    at_ms: int
    action: Action | None = None
    chosen: Sequence[Mapping[str, Any]] | None = None


def simulate(
    plan: JourneyPlan, customer_id: str, entry: Mapping[str, Any], facts: JourneyFacts, choose: Choose, now_ms: int
) -> tuple[Sequence[SimulatedStep], Enrolment]:
    """Go through a journey; the clock jumps to the end of each wait. The facts stay as they are.

    Args:
        plan: Of the journey.
        customer_id: Who.
        entry: The event of the entry.
        facts: Of the customer.
        choose: What decisions would choose.
        now_ms: When the customer would enter.

    Returns:
        The steps, and how it would end; still active if that was not reached.
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

"""Progress of a customer through a journey. Pure: effects are returned as actions, which the caller executes.

The state stays at a step until the step is complete. :func:`advance` passes elapsed waits and branches, up to
the next wait that has not elapsed, or up to a step with an effect, which it returns as an action with a key. The caller
executes the action and reports it with :func:`complete`. The state at a step is written before its effect is executed;
so after a crash the effect is executed again under the same key, and from the same state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from rapport.domain.formulas.values import to_truth
from rapport.domain.journeys.definition import DecideConfig, SendConfig, UpdateConfig, WaitConfig
from rapport.domain.journeys.enrolment import Enrolment, EnrolmentStatus
from rapport.domain.journeys.plan import JourneyPlan, PlanStep
from rapport.domain.json_limits import UNREADABLE
from rapport.domain.number_text import parse_index
from rapport.domain.periods import DAY_MS

GONE: Final = "the journey has no such step"
LOST: Final = "the stored state cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyFacts:
    """Facts about a customer that formulas read.

    Attributes:
        segments: Ids and names.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    segments: frozenset[str] = frozenset()
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideAction:
    """Action: run a decision."""

    key: str
    config: DecideConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SendAction:
    """Action: contact the customer.

    Attributes:
        offer_id: Empty if the creative determines it, or a decision chose an offer without one.
        at_ms: Time of the contact; the same in every retry.
        recommendation_id: The decision that chose it; empty if none did. If set, ``rank`` is its rank there.
    """

    key: str
    outcome: str
    offer_id: str
    creative_id: str
    channel_id: str
    at_ms: int
    recommendation_id: str = ""
    rank: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateAction:
    """Action: change attributes of the customer; null removes one."""

    key: str
    attributes: Mapping[str, Any]


FIRST_RETRY_MS: Final = 60_000
Action: TypeAlias = DecideAction | SendAction | UpdateAction


def enrol(plan: JourneyPlan, enrolment_id: str, customer_id: str, entry: Mapping[str, Any], now_ms: int) -> Enrolment:
    """Enrol a customer in a journey, at its first step."""
    return Enrolment(
        id=enrolment_id,
        journey_id=plan.journey_id,
        journey_version=plan.version,
        customer_id=customer_id,
        step=plan.start,
        entered_at_ms=now_ms,
        due_at_ms=now_ms,
        enrolled_at_ms=now_ms,
        expires_at_ms=now_ms + plan.max_duration_ms,
        visits={plan.start: 1},
        entry=entry,
    )


def advance(
    plan: JourneyPlan, enrolment: Enrolment, facts: JourneyFacts, now_ms: int
) -> tuple[Enrolment, tuple[Action, ...]]:
    """Advance an enrolment as far as possible without effects.

    Args:
        plan: Compiled journey, of the enrolment's version.
        enrolment: State of the customer.
        facts: Facts for branches and updates.
        now_ms: Epoch milliseconds.

    Returns:
        The new state, and its actions: none, or one.
    """
    current = enrolment
    while current.status is EnrolmentStatus.ACTIVE:
        after, action = take_step(plan, current, facts, now_ms)
        if action is not None:
            return after, (action,)
        if after.visits == current.visits:  # a wait that is not over, or the end
            return after, ()
        current = after
    return current, ()


def take_step(
    plan: JourneyPlan, current: Enrolment, facts: JourneyFacts, now_ms: int
) -> tuple[Enrolment, Action | None]:
    """Execute the present step as far as possible without effects; one step of :func:`advance`.

    Returns:
        The new state: at the next step, or still here if there is a wait or an action.
    """
    if now_ms >= current.expires_at_ms:
        return _end(current, EnrolmentStatus.EXPIRED, current.expires_at_ms), None
    step = plan.steps.get(current.step)
    is_lost = UNREADABLE in current.entry  # an action must not be repeated, and past ones are unknown
    if step is None or is_lost:
        return _end(current, EnrolmentStatus.FAILED, now_ms, LOST if is_lost else GONE), None
    if isinstance(step.config, WaitConfig):
        due_at_ms = current.entered_at_ms + step.config.length_ms
        if now_ms < due_at_ms:
            return replace(current, due_at_ms=min(due_at_ms, current.expires_at_ms)), None
        return _move(current, step.next, now_ms), None
    if isinstance(step.config, UpdateConfig) and current.pending is None:
        current = replace(current, pending=_compute_update(step, step.config, current, facts, now_ms))
    action = _make_action(step, current)
    if action is not None:
        return current, action
    return _move(current, _choose_target(step, current, facts, now_ms), now_ms), None


def complete(
    plan: JourneyPlan, enrolment: Enrolment, now_ms: int, *, chosen: Sequence[Mapping[str, Any]] | None = None
) -> Enrolment:
    """Move on from a step whose action has been executed.

    Args:
        plan: As for :func:`advance`.
        enrolment: State at the step.
        now_ms: Epoch milliseconds.
        chosen: Offers that a decision has chosen, the best first.
    """
    step = plan.steps[enrolment.step]
    if isinstance(step.config, DecideConfig):
        results = {**enrolment.results, step.config.store_result_as: list(chosen or ())}
        enrolment = replace(enrolment, results=results)
    return _move(enrolment, step.next, now_ms)


def leave(enrolment: Enrolment, now_ms: int, reason: str) -> Enrolment:
    """End an enrolment because a user, or the end of the journey, takes the customer out."""
    return _end(enrolment, EnrolmentStatus.EXITED, now_ms, reason)


def fail(enrolment: Enrolment, now_ms: int, reason: str) -> Enrolment:
    """End an enrolment whose step cannot be executed."""
    return _end(enrolment, EnrolmentStatus.FAILED, now_ms, reason)


def postpone(enrolment: Enrolment, now_ms: int, reason: str) -> Enrolment:
    """Retry a step that failed unexpectedly later: after a minute, doubling each time, a day at most."""
    pause_ms = min(FIRST_RETRY_MS * 2 ** min(enrolment.setbacks, 20), DAY_MS)
    due_at_ms = min(now_ms + pause_ms, max(enrolment.expires_at_ms, now_ms))
    return replace(enrolment, setbacks=enrolment.setbacks + 1, due_at_ms=due_at_ms, reason=reason)


def look_up_field(name: str, enrolment: Enrolment, facts: JourneyFacts, now_ms: int) -> object:
    """Look up a field of a formula; None if there is none."""
    namespace, _, rest = name.partition(".")
    if namespace == "segments":
        return sorted(facts.segments)
    if namespace == "journey":
        days = (now_ms - enrolment.enrolled_at_ms) / DAY_MS
        return days if rest == "daysSinceEntry" else enrolment.visits.get(rest.removeprefix("visits."), 0)
    values = {
        "customer": facts.attributes,
        "metric": facts.metrics,
        "entry": enrolment.entry,
        "result": enrolment.results,
    }
    return _look_up_path(values.get(namespace), rest)


def _make_action(step: PlanStep, current: Enrolment) -> Action | None:
    """Return the action of a step; None if it has none."""
    key = _make_key(current)
    match step.config:
        case DecideConfig() as config:
            return DecideAction(key=key, config=config)
        case SendConfig() as config:
            return _make_send(key, config, current)
        case UpdateConfig():
            return UpdateAction(key=key, attributes=current.pending or {})
        case _:
            return None


def _compute_update(
    step: PlanStep, config: UpdateConfig, current: Enrolment, facts: JourneyFacts, now_ms: int
) -> Mapping[str, Any]:
    values = {
        name: formula.evaluate(lambda field: look_up_field(field, current, facts, now_ms))
        for name, formula in step.formulas.items()
    }
    return {**config.attributes, **values}


def _make_send(key: str, config: SendConfig, current: Enrolment) -> SendAction | None:
    item: Mapping[str, Any] = {"creativeId": config.creative_id}
    if config.from_result is not None:
        chosen = current.results.get(config.from_result, ())
        if len(chosen) < config.rank:
            return None
        item = chosen[config.rank - 1]
    return SendAction(
        key=key,
        outcome=config.outcome,
        offer_id=item.get("offerId") or "",
        creative_id=item.get("creativeId") or "",
        channel_id=config.channel_id or item.get("channelId") or "",
        at_ms=current.entered_at_ms,
        recommendation_id=item.get("recommendationId", ""),
        rank=item.get("rank"),
    )


def _make_key(current: Enrolment) -> str:
    """Make the idempotency key of a step's action, which tells the visits apart."""
    visit = current.visits.get(current.step, 1)
    return f"journey:{current.id}:{current.step}" + (f":{visit}" if visit > 1 else "")


def _choose_target(step: PlanStep, current: Enrolment, facts: JourneyFacts, now_ms: int) -> str | None:
    for formula, target in step.conditions:
        if to_truth(formula.evaluate(lambda field: look_up_field(field, current, facts, now_ms))):
            return target
    return step.next


def _move(current: Enrolment, target: str | None, now_ms: int) -> Enrolment:
    if target is None:
        return _end(current, EnrolmentStatus.COMPLETED, now_ms)
    visits = {**current.visits, target: current.visits.get(target, 0) + 1}
    return replace(
        current, step=target, entered_at_ms=now_ms, due_at_ms=now_ms, visits=visits, pending=None, setbacks=0, reason=""
    )


def _end(current: Enrolment, status: EnrolmentStatus, now_ms: int, reason: str = "") -> Enrolment:
    return replace(current, status=status, ended_at_ms=now_ms, reason=reason)


def _look_up_path(values: object, path: str) -> object:
    """Look up a path inside nested objects and lists; a name with dots in it comes first."""
    if isinstance(values, Mapping):
        if path in values:
            return values[path]
        head, dot, rest = path.partition(".")
        return _look_up_path(values.get(head), rest) if dot else None
    if isinstance(values, Sequence) and not isinstance(values, str):
        head, dot, rest = path.partition(".")
        if head == "count":
            return len(values)
        index = parse_index(head)
        item = values[index] if index is not None and index < len(values) else None
        return _look_up_path(item, rest) if dot else item
    return None

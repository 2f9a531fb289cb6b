"""Validation of journeys, applied when one is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rapport.domain.faults import Fault
from rapport.domain.formulas import Formula, FormulaError, compile_formula
from rapport.domain.journeys.definition import BranchConfig, DecideConfig, SendConfig, UpdateConfig
from rapport.domain.journeys.plan import METRIC, PlanStep, check_step, list_formulas, pair_with_following

if TYPE_CHECKING:
    from rapport.domain.journeys.definition import Journey, JourneyStep

Known = Mapping[str, Collection[str]]
NAMESPACES: Final = ("customer", "metric", "entry", "result", "journey")
"""Namespaces of fields that formulas may read, besides ``segments``."""


def find_journey_faults(journey: Journey, known: Known) -> Iterator[Fault]:
    """Find every fault of a journey.

    Args:
        journey: Valid by its type.
        known: Existing names by kind; references to kinds that are not in it are not checked.
    """
    listed = journey.definition.steps
    paths = {step.id: f"definition.steps[{index}]" for index, step in enumerate(listed)}
    for index, step in enumerate(listed):
        if step.id in [one.id for one in listed[:index]]:
            yield Fault(f"definition.steps[{index}].id", f"{step.id!r} occurs twice")
    ready: dict[str, PlanStep] = {}
    for index, (step, following) in enumerate(pair_with_following(journey)):
        checked = check_step(step, following)
        if isinstance(checked, PlanStep):
            ready[step.id] = checked
            yield from _check_step(f"definition.steps[{index}]", step, checked, paths, known, journey)
        else:
            yield from (
                Fault(f"definition.steps[{index}].config.{fault.field}".rstrip("."), fault.message) for fault in checked
            )
    start = journey.definition.start or listed[0].id
    if start not in paths:
        yield Fault("definition.start", f"there is no step {start!r}")
    elif len(ready) == len(paths):  # else some targets are unknown
        yield from _check_ways(start, ready, paths)
    yield from _check_entry(journey, known)


def _check_step(
    path: str, step: JourneyStep, ready: PlanStep, paths: Collection[str], known: Known, journey: Journey
) -> Iterator[Fault]:
    for field, target in _list_targets(step, ready):
        if target not in paths:
            yield Fault(f"{path}.{field}", f"there is no step {target!r}")
    for formula in list_formulas(ready):
        yield from (Fault(f"{path}.config", message) for message in _check_names(formula, known))
    config = ready.config
    for field, kind, wanted in _list_references(config):
        if wanted is not None and kind in known and wanted not in known[kind]:
            yield Fault(f"{path}.config.{field}", f"there is no {kind.replace('_', '-')} {wanted!r}")
    if isinstance(config, DecideConfig) and config.flow_key and config.decision_flow_id:
        yield Fault(
            f"{path}.config.decisionFlowId", "flowKey and decisionFlowId name the flow twice; leave one of them out"
        )
    if isinstance(config, SendConfig):
        yield from _check_send(path, config, journey)
    if isinstance(config, UpdateConfig) and not (config.attributes or config.expressions):
        yield Fault(f"{path}.config", "an update needs attributes or expressions")


def _list_targets(step: JourneyStep, ready: PlanStep) -> Iterator[tuple[str, str]]:
    if step.next is not None:
        yield "next", step.next
    for index, (_, target) in enumerate(ready.conditions):
        yield f"config.conditions[{index}].targetStepId", target
    if isinstance(ready.config, BranchConfig) and ready.config.default_step_id is not None:
        yield "config.defaultStepId", ready.config.default_step_id


def _list_references(config: object) -> Sequence[tuple[str, str, str | None]]:
    if isinstance(config, DecideConfig):
        return (
            ("flowKey", "decision_flow", config.flow_key),
            ("decisionFlowId", "decision_flow", config.decision_flow_id),
            ("channelId", "channel", config.channel_id),
            ("placementId", "placement", config.placement_id),
        )
    if isinstance(config, SendConfig):
        return (("creativeId", "creative", config.creative_id), ("channelId", "channel", config.channel_id))
    return ()


def _check_send(path: str, config: SendConfig, journey: Journey) -> Iterator[Fault]:
    if (config.creative_id is None) == (config.from_result is None):
        yield Fault(f"{path}.config", "a send step needs either creativeId or fromResult")
    stored = [
        step.config.get("storeResultAs", "decision") for step in journey.definition.steps if step.type == "decide"
    ]
    if config.from_result is not None and config.from_result not in stored:
        yield Fault(f"{path}.config.fromResult", f"no decide step stores its result as {config.from_result!r}")


def _check_ways(start: str, steps: Mapping[str, PlanStep], paths: Mapping[str, str]) -> Iterator[Fault]:
    """Find steps that cannot be reached, and cycles without a wait."""
    reached, left = {start}, [start]
    while left:
        for target in steps[left.pop()].targets:
            if target in steps and target not in reached:
                reached.add(target)
                left.append(target)
    for step_id, path in paths.items():
        if step_id not in reached:
            yield Fault(path, f"nothing leads to {step_id!r}")
    looping = _find_cycle(steps)
    if looping:
        yield Fault(paths[looping[0]], f"{' -> '.join(looping)} goes in a circle without a wait")


def _find_cycle(steps: Mapping[str, PlanStep]) -> list[str]:
    """Find the steps of a cycle without a wait, in the order of the list; empty if there is none."""
    remaining = {
        step.id: {step_id for step_id in step.targets if step_id in steps}
        for step in steps.values()
        if step.type != "wait"
    }
    while True:
        ends = [step_id for step_id, targets in remaining.items() if not targets & remaining.keys()]
        if not ends:
            break
        for step_id in ends:
            del remaining[step_id]
    # The remaining steps lead into a cycle; those without a predecessor are not on it.
    while True:
        outside = [step_id for step_id in remaining if not any(step_id in targets for targets in remaining.values())]
        if not outside:
            return list(remaining)
        for step_id in outside:
            del remaining[step_id]


def _check_entry(journey: Journey, known: Known) -> Iterator[Fault]:
    condition = journey.entry_condition
    if condition is None or not condition.expression:
        return
    try:
        formula = compile_formula(condition.expression)
    except FormulaError as error:
        yield Fault("entryCondition.expression", str(error))
    else:
        yield from (Fault("entryCondition.expression", message) for message in _check_names(formula, known))


def _check_names(formula: Formula, known: Known) -> Iterator[str]:
    for name in sorted(formula.names):
        namespace, dot, rest = name.partition(".")
        if name != "segments" and (namespace not in NAMESPACES or not dot):
            yield f"{name!r} is not known; segments, {', '.join(f'{prefix}.…' for prefix in NAMESPACES)} are"
        elif namespace == METRIC.rstrip(".") and "metric" in known and rest not in known["metric"]:
            yield f"there is no metric {rest!r}"

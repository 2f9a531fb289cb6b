"""Compiled journeys: typed configs, compiled formulas, and the successor of every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rapport.domain.configs import ConfigError, read_config
from rapport.domain.faults import Fault
from rapport.domain.formulas import Formula, FormulaError, compile_formula
from rapport.domain.journeys.definition import CONFIGS, BranchConfig, EndConfig, UpdateConfig
from rapport.domain.periods import DAY_MS

if TYPE_CHECKING:
    from rapport.domain.configs import Config
    from rapport.domain.journeys.definition import EntryCondition, Journey, JourneyStep

METRIC: Final = "metric."


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """Compiled step.

    Attributes:
        next: The step after this one; None completes the journey. A branch goes there if no condition is true.
        conditions: Formula and target of each condition of a branch, in order.
        formulas: Formulas of an update by attribute.
    """

    id: str
    type: str
    config: Config
    next: str | None
    conditions: Sequence[tuple[Formula, str]] = ()
    formulas: Mapping[str, Formula] = field(default_factory=dict)

    @property
    def targets(self) -> Iterator[str]:
        """Every step that may follow."""
        yield from (target for _, target in self.conditions)
        if self.next is not None:
            yield self.next


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyPlan:
    """Compiled journey.

    Attributes:
        entry: The formula of the entry condition.
        metrics: Keys of the behavioral metrics that formulas read.
    """

    journey_id: str
    version: int
    name: str
    steps: Mapping[str, PlanStep]
    start: str
    max_duration_ms: int
    allows_reentry: bool
    condition: EntryCondition | None
    entry: Formula | None
    metrics: frozenset[str]


def compile_journey(journey: Journey, version: int) -> JourneyPlan:
    """Compile a journey.

    Args:
        journey: One without faults (:func:`rapport.domain.journeys.checks.find_journey_faults`).
        version: Version of the journey.

    Raises:
        ConfigError: A step's config cannot be used.
        FormulaError: A formula cannot be read.
    """
    steps = {step.id: compile_step(step, following) for step, following in pair_with_following(journey)}
    condition = journey.entry_condition
    entry = compile_formula(condition.expression) if condition and condition.expression else None
    formulas = [formula for step in steps.values() for formula in list_formulas(step)] + ([entry] if entry else [])
    names = {name for formula in formulas for name in formula.names}
    return JourneyPlan(
        journey_id=journey.id,
        version=version,
        name=journey.name,
        steps=steps,
        start=journey.definition.start or journey.definition.steps[0].id,
        max_duration_ms=journey.max_duration_days * DAY_MS,
        allows_reentry=journey.allows_reentry,
        condition=condition,
        entry=entry,
        metrics=frozenset(name.removeprefix(METRIC) for name in names if name.startswith(METRIC)),
    )


def pair_with_following(journey: Journey) -> Iterator[tuple[JourneyStep, str | None]]:
    """Pair every step with the id of the next one in the list."""
    steps = journey.definition.steps
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        yield step, following.id if following else None


def compile_step(step: JourneyStep, following: str | None) -> PlanStep:
    """Compile one step.

    Raises:
        ConfigError: Its config cannot be used.
        FormulaError: One of its formulas cannot be read.
    """
    config = read_config(step.config, CONFIGS[step.type])
    then = step.next or following
    conditions: Sequence[tuple[Formula, str]] = ()
    formulas: Mapping[str, Formula] = {}
    if isinstance(config, BranchConfig):
        conditions = [
            (compile_formula(condition.expression), condition.target_step_id) for condition in config.conditions
        ]
        then = config.default_step_id or then
    elif isinstance(config, UpdateConfig):
        formulas = {name: compile_formula(text) for name, text in config.expressions.items()}
    elif isinstance(config, EndConfig):
        then = None
    return PlanStep(id=step.id, type=step.type, config=config, next=then, conditions=conditions, formulas=formulas)


def list_formulas(step: PlanStep) -> Iterator[Formula]:
    """List the formulas of a step."""
    yield from (formula for formula, _ in step.conditions)
    yield from step.formulas.values()


def check_step(step: JourneyStep, following: str | None) -> PlanStep | list[Fault]:
    """Compile a step, or return its faults, with paths below ``config``."""
    try:
        return compile_step(step, following)
    except ConfigError as error:
        return list(error.faults)
    except FormulaError:
        return list(_check_formulas(step))


def _check_formulas(step: JourneyStep) -> Iterator[Fault]:
    config = read_config(step.config, CONFIGS[step.type])
    texts: list[tuple[str, str]] = []
    if isinstance(config, BranchConfig):
        texts = [
            (f"conditions[{index}].expression", condition.expression)
            for index, condition in enumerate(config.conditions)
        ]
    elif isinstance(config, UpdateConfig):
        texts = [(f"expressions.{name}", text) for name, text in config.expressions.items()]
    for path, text in texts:
        try:
            compile_formula(text)
        except FormulaError as error:
            yield Fault(path, str(error))

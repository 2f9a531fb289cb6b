"""Asking models: which one scores this customer, and what happens when it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rapport.domain.catalogue.strategy import Challenger, Experiment, TrafficSplit
from rapport.domain.experiments.assignment import CHAMPION, assign

if TYPE_CHECKING:
    from random import Random

    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.model import CandidateScorer, ModelScore
    from rapport.domain.decisions.node_types import ChampionChallengerConfig, ScoreConfig, WeightedModel
    from rapport.domain.decisions.run import Run


@dataclass(slots=True)
class ModelCall:
    """A model in one decision.

    Attributes:
        verdicts: None once it has failed, and from the start if its circuit is open or there is no such model.
        fault: What it failed of.
    """

    key: str
    verdicts: CandidateScorer | None
    fault: str = ""

    def ask(self, candidate: Candidate) -> ModelScore | None:
        """What the model says; None where it has failed, now or before."""
        if self.verdicts is None:
            return None
        try:
            scored = self.verdicts(candidate)
        except Exception as error:  # noqa: BLE001 - whatever a model does, the decision goes on without it
            self.fault = f"{type(error).__name__}: {error}"
        else:
            if 0.0 <= scored.score <= 1.0:
                return scored
            self.fault = f"its score {scored.score!r} is not between 0 and 1"
        self.verdicts = None
        return None


def prepare_model(run: Run, key: str, random: Random) -> ModelCall:
    """Make a model ready for this decision's candidates."""
    scorer = run.catalogue.scorers.get(key)
    if scorer is None:
        return ModelCall(key, None, "there is no such active model")
    if key in run.open_circuits:
        return ModelCall(key, None, "it failed lately and is not asked for a while")
    try:
        return ModelCall(key, scorer.begin(run.context, random))
    except Exception as error:  # noqa: BLE001 - as above
        return ModelCall(key, None, f"{type(error).__name__}: {error}")


class ModelChoice(NamedTuple):
    """The model of this customer.

    Attributes:
        key: Empty where there is none.
        variant: Of an experiment or a split; empty without either.
        share: The part of all customers that gets it.
        is_held_out: Whether an experiment keeps the customer from all models.
    """

    key: str
    variant: str = ""
    share: float = 1.0
    is_held_out: bool = False


def choose_model(run: Run, config: ScoreConfig) -> ModelChoice:
    """Which model scores this customer: by experiment, by weights, or the one that the node names.

    An assignment by experiment is noted with the run.
    """
    split = config.champion_challenger
    if split is None or not split.enabled:
        return ModelChoice(config.model_key)
    if split.experiment_id:
        experiment = run.catalogue.experiments.get(split.experiment_id)
        if experiment is not None:
            return _choose_by_experiment(run, experiment)
        run.recorder.problems.append(f"experiment {split.experiment_id} of node {run.node} is not active")
    return _choose_by_weights(run, split) or ModelChoice(config.model_key)


def _choose_by_experiment(run: Run, experiment: Experiment) -> ModelChoice:
    assignment = assign(experiment, run.context.person_id)
    if assignment not in run.assignments:
        run.assignments.append(assignment)
    if assignment.model_id is None:
        return ModelChoice("", assignment.variant, assignment.share, is_held_out=True)
    keys = (model.key for model in run.catalogue.models.values() if model.id == assignment.model_id)
    return ModelChoice(next(keys, assignment.model_id), assignment.variant, assignment.share)


def _choose_by_weights(run: Run, split: ChampionChallengerConfig) -> ModelChoice | None:
    """By the shares of the node itself, drawn like those of an experiment with the key ``#node:<id of the node>``."""
    models: Sequence[WeightedModel] = (*([split.champion] if split.champion else []), *split.challengers)
    total = sum(model.weight for model in models)
    if total <= 0:
        return None
    champion, *challengers = models
    own = Experiment(
        id=f"#node:{run.node}",
        key=f"#node:{run.node}",
        name=run.node,
        champion_model_id=champion.model_key,
        traffic_split=TrafficSplit(champion_pct=champion.weight / total * 100),
        challengers=[Challenger(model_id=m.model_key, traffic_pct=m.weight / total * 100) for m in challengers],
    )
    assignment = assign(own, run.context.person_id)
    variant = CHAMPION if assignment.variant == CHAMPION else (assignment.model_id or "")
    return ModelChoice(assignment.model_id or champion.model_key, variant, assignment.share)

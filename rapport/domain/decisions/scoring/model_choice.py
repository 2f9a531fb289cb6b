"""Choice of the model that scores a customer, and calls that survive a model's failure."""

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
    """Calls of a model in one decision.

    Attributes:
        scorer: Scores a candidate; None once the model has failed, or if it is missing or its circuit is open.
        fault: Reason of the failure.
    """

    key: str
    scorer: CandidateScorer | None
    fault: str = ""

    def score(self, candidate: Candidate) -> ModelScore | None:
        """Return the model's score of a candidate; None if the model fails now or has failed before."""
        if self.scorer is None:
            return None
        try:
            scored = self.scorer(candidate)
        except Exception as error:  # noqa: BLE001 - whatever a model does, the decision goes on without it
            self.fault = f"{type(error).__name__}: {error}"
        else:
            if 0.0 <= scored.score <= 1.0:
                return scored
            self.fault = f"its score {scored.score!r} is not between 0 and 1"
        self.scorer = None
        return None


def prepare_model(run: Run, key: str, random: Random) -> ModelCall:
    """Prepare the calls of a model for this decision's candidates."""
    scorer = run.catalogue.scorers.get(key)
    if scorer is None:
        return ModelCall(key, None, "there is no such active model")
    if key in run.open_circuits:
        return ModelCall(key, None, "it failed recently and is not called for a while")
    try:
        return ModelCall(key, scorer.begin(run.context, random))
    except Exception as error:  # noqa: BLE001 - as above
        return ModelCall(key, None, f"{type(error).__name__}: {error}")


class ModelChoice(NamedTuple):
    """Model chosen for a customer.

    Attributes:
        key: Key of the model; empty if there is none.
        variant: Variant of the experiment or traffic split; empty without either.
        is_held_out: Whether the customer is in the holdout of an experiment, which gets no model.
    """

    key: str
    variant: str = ""
    is_held_out: bool = False


def choose_model(run: Run, config: ScoreConfig) -> ModelChoice:
    """Choose the model for this customer: by experiment, by weights, or the node's own.

    An assignment by experiment is recorded in the run.
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
        return ModelChoice("", assignment.variant, is_held_out=True)
    keys = (model.key for model in run.catalogue.models.values() if model.id == assignment.model_id)
    return ModelChoice(next(keys, assignment.model_id), assignment.variant)


def _choose_by_weights(run: Run, split: ChampionChallengerConfig) -> ModelChoice | None:
    """Choose by the weights of the node; assignments are those of an experiment with the key ``#node:<node id>``."""
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
    return ModelChoice(assignment.model_id or champion.model_key, variant)

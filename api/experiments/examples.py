"""Examples of results for the OpenAPI document, worked out by the same functions as the answers."""

from __future__ import annotations

from typing import Final

import msgspec

from rapport.domain.catalogue.inventory import Creative
from rapport.domain.catalogue.strategy import Challenger, Experiment, TrafficSplit
from rapport.domain.experiments.assignment import CHAMPION, HOLDOUT
from rapport.domain.experiments.evaluation import evaluate, evaluate_creatives
from rapport.domain.experiments.statistics import Sample


def _results() -> object:
    experiment = Experiment(
        id="exp_models",
        name="Models, spring",
        key="models-spring",
        champion_model_id="mod_a",
        traffic_split=TrafficSplit(champion_pct=80),
        challengers=[Challenger(model_id="mod_b", traffic_pct=20)],
        holdout_percent=5,
    )
    samples = {CHAMPION: Sample(912, 7_604), "mod_b": Sample(281, 1_893), HOLDOUT: Sample(41, 503)}
    return msgspec.to_builtins(evaluate(experiment, samples))


def _creatives() -> object:
    creatives = [
        Creative(
            id=creative_id,
            name=name,
            offer_id="off_abc123",
            channel_id="ch_email",
            ab_test_variant=variant,
            weight=weight,
        )
        for creative_id, name, variant, weight in (("cr_001", "Hero", "A", 70), ("cr_002", "Story", "B", 30))
    ]
    samples = {"cr_001": Sample(210, 1_411), "cr_002": Sample(118, 589)}
    return msgspec.to_builtins(evaluate_creatives("off_abc123", creatives, samples))


RESULTS: Final = _results()
CREATIVES: Final = _creatives()

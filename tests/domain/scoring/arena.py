"""Offers that compete, and runs of a flow over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import msgspec

from rapport.domain.catalogue.inventory import Channel, Creative, Offer
from rapport.domain.catalogue.strategy import Experiment, Model, RankingProfile
from rapport.domain.decisions.candidates import Candidate, Context, Request
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.compile import compile_catalogue
from rapport.domain.decisions.facts import CustomerFacts, TenantFacts
from rapport.domain.decisions.model import Scorer
from rapport.domain.decisions.node_types import OptimizeConfig, RankConfig, ScoreConfig
from rapport.domain.decisions.run import Run
from rapport.domain.decisions.scoring.optimize_node import optimize_candidates
from rapport.domain.decisions.scoring.rank_node import rank_candidates
from rapport.domain.decisions.scoring.score_node import score_candidates
from rapport.domain.decisions.trace import ScoreRecord, TraceRecorder
from tests.domain.decisions.world import NOW_MS

WEB = Channel(id="web", name="Web", channel_type="web")
MAIL = Channel(id="mail", name="Mail", channel_type="email")
CHANNELS = {"web": WEB, "mail": MAIL}


def offer(offer_id: str, **fields: Any) -> Offer:
    """An offer with a priority of 50."""
    return Offer(id=offer_id, name=offer_id, **fields)


def candidate(
    of: Offer | str, *, creative: str | None = None, channel: str = "web", weight: float = 100, fit: float = 1.0
) -> Candidate:
    """An offer with a creative, by default one of its own on the web."""
    one = offer(of) if isinstance(of, str) else of
    shown = Creative(id=creative or f"{one.id}-{channel}", name="", offer_id=one.id, channel_id=channel, weight=weight)
    return Candidate(one, shown, CHANNELS[channel], fit=fit)


def model(key: str, model_type: Any = "scorecard", **config: Any) -> Model:
    """A model; its id is the key with ``id-`` before it."""
    return Model(id=f"id-{key}", name=key, key=key, model_type=model_type, config=config)


def constant(key: str, score: float) -> Model:
    """A model that gives every candidate the same score."""
    return model(key, normalization="linear", baseScore=score * 100)


def catalogue(
    models: Iterable[Model] = (), experiments: Iterable[Experiment] = (), profiles: Iterable[RankingProfile] = ()
) -> Catalogue:
    """What scoring needs of a catalogue."""
    entities = {"model": models, "experiment": experiments, "ranking_profile": profiles}
    return compile_catalogue("1", entities)


def run_of(
    *candidates: Candidate | str,
    ready: Catalogue | None = None,
    scorers: Mapping[str, Scorer] | None = None,
    customer: CustomerFacts | None = None,
    tenant: TenantFacts | None = None,
    seed: int = 1,
    open_circuits: frozenset[str] = frozenset(),
    customer_id: str = "ann",
    **request: Any,
) -> Run:
    """A flow that has come to its score node.

    Args:
        candidates: Or ids of offers.
        ready: A catalogue.
        scorers: On top of the catalogue's.
        customer: What is known of the customer.
        tenant: What all customers did.
        seed: Of chance.
        open_circuits: Models that are not asked.
        customer_id: Whom models and creatives are picked for.
        request: Fields of the request.
    """
    ready = ready or catalogue()
    return Run(
        catalogue=replace(ready, scorers={**ready.scorers, **(scorers or {})}),
        context=Context(
            Request(customer_id=customer_id, **request), customer or CustomerFacts(), tenant or TenantFacts(), NOW_MS
        ),
        recorder=TraceRecorder(),
        candidates=[candidate(one) if isinstance(one, str) else one for one in candidates],
        random=Random(seed),
        open_circuits=open_circuits,
        node="n",
    )


def score(run: Run, **config: Any) -> dict[str, float]:
    """Scores by offer, after a score node with a config as JSON writes it."""
    score_candidates(run, msgspec.convert(config, ScoreConfig))
    return scores_of(run)


def optimize(run: Run, **config: Any) -> dict[str, float]:
    """Scores by offer, after an optimize node."""
    optimize_candidates(run, msgspec.convert(config, OptimizeConfig))
    return scores_of(run)


def rank(run: Run, method: str, most: int = 5) -> list[str]:
    """Ids of offers in their order, after a rank node."""
    rank_candidates(run, msgspec.convert({"method": method, "maxCandidates": most}, RankConfig))
    return [one.offer.id for one in run.candidates]


def scores_of(run: Run) -> dict[str, float]:
    """The scores of a run's candidates by offer."""
    return {one.offer.id: one.score or 0.0 for one in run.candidates}


def record_of(run: Run, offer_id: str) -> ScoreRecord:
    """The newest record of an offer's score."""
    return [record for record in run.recorder.scores if record.offer_id == offer_id][-1]


def with_scores(scores: Sequence[tuple[Offer, float]], **options: Any) -> Run:
    """A run whose candidates have scores already."""
    run = run_of(*(candidate(one) for one, _ in scores), **options)
    for one, (_, given) in zip(run.candidates, scores, strict=True):
        one.score = given
    return run

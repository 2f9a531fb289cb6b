"""Runs of single scoring and ranking nodes on competing offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
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
from rapport.domain.decisions.trace import ScoreRecord
from rapport.domain.decisions.trace_recorder import TraceRecorder
from tests.domain.decisions.small_catalogue import NOW_MS

WEB = Channel(id="web", name="Web", channel_type="web")
MAIL = Channel(id="mail", name="Mail", channel_type="email")
CHANNELS = {"web": WEB, "mail": MAIL}


def offer(offer_id: str, **fields: Any) -> Offer:
    """Make an offer with priority 50."""
    return Offer(id=offer_id, name=offer_id, **fields)


def candidate(
    of: Offer | str, *, creative: str | None = None, channel: str = "web", weight: float = 100, fit: float = 1.0
) -> Candidate:
    """Make a candidate with a creative, by default on the web."""
    one = offer(of) if isinstance(of, str) else of
    shown = Creative(id=creative or f"{one.id}-{channel}", name="", offer_id=one.id, channel_id=channel, weight=weight)
    made = Candidate(one, shown, CHANNELS[channel])
    made.fit = fit
    return made


def model(key: str, model_type: Any = "scorecard", **config: Any) -> Model:
    """Make a model; its id is ``id-`` and the key."""
    return Model(id=f"id-{key}", name=key, key=key, model_type=model_type, config=config)


def constant(key: str, score: float) -> Model:
    """Make a model that gives every candidate the same score."""
    return model(key, normalization="linear", baseScore=score * 100)


def catalogue(
    models: Iterable[Model] = (), experiments: Iterable[Experiment] = (), profiles: Iterable[RankingProfile] = ()
) -> Catalogue:
    """Compile a catalogue of the entities that scoring uses."""
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
    """Make a run before its score node.

    Args:
        candidates: Candidates or ids of offers.
        ready: Compiled catalogue; None for an empty one.
        scorers: Scorers by key that are added to the catalogue's.
        customer: Facts of the customer.
        tenant: Facts of the tenant.
        seed: Seed of random draws.
        open_circuits: Keys of models that are not called.
        customer_id: Id to which models and creatives are assigned.
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
        seed=seed,
        open_circuits=open_circuits,
        node="n",
    )


def score(run: Run, **config: Any) -> dict[str, float]:
    """Run a score node with a config in JSON names; return the scores by offer id."""
    score_candidates(run, msgspec.convert(config, ScoreConfig))
    return scores_of(run)


def optimize(run: Run, **config: Any) -> dict[str, float]:
    """Run an optimize node; return the scores by offer id."""
    optimize_candidates(run, msgspec.convert(config, OptimizeConfig))
    return scores_of(run)


def rank(run: Run, method: str, most: int = 5) -> list[str]:
    """Run a rank node; return the ids of the offers in order."""
    rank_candidates(run, msgspec.convert({"method": method, "maxCandidates": most}, RankConfig))
    return [one.offer.id for one in run.candidates]


def scores_of(run: Run) -> dict[str, float]:
    """Return the scores of a run's candidates by offer id."""
    return {one.offer.id: one.score or 0.0 for one in run.candidates}


def record_of(run: Run, offer_id: str) -> ScoreRecord:
    """Return the latest score record of an offer."""
    return [record for record in run.recorder.finish().scores if record.offer_id == offer_id][-1]


def with_scores(scores: Sequence[tuple[Offer, float]], **options: Any) -> Run:
    """Make a run whose candidates have scores."""
    run = run_of(*(candidate(one) for one, _ in scores), **options)
    for one, (_, given) in zip(run.candidates, scores, strict=True):
        one.score = given
    return run

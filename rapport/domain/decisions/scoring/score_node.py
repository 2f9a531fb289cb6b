"""The score node: what each candidate is worth to this customer now."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.decisions.scoring.model_choice import ModelChoice, choose_model, prepare_model
from rapport.domain.decisions.scoring.propensity import DEFAULT, PropensityEstimate, PropensityEstimator
from rapport.domain.decisions.scoring.score_methods import ScoreFunction, choose_method, score_by_priority, weight_of
from rapport.domain.decisions.trace import ScoreRecord
from rapport.domain.decisions.valuation import Valuation
from rapport.domain.decisions.verdict import Verdict
from rapport.domain.numbers import MAX_NUMBER

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.node_types import ScoreConfig
    from rapport.domain.decisions.run import Run

BYPASS_PROPENSITY: Final = 0.5


def score_candidates(run: Run, config: ScoreConfig) -> None:
    """Score every candidate, note how, and drop those below the floor.

    The score is what the method makes of the candidate, times its fit, times its levers: those of the node and those of
    the request, of the offer and of its category. A candidate whose propensity depends on a model that failed gets the
    bypass instead: ``0.5 * creative's weight * fit * levers``. Mandatory offers know no floor.

    For a customer whom an experiment or the tenant holds out, priority and weight alone make the score.
    """
    choice = _choose_model(run, config)
    if choice.is_held_out or run.is_fallback:
        _score_fallback(run, choice)
        return
    name = config.method
    estimates = _estimate_propensities(run, choice) if name != "priority_weighted" or config.floor else None
    method, lever_of = choose_method(run, config, name), _combine_levers(config.levers, run.context.request.levers)
    shadows = _list_shadow_scores(run, config)
    kept: list[Candidate] = []
    for index, candidate in enumerate(run.candidates):
        estimate = estimates[index] if estimates else _NO_ESTIMATE
        explanation: dict[str, Any] = {"method": name}
        _score_candidate(candidate, estimate, method(candidate), lever_of(candidate), explanation)
        if shadows:
            explanation["shadowScores"] = shadows[index]
        _note_score(run, candidate, choice, explanation)
        if not (config.floor and _remove_below_floor(run, config, candidate, estimate)):
            kept.append(candidate)
    run.candidates = kept


_NO_ESTIMATE: Final = PropensityEstimate(None, {})


def _choose_model(run: Run, config: ScoreConfig) -> ModelChoice:
    """The model; where the method asks none there is nobody to assign."""
    return ModelChoice("") if config.method == "priority_weighted" else choose_model(run, config)


def _estimate_propensities(run: Run, choice: ModelChoice) -> Sequence[PropensityEstimate]:
    """Propensities of all candidates. A model that fails for one has failed for all: scores must be comparable."""
    if not choice.key:
        return [PropensityEstimator(run.context).estimate(candidate) for candidate in run.candidates]
    model = prepare_model(run, choice.key, run.random)
    scorer = run.catalogue.scorers.get(choice.key)
    must_decide = bool(choice.variant) or (scorer is not None and scorer.learns)
    propensities = PropensityEstimator(run.context, model, must_decide)
    was_ready = model.verdicts is not None
    estimates = [propensities.estimate(candidate) for candidate in run.candidates]
    if was_ready and model.verdicts is None:
        estimates = [propensities.estimate(candidate) for candidate in run.candidates]
    if any(estimate.value is None for estimate in estimates):
        run.failed_models.add(choice.key)
        run.recorder.problems.append(f"model {choice.key} of node {run.node} was left out: {model.fault}")
    return estimates


def _score_candidate(
    candidate: Candidate, estimate: PropensityEstimate, worth: ScoreFunction, lever: float, explanation: dict[str, Any]
) -> None:
    """Give a candidate its score, and say how it came about."""
    factor = candidate.fit * lever
    if estimate.value is None and estimate is not _NO_ESTIMATE:
        bypass = BYPASS_PROPENSITY * weight_of(candidate)
        worth = ScoreFunction(lambda _propensity: bypass, {"bypass": bypass})
    candidate.score = worth.of(DEFAULT if estimate.value is None else estimate.value) * factor
    candidate.valuation = Valuation(estimate.value, worth.of, factor, estimate.prospects)
    if estimate is not _NO_ESTIMATE:
        explanation["propensity"] = {**estimate.explanation, "value": estimate.value}
    explanation.update(worth.explanation)
    if candidate.fit != 1.0:
        explanation["fit"] = candidate.fit
    if lever != 1.0:
        explanation["lever"] = lever


def _score_fallback(run: Run, choice: ModelChoice) -> None:
    """By priority and weight, whatever the fit and the levers."""
    for candidate in run.candidates:
        explanation: dict[str, Any] = {"method": "priority_weighted"}
        worth = score_by_priority(candidate)
        candidate.score, candidate.valuation = worth.of(DEFAULT), Valuation(None, worth.of, 1.0)
        explanation.update(worth.explanation)
        _note_score(run, candidate, choice, explanation)


def _note_score(run: Run, candidate: Candidate, choice: ModelChoice, explanation: dict[str, Any]) -> None:
    """Note a score. A candidate has the share of the last choice that was made for it."""
    if choice.variant:
        explanation["variant"] = choice.variant
        candidate.share = choice.share
    record = ScoreRecord(
        offer_id=candidate.offer.id,
        creative_id=candidate.creative.id if candidate.creative else "",
        score=candidate.score or 0.0,
        explanation=explanation,
    )
    run.recorder.scores.append(record)


def _combine_levers(*given: Mapping[str, float]) -> Callable[[Candidate], float]:
    """The product of an offer's levers and those of its category; what is no number from 0 up does not count.

    No product is larger than :data:`MAX_NUMBER`, so that scores stay finite.
    """
    levers: dict[str, float] = {}
    for mapping in given:
        for key, lever in mapping.items():
            if math.isfinite(lever) and lever >= 0:
                levers[key] = min(levers.get(key, 1.0) * lever, MAX_NUMBER)
    if not levers:
        return lambda _candidate: 1.0

    def lever_of(candidate: Candidate) -> float:
        offer = candidate.offer
        of_category = levers.get(offer.category_id, 1.0) if offer.category_id else 1.0
        return min(levers.get(offer.id, 1.0) * of_category, MAX_NUMBER)

    return lever_of


def _remove_below_floor(run: Run, config: ScoreConfig, candidate: Candidate, estimate: PropensityEstimate) -> bool:
    """Whether a candidate leaves because of its propensity, noted if so. One that depends on a failed model stays."""
    if (
        estimate.value is None
        or estimate.value >= config.floor
        or is_mandatory_now(candidate.offer, run.context.now_ms)
    ):
        return False
    reason = f"propensity {estimate.value:.3f} is below the floor of {config.floor:g}"
    detail = {"floor": config.floor, **estimate.explanation, "actualScore": estimate.value}
    return run.remove("score", candidate, (run.node, "", Verdict(True, reason, detail)))


def _list_shadow_scores(run: Run, config: ScoreConfig) -> Sequence[Mapping[str, float]]:
    """What other models would have said; it goes into the trace only, and their failures harm nobody.

    They have a source of chance of their own, so that a decision does not depend on who watches it.
    """
    if not config.shadow_model_keys:
        return ()
    found: list[dict[str, float]] = [{} for _ in run.candidates]
    request = run.context.request
    for key in config.shadow_model_keys:
        random = Random(f"shadow:{key}:{request.customer_id}:{run.context.now_ms}")  # noqa: S311 - no secret
        model = prepare_model(run, key, random)
        for scores, candidate in zip(found, run.candidates, strict=True):
            scored = model.ask(candidate)
            if scored is not None:
                scores[key] = scored.score
        if model.verdicts is None:
            run.recorder.problems.append(f"shadow model {key} of node {run.node} was left out: {model.fault}")
    return found

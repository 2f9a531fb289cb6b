"""Score node: computes the score of each candidate."""

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
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.numbers import MAX_NUMBER

if TYPE_CHECKING:
    from rapport.domain.decisions.candidates import Candidate
    from rapport.domain.decisions.node_types import ScoreConfig
    from rapport.domain.decisions.run import Run

BYPASS_PROPENSITY: Final = 0.5


def score_candidates(run: Run, config: ScoreConfig) -> None:
    """Score every candidate, record the explanations, and remove candidates below the floor.

    The score is the result of the method, times the fit, times the levers: those of the node and of the request, for
    the offer and for its category. If the propensity depends on a model that failed, the score is ``0.5 * creative's
    weight * fit * levers`` instead (the bypass). The floor does not apply to mandatory offers.

    For a customer in the holdout of an experiment or the tenant, the score is priority times weight.
    """
    choice = _choose_model(run, config)
    if choice.is_held_out or run.is_fallback:
        _score_fallback(run, choice)
        return
    name = config.method
    estimates = _estimate_propensities(run, choice) if name != "priority_weighted" or config.floor else None
    method, find_lever = choose_method(run, config, name), _combine_levers(config.levers, run.context.request.levers)
    shadows = _list_shadow_scores(run, config)
    kept: list[Candidate] = []
    for index, candidate in enumerate(run.candidates):
        estimate = estimates[index] if estimates else _NO_ESTIMATE
        explanation: dict[str, Any] = {"method": name}
        _score_candidate(candidate, estimate, method(candidate), find_lever(candidate), explanation)
        if shadows:
            explanation["shadowScores"] = shadows[index]
        _note_score(run, candidate, choice, explanation)
        if not (config.floor and _remove_below_floor(run, config, candidate, estimate)):
            kept.append(candidate)
    run.candidates = kept


_NO_ESTIMATE: Final = PropensityEstimate(None, {})


def _choose_model(run: Run, config: ScoreConfig) -> ModelChoice:
    """Choose the model; a method that uses none must not assign the customer to an experiment."""
    return ModelChoice("") if config.method == "priority_weighted" else choose_model(run, config)


def _estimate_propensities(run: Run, choice: ModelChoice) -> Sequence[PropensityEstimate]:
    """Estimate the propensities of all candidates.

    A model that fails for one candidate counts as failed for all, because their scores must be comparable.
    """
    if not choice.key:
        return [PropensityEstimator(run.context).estimate(candidate) for candidate in run.candidates]
    model = prepare_model(run, choice.key, run.random)
    scorer = run.catalogue.scorers.get(choice.key)
    must_decide = bool(choice.variant) or (scorer is not None and scorer.learns)
    propensities = PropensityEstimator(run.context, model, must_decide)
    was_ready = model.scorer is not None
    estimates = [propensities.estimate(candidate) for candidate in run.candidates]
    if was_ready and model.scorer is None:
        estimates = [propensities.estimate(candidate) for candidate in run.candidates]
    if any(estimate.value is None for estimate in estimates):
        run.failed_models.add(choice.key)
        run.recorder.problems.append(f"model {choice.key} of node {run.node} was left out: {model.fault}")
    return estimates


def _score_candidate(
    candidate: Candidate,
    estimate: PropensityEstimate,
    function: ScoreFunction,
    lever: float,
    explanation: dict[str, Any],
) -> None:
    """Set the score and valuation of a candidate, and add their inputs to its explanation."""
    factor = candidate.fit * lever
    if estimate.value is None and estimate is not _NO_ESTIMATE:
        bypass = BYPASS_PROPENSITY * weight_of(candidate)
        function = ScoreFunction(lambda _propensity: bypass, {"bypass": bypass})
    candidate.score = function.apply(DEFAULT if estimate.value is None else estimate.value) * factor
    candidate.valuation = Valuation(estimate.value, function.apply, factor, estimate.distribution)
    if estimate is not _NO_ESTIMATE:
        explanation["propensity"] = {**estimate.explanation, "value": estimate.value}
    explanation.update(function.explanation)
    if candidate.fit != 1.0:
        explanation["fit"] = candidate.fit
    if lever != 1.0:
        explanation["lever"] = lever


def _score_fallback(run: Run, choice: ModelChoice) -> None:
    """Score all candidates by priority and weight alone, ignoring fit and levers."""
    for candidate in run.candidates:
        explanation: dict[str, Any] = {"method": "priority_weighted"}
        function = score_by_priority(candidate)
        candidate.score, candidate.valuation = function.apply(DEFAULT), Valuation(None, function.apply, 1.0)
        explanation.update(function.explanation)
        _note_score(run, candidate, choice, explanation)


def _note_score(run: Run, candidate: Candidate, choice: ModelChoice, explanation: dict[str, Any]) -> None:
    """Record a score; the candidate's share becomes that of the model's assignment."""
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
    """Return a function from candidates to the product of the levers of their offer and category.

    Levers that are negative or not finite are ignored. Products are limited to :data:`MAX_NUMBER`, so that scores stay
    finite.
    """
    levers: dict[str, float] = {}
    for mapping in given:
        for key, lever in mapping.items():
            if math.isfinite(lever) and lever >= 0:
                levers[key] = min(levers.get(key, 1.0) * lever, MAX_NUMBER)
    if not levers:
        return lambda _candidate: 1.0

    def find_lever(candidate: Candidate) -> float:
        offer = candidate.offer
        of_category = levers.get(offer.category_id, 1.0) if offer.category_id else 1.0
        return min(levers.get(offer.id, 1.0) * of_category, MAX_NUMBER)

    return find_lever


def _remove_below_floor(run: Run, config: ScoreConfig, candidate: Candidate, estimate: PropensityEstimate) -> bool:
    """Remove a candidate whose propensity is below the floor; return whether it was removed.

    A candidate whose propensity depends on a failed model stays.
    """
    if (
        estimate.value is None
        or estimate.value >= config.floor
        or is_mandatory_now(candidate.offer, run.context.now_ms)
    ):
        return False
    reason = f"propensity {estimate.value:.3f} is below the floor of {config.floor:g}"
    detail = {"floor": config.floor, **estimate.explanation, "actualScore": estimate.value}
    return run.remove("score", candidate, [RuleVerdict(run.node, "", Verdict(True, reason, detail))])


def _list_shadow_scores(run: Run, config: ScoreConfig) -> Sequence[Mapping[str, float]]:
    """Compute the scores of shadow models. They appear only in the trace, and their failures have no effect.

    They draw from random generators of their own, so that shadow models never change a decision.
    """
    if not config.shadow_model_keys:
        return ()
    shadow_scores: list[dict[str, float]] = [{} for _ in run.candidates]
    request = run.context.request
    for key in config.shadow_model_keys:
        random = Random(f"shadow:{key}:{request.customer_id}:{run.context.now_ms}")  # noqa: S311 - no secret
        model = prepare_model(run, key, random)
        for scores, candidate in zip(shadow_scores, run.candidates, strict=True):
            scored = model.score(candidate)
            if scored is not None:
                scores[key] = scored.score
        if model.scorer is None:
            run.recorder.problems.append(f"shadow model {key} of node {run.node} was left out: {model.fault}")
    return shadow_scores

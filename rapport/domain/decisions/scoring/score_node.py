"""Score node: computes the score of each candidate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Final

from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.decisions.scoring.model_choice import ModelChoice, choose_model, prepare_model
from rapport.domain.decisions.scoring.propensity import DEFAULT, PropensityEstimate, PropensityEstimator
from rapport.domain.decisions.scoring.score_methods import ScoreFunction, choose_method, score_by_priority, weight_of
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
        _Scores.prepare_fallback(run, choice).apply(run)
        return
    scores = _Scores.prepare(run, config, choice)
    scores.apply(run)
    if config.floor:
        kept = zip(run.candidates, scores.estimates, strict=True)
        run.candidates = [
            candidate for candidate, estimate in kept if not _remove_below_floor(run, config, candidate, estimate)
        ]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    """Columns from which the scores of a run's candidates follow, in their order.

    Attributes:
        estimates: Propensities; :data:`_NO_ESTIMATE` where the method needs none.
        shadows: Scores of shadow models; empty without any.
    """

    method: str
    choice: ModelChoice
    estimates: Sequence[PropensityEstimate]
    functions: Sequence[ScoreFunction]
    fits: Sequence[float]
    levers: Sequence[float]
    shadows: Sequence[Mapping[str, float]] = ()

    @classmethod
    def prepare(cls, run: Run, config: ScoreConfig, choice: ModelChoice) -> _Scores:
        """Compute the columns by the config of the node."""
        name, candidates = config.method, run.candidates
        needs_estimates = name != "priority_weighted" or config.floor
        estimates = _estimate_propensities(run, choice) if needs_estimates else [_NO_ESTIMATE] * len(candidates)
        method, find_lever = (
            choose_method(run, config, name),
            _combine_levers(config.levers, run.context.request.levers),
        )
        functions = method(candidates)
        if needs_estimates:
            functions = [
                _bypass(candidate) if estimate.value is None else function
                for candidate, estimate, function in zip(candidates, estimates, functions, strict=True)
            ]
        return cls(
            method=name,
            choice=choice,
            estimates=estimates,
            functions=functions,
            fits=[candidate.fit for candidate in candidates],
            levers=[1.0] * len(candidates) if find_lever is None else [find_lever(one) for one in candidates],
            shadows=_list_shadow_scores(run, config),
        )

    @classmethod
    def prepare_fallback(cls, run: Run, choice: ModelChoice) -> _Scores:
        """Compute the columns of scores by priority and weight alone, which ignore fit and levers."""
        plain = [1.0] * len(run.candidates)
        return cls(
            method="priority_weighted",
            choice=choice,
            estimates=[_NO_ESTIMATE] * len(run.candidates),
            functions=score_by_priority(run.candidates),
            fits=plain,
            levers=plain,
        )

    def apply(self, run: Run) -> None:
        """Set the scores and valuations, and record them."""
        scores: list[float] = []
        columns = zip(run.candidates, self.estimates, self.functions, self.fits, self.levers, strict=True)
        for candidate, estimate, function, fit, lever in columns:
            if function.plain is not None and estimate is _NO_ESTIMATE and fit == lever == 1.0:
                score, candidate.valuation = function.plain
            else:
                propensity, apply, factor = estimate.value, function.apply, fit * lever
                score = apply(DEFAULT if propensity is None else propensity) * factor
                candidate.valuation = Valuation(propensity, apply, factor, estimate.exploration)
            candidate.score = score
            scores.append(score)
        run.recorder.note_scores(run.candidates, scores, self.explain)

    def explain(self) -> Sequence[Mapping[str, Any]]:
        """Return the explanations of the scores, for the trace."""
        columns = zip(self.estimates, self.functions, self.fits, self.levers, strict=True)
        explanations: list[dict[str, Any]] = []
        for estimate, function, fit, lever in columns:
            explanation: dict[str, Any] = {"method": self.method}
            if estimate is not _NO_ESTIMATE:
                explanation["propensity"] = {**estimate.explanation, "value": estimate.value}
            explanation.update(function.explanation)
            if fit != 1.0:
                explanation["fit"] = fit
            if lever != 1.0:
                explanation["lever"] = lever
            explanations.append(explanation)
        for explanation, shadow_scores in zip(explanations, self.shadows, strict=False):
            explanation["shadowScores"] = shadow_scores
        if self.choice.variant:
            for explanation in explanations:
                explanation["variant"] = self.choice.variant
        return explanations


def _bypass(candidate: Candidate) -> ScoreFunction:
    bypass = BYPASS_PROPENSITY * weight_of(candidate)
    return ScoreFunction(lambda _propensity: bypass, {"bypass": bypass})


def _combine_levers(*given: Mapping[str, float]) -> Callable[[Candidate], float] | None:
    """Return a function from candidates to the product of the levers of their offer and category; None without levers.

    Levers that are negative or not finite are ignored. Products are limited to :data:`MAX_NUMBER`, so that scores stay
    finite.
    """
    levers: dict[str, float] = {}
    for mapping in given:
        for key, lever in mapping.items():
            if math.isfinite(lever) and lever >= 0:
                levers[key] = min(levers.get(key, 1.0) * lever, MAX_NUMBER)
    if not levers:
        return None

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

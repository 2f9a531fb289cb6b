"""Scoring and ranking in the plain evaluator: one candidate after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from random import Random
from typing import Any, Final, NamedTuple

from rapport.domain.catalogue.schedule import is_mandatory_now
from rapport.domain.decisions.node_types import OptimizeConfig, RankConfig, ScoreConfig
from rapport.domain.decisions.scoring.factor_weights import choose_exponents
from rapport.domain.decisions.scoring.factors import OBJECTIVES, Factors
from rapport.domain.decisions.scoring.model_choice import ModelChoice, choose_model, prepare_model
from rapport.domain.decisions.scoring.propensity import DEFAULT, PropensityEstimate, PropensityEstimator
from rapport.domain.decisions.trace import ScoreRecord
from rapport.domain.decisions.verdict import RuleVerdict, Verdict
from rapport.domain.experiments.assignment import pick_creative
from rapport.domain.formulas import Formula, FormulaError, compile_formula
from rapport.domain.numbers import MAX_NUMBER
from tests.domain.decisions.oracle.run import Candidate, Run, Valuation


class ScoreFunction(NamedTuple):
    """Score of one candidate as a function of its propensity.

    Attributes:
        apply: Maps a propensity to the score.
        explanation: Other inputs of the score, for the trace.
    """

    apply: Callable[[float], float]
    explanation: Mapping[str, Any]


ScoreMethod = Callable[["Candidate"], ScoreFunction]


def choose_method(run: Run, config: ScoreConfig, name: str) -> ScoreMethod:
    """Return the scoring method of a name, prepared for a run."""
    if name == "propensity":
        return _score_by_propensity
    if name == "priority_weighted":
        return score_by_priority
    return _make_expression_method(run, config) if config.expression else _make_factor_method(run, config)


def weight_of(candidate: Candidate) -> float:
    """Return the creative's weight, from 0 to 1; 1 without a creative."""
    return candidate.creative.weight / 100 if candidate.creative else 1.0


def score_by_priority(candidate: Candidate) -> ScoreFunction:
    """Score a candidate by its priority times its weight, both from 0 to 1."""
    return _make_priority_score(candidate.offer.priority, weight_of(candidate))


@lru_cache(maxsize=4_096)
def _make_priority_score(priority: int, weight: float) -> ScoreFunction:
    score = priority / 100 * weight
    return ScoreFunction(lambda _score_by_propensity: score, {"priority": priority, "weight": weight})


def _identity(propensity: float) -> float:
    return propensity


_PROPENSITY: Final = ScoreFunction(_identity, {})


def _score_by_propensity(_candidate: Candidate) -> ScoreFunction:
    return _PROPENSITY


def _make_factor_method(run: Run, config: ScoreConfig) -> ScoreMethod:
    """Return the method ``P^Wp * R^Wr * I^Wi * E^We``: a factor of 0 makes the score 0 unless its weight is 0.

    P is the propensity, R the relevance, I the impact, E the emphasis; the weights are the node's exponents.
    """
    factors, choose = Factors(run.context, config.reference_value), choose_exponents(run, config)

    def method(candidate: Candidate) -> ScoreFunction:
        exponents = choose(candidate)
        relevance, impact = factors.compute_relevance(candidate), factors.compute_impact(candidate)
        emphasis = factors.compute_emphasis(candidate)
        others = relevance**exponents.relevance * impact**exponents.impact * emphasis**exponents.emphasis
        explanation = {
            "factors": {"relevance": relevance, "impact": impact, "emphasis": emphasis},
            "weights": exponents._asdict(),
        }
        return ScoreFunction(lambda propensity: propensity**exponents.propensity * others, explanation)

    return method


_FACTORS: Final[Mapping[str, Callable[[Factors, Candidate], float]]] = {
    "relevance": Factors.compute_relevance,
    "impact": Factors.compute_impact,
    "emphasis": Factors.compute_emphasis,
    "fit": lambda _factors, candidate: candidate.fit,
    "weight": lambda _factors, candidate: weight_of(candidate),
}


"""Names available to score formulas besides ``propensity`` and those of :meth:`Context.lookup`."""


def _make_expression_method(run: Run, config: ScoreConfig) -> ScoreMethod:
    """Return the method that evaluates the tenant's own formula.

    The score may exceed 1. A result that is no number or below 0 counts as 0, and one above :data:`MAX_NUMBER` as that,
    so that no factor makes the score infinite. If the formula cannot be compiled, priority and weight are used instead.
    """
    text = config.expression
    try:
        formula = _compile_cached(text)
    except FormulaError as error:
        run.recorder.problems.append(f"the formula of node {run.node} cannot be used: {error}")
        return score_by_priority
    factors, context = Factors(run.context, config.reference_value), run.context
    used = [name for name in _FACTORS if name in formula.names]

    def method(candidate: Candidate) -> ScoreFunction:
        inputs = {name: _FACTORS[name](factors, candidate) for name in used}

        def score(propensity: float) -> float:
            values: Mapping[str, object] = {**inputs, "propensity": propensity}
            result = formula.evaluate(lambda name: values[name] if name in values else context.lookup(name, candidate))
            return min(max(0.0, result), MAX_NUMBER) if isinstance(result, float) else 0.0

        return ScoreFunction(score, {"expression": text, "factors": inputs})

    return method


@lru_cache(maxsize=256)
def _compile_cached(text: str) -> Formula:
    return compile_formula(text)


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
    candidate.valuation = Valuation(estimate.value, function.apply, factor)
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
    """Record a score."""
    if choice.variant:
        explanation["variant"] = choice.variant
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
        random = Random(f"shadow:{key}:{request.customer_id}:{run.context.now_ms}")
        model = prepare_model(run, key, random)
        for scores, candidate in zip(shadow_scores, run.candidates, strict=True):
            scored = model.score(candidate)
            if scored is not None:
                scores[key] = scored.score
        if model.scorer is None:
            run.recorder.problems.append(f"shadow model {key} of node {run.node} was left out: {model.fault}")
    return shadow_scores


def optimize_candidates(run: Run, config: OptimizeConfig) -> None:
    """Score every candidate by the weighted mean of its objectives, times its fit, times its levers.

    The node's own weights override those of the profile. Unknown objectives (see
    :data:`rapport.domain.decisions.scoring.factors.OBJECTIVES`) are ignored and noted in the trace. If no weight is
    left, the scores stay as they are.
    """
    weights = _merge_weights(run, config)
    total = sum(weights.values())
    if not total:
        run.recorder.problems.append(f"node {run.node} weighs none of {', '.join(OBJECTIVES)}: the scores stay")
        return
    of_propensity = sum(weight for name, weight in weights.items() if OBJECTIVES[name] is None) / total
    factors, propensities = Factors(run.context, config.reference_value), PropensityEstimator(run.context)
    for candidate in run.candidates:
        objectives = {
            name: measure(factors, candidate) for name in weights if (measure := OBJECTIVES[name]) is not None
        }
        others = sum(weights[name] * value for name, value in objectives.items()) / total
        if of_propensity:
            propensity = _find_propensity(candidate, propensities)
            objectives |= {name: propensity for name in weights if OBJECTIVES[name] is None}
        else:
            propensity = DEFAULT
        _replace_score(candidate, others, of_propensity, propensity)
        _note_objectives(run, candidate, {"method": "optimize", "objectives": objectives, "weights": weights})


def _merge_weights(run: Run, config: OptimizeConfig) -> dict[str, float]:
    given = dict(config.weights)
    if config.profile_id:
        profile = run.catalogue.profiles.get(config.profile_id)
        if profile is None:
            run.recorder.problems.append(f"ranking profile {config.profile_id} of node {run.node} is not active")
        else:
            given = {**profile.weights, **given}
    unknown = sorted(given.keys() - OBJECTIVES.keys())
    if unknown:
        run.recorder.problems.append(f"node {run.node} leaves out unknown objectives: {', '.join(unknown)}")
    return {name: weight for name, weight in given.items() if name in OBJECTIVES}


def _find_propensity(candidate: Candidate, propensities: PropensityEstimator) -> float:
    if candidate.valuation is not None and candidate.valuation.propensity is not None:
        return candidate.valuation.propensity
    value = propensities.estimate(candidate).value
    return DEFAULT if value is None else value


def _replace_score(candidate: Candidate, others: float, of_propensity: float, propensity: float) -> None:
    before = candidate.valuation
    factor = before.factor if before else candidate.fit

    def score(value: float) -> float:
        return others + of_propensity * value

    candidate.score = score(propensity) * factor
    candidate.valuation = Valuation(propensity, score, factor)


def _note_objectives(run: Run, candidate: Candidate, explanation: Mapping[str, object]) -> None:
    creative_id = candidate.creative.id if candidate.creative else ""
    run.recorder.scores.append(
        ScoreRecord(
            offer_id=candidate.offer.id, creative_id=creative_id, score=candidate.score or 0.0, explanation=explanation
        )
    )


def rank_candidates(run: Run, config: RankConfig) -> None:
    """Rank the candidates of a run, and keep the first ``max_candidates``."""
    pool = RankingPool.build(run.candidates, run.context.now_ms)
    order = pool.rank([candidate.score or 0.0 for candidate in pool.candidates], config.method, config.max_candidates)
    kept = frozenset(order)
    for index, candidate in enumerate(pool.candidates):
        if index not in kept:
            reason = f"ranked behind the first {config.max_candidates}"
            detail = {"score": candidate.score, "method": config.method, "maxCandidates": config.max_candidates}
            run.recorder.note_removal("rank", run.node, candidate, Verdict(True, reason, detail))
    run.candidates = [pool.candidates[index] for index in order]


@dataclass(frozen=True, slots=True)
class RankingPool:
    """Candidates of a ranking, in the order in which ties are broken.

    Attributes:
        categories: Number of each candidate's category.
        mandatory: Number of mandatory candidates; they lead the list.
    """

    candidates: Sequence[Candidate]
    categories: Sequence[int]
    mandatory: int

    @classmethod
    def build(cls, candidates: Sequence[Candidate], now_ms: int) -> RankingPool:
        """Build the pool of the candidates of a run, in any order."""
        ordered = sorted(candidates, key=_make_sort_key)
        first = [
            candidate
            for candidate in ordered
            if candidate.offer.mandatory and is_mandatory_now(candidate.offer, now_ms)
        ]
        if first:
            leading = {candidate.offer.id for candidate in first}
            ordered = first + [candidate for candidate in ordered if candidate.offer.id not in leading]
        numbers: dict[str | None, int] = {}
        categories = [numbers.setdefault(candidate.offer.category_id, len(numbers)) for candidate in ordered]
        return cls(ordered, categories, len(first))

    def rank(self, scores: Sequence[float], method: str, places: int) -> list[int]:
        """Return the indices of the candidates that get a place, in ranked order.

        Args:
            scores: Score of each candidate, by index.
            method: Method of the rank node.
            places: Maximum number of places.
        """
        first = sorted(range(self.mandatory), key=scores.__getitem__, reverse=True)[:places]
        others = sorted(range(self.mandatory, len(scores)), key=scores.__getitem__, reverse=True)
        if method == "diversity":
            others = self._spread(others, scores, first)
        elif method == "round_robin":
            others = self._take_turns(others)
        return first + others[: places - len(first)]

    def _spread(self, others: Sequence[int], scores: Sequence[float], first: Sequence[int]) -> list[int]:
        """Rank by diversity: sort by scores that are halved once for every better candidate of the same category."""
        halving: dict[int, float] = {}
        for index in first:
            category = self.categories[index]
            halving[category] = halving.get(category, 1.0) / 2
        halved: list[tuple[float, int]] = []
        for index in others:
            category = self.categories[index]
            part = halving.get(category, 1.0)
            halved.append((-scores[index] * part, index))
            halving[category] = part / 2
        halved.sort()
        return [index for _, index in halved]

    def _take_turns(self, others: Sequence[int]) -> list[int]:
        queues: dict[int, list[int]] = {}
        for index in others:
            queues.setdefault(self.categories[index], []).append(index)
        return [index for turn in zip_longest(*queues.values()) for index in turn if index is not None]


def _make_sort_key(candidate: Candidate) -> tuple[int, str, str]:
    return -candidate.offer.priority, candidate.offer.id, candidate.creative.id if candidate.creative else ""


def choose_creatives(run: Run) -> None:
    """Keep one candidate of each offer. Runs after scoring and before ranking.

    Creatives on the same channel form an A/B test: each customer always gets the same one, assigned by their weights
    (:func:`rapport.domain.experiments.assignment.pick_creative`); if all weights are 0, the one with the smallest id.
    Between channels the higher score decides, then the smaller id of the creative.
    """
    passing = [candidate for candidate in run.candidates if run.is_passing(candidate)]
    if len({candidate.offer.id for candidate in passing}) == len(passing):
        return
    offers: dict[str, dict[str, list[Candidate]]] = {}
    for candidate in passing:
        channel_id = candidate.creative.channel_id if candidate.creative else ""
        offers.setdefault(candidate.offer.id, {}).setdefault(channel_id, []).append(candidate)
    chosen: dict[str, Candidate] = {}
    for offer_id, channels in offers.items():
        picked = [_pick_creative(run, competing) for competing in channels.values()]
        best = chosen[offer_id] = min(
            picked, key=lambda candidate: (-(candidate.score or 0.0), _creative_id_of(candidate))
        )
        for candidate in picked:
            if candidate is not best:
                _note_removal(
                    run, candidate, f"creative {_creative_id_of(best)} has the higher score on another channel"
                )
    lost = {id(candidate) for candidate in passing if candidate is not chosen[candidate.offer.id]}
    run.candidates = [candidate for candidate in run.candidates if id(candidate) not in lost]


def _pick_creative(run: Run, competing: Sequence[Candidate]) -> Candidate:
    if len(competing) == 1:
        return competing[0]
    by_id = {_creative_id_of(candidate): candidate for candidate in competing}
    weighted = [(creative_id, c.creative.weight if c.creative else 0.0) for creative_id, c in by_id.items()]
    choice = pick_creative(competing[0].offer.id, weighted, run.context.person_id)
    picked_id, share = choice or (min(by_id), 1.0)
    for creative_id, candidate in by_id.items():
        if creative_id != picked_id:
            _note_removal(run, candidate, f"the customer is in the share of {share:.0%} who get creative {picked_id}")
    by_id[picked_id].share *= share
    return by_id[picked_id]


def _note_removal(run: Run, candidate: Candidate, reason: str) -> None:
    run.recorder.note_removal("creative", run.node, candidate, Verdict(True, reason))


def _creative_id_of(candidate: Candidate) -> str:
    return candidate.creative.id if candidate.creative else ""

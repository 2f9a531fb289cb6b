from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.strategy import Challenger, Experiment, RankingProfile, TrafficSplit
from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.facts import CustomerFacts, Evidence, Subject, TenantFacts
from rapport.domain.decisions.model import CandidateScorer, ModelScore, Scorer
from rapport.domain.decisions.scoring.factors import OBJECTIVES
from tests.domain.decisions.scoring.scoring_runs import (
    candidate,
    catalogue,
    constant,
    model,
    offer,
    optimize,
    record_of,
    run_of,
    score,
    scores_of,
)
from tests.domain.decisions.small_catalogue import DAY_MS, NOW_MS


@pytest.mark.parametrize(
    ("method", "value"),
    [("priority_weighted", 0.8 * 0.5 * 0.5), ("propensity", 0.6 * 0.5), ("formula", (0.6**0.4 * 0.8**0.1) * 0.5)],
)
def test_each_method_scores_as_documented(method: str, value: float):
    run = run_of(
        candidate(offer("loan", priority=80, business_value=1.0), weight=50, fit=0.5), propensities={"loan": 0.6}
    )
    assert score(run, method=method)["loan"] == pytest.approx(value)


def test_the_factors_of_the_formula_are_in_the_explanation():
    customer = CustomerFacts(
        attributes={"preferred_channel": "email", "interests": ["credit"]},
        segments=frozenset({"vip"}),
        last_contact_ms={Subject("loan", "", ""): NOW_MS - 7 * DAY_MS},
    )
    loan = offer("loan", priority=80, margin=30.0, tags=["vip"], product_type="credit")
    card = offer("card", margin=60.0, tags=["young"], product_type="cards")
    fund = offer("fund", revenue_value=5.0)
    run = run_of(candidate(loan), candidate(card, channel="mail"), candidate(fund), customer=customer)
    score(run, method="formula")
    factors = {one: record_of(run, one).explanation["factors"] for one in ("loan", "card", "fund")}
    assert factors["loan"] == pytest.approx(
        {"relevance": (0.55 + 0.5 + 1 + 1) / 4, "impact": 30 / 130, "emphasis": 0.8}
    )
    assert factors["card"] == pytest.approx({"relevance": (1 + 1 + 0.5 + 0.5) / 4, "impact": 60 / 160, "emphasis": 0.5})
    assert factors["fund"] == pytest.approx({"relevance": (1 + 0.5) / 2, "impact": 5 / 105, "emphasis": 0.5})


def test_a_business_value_and_an_amount_are_on_one_scale():
    dear, cheap = candidate(offer("dear", business_value=0.9)), candidate(offer("cheap", margin=1.0))
    alone = run_of(cheap)
    score(alone, method="formula")
    assert record_of(alone, "cheap").explanation["factors"]["impact"] == pytest.approx(1 / 101)
    scores = score(run_of(dear, cheap), method="formula")
    assert scores["dear"] > scores["cheap"]
    scores = score(run_of(dear, cheap), method="formula", referenceValue=0.01)
    assert scores["dear"] < scores["cheap"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("propensity * 2 + emphasis", 0.6 * 2 + 0.5),
        ("if(offer.priority > 40, propensity * bonus, 0)", 0.6 * 3),
        ("-1", 0.0),
        ("unknown * 2", 0.0),
        ("propensity *", 0.5 * 1.0),
    ],
)
def test_an_expression_gives_the_score_and_never_stops_a_decision(expression: str, value: float):
    run = run_of(candidate(offer("loan", custom_fields={"bonus": 3})), propensities={"loan": 0.6})
    assert score(run, method="formula", expression=expression)["loan"] == pytest.approx(value)
    assert bool(run.recorder.problems) == expression.endswith("*")


def test_a_profile_gives_the_exponents_and_an_override_replaces_them():
    profiles = catalogue(
        profiles=[
            RankingProfile(id="sales", name="s", key="s", weights={"conversion": 0.5, "margin": 0.5}),
            RankingProfile(
                id="kind",
                name="k",
                key="k",
                weights={"recency": 0.2, "fatigue": 0.2, "fairness": 0.4, "conversion": 0.8},
            ),
        ]
    )
    loan, card = candidate(offer("loan", category_id="credit")), candidate(offer("card", category_id="cards"))
    run = run_of(loan, card, ready=profiles)
    override = {"scope": "category", "value": "cards", "profileId": "kind"}
    score(run, method="formula", strategyProfileId="sales", strategyOverrides=[override])
    weights = {one: record_of(run, one).explanation["weights"] for one in ("loan", "card")}
    assert weights["loan"] == {"propensity": 0.5, "relevance": 0, "impact": 0.5, "emphasis": 0}
    assert weights["card"] == pytest.approx({"propensity": 0.5, "relevance": 0.25, "impact": 0, "emphasis": 0.25})


@pytest.mark.parametrize(("scope", "value"), [("productType", "cards"), ("channel", "email"), ("channel", "mail")])
def test_overrides_apply_to_product_types_and_channels(scope: str, value: str):
    profiles = catalogue(profiles=[RankingProfile(id="p", name="p", key="p", weights={"propensity": 1.0})])
    run = run_of(candidate(offer("card", product_type="cards"), channel="mail"), "loan", ready=profiles)
    score(run, method="formula", strategyOverrides=[{"scope": scope, "value": value, "profileId": "p"}])
    assert record_of(run, "card").explanation["weights"]["propensity"] == 1
    assert record_of(run, "loan").explanation["weights"]["propensity"] == 0.4


@pytest.mark.parametrize("profile_id", ["gone", "odd"])
def test_a_profile_that_cannot_be_used_is_noted_and_left_out(profile_id: str):
    odd = RankingProfile(id="odd", name="o", key="o", weights={"beauty": 1.0})
    run = run_of("loan", ready=catalogue(profiles=[odd]))
    score(run, method="formula", strategyProfileId=profile_id)
    assert record_of(run, "loan").explanation["weights"]["propensity"] == 0.4
    assert profile_id in run.recorder.problems[0]


def test_levers_of_node_and_request_and_of_offer_and_category_multiply():
    loan = candidate(offer("loan", category_id="credit"))
    run = run_of(loan, "card", levers={"loan": 3.0, "credit": 0.5, "card": float("inf")})
    assert score(run, levers={"loan": 2.0}) == {"loan": 0.5 * 3, "card": 0.5}
    assert record_of(run, "loan").explanation["lever"] == 3


@pytest.mark.parametrize("method", ["priority_weighted", "propensity", "formula"])
def test_the_floor_removes_offers_below_it_except_mandatory_ones(method: str):
    run = run_of("loan", "card", candidate(offer("law", mandatory=True)), propensities={"loan": 0.2, "law": 0.1})
    assert set(score(run, method=method, floor=0.3)) == {"card", "law"}
    (removal,) = run.recorder.finish().removals
    assert (removal.offer_id, removal.stage, removal.by) == ("loan", "score", "n")
    assert removal.detail["actualScore"] == 0.2


def _failing() -> CandidateScorer:
    def score(_candidate: Candidate) -> ModelScore:
        raise ZeroDivisionError("no features")

    return score


def _wrong(value: float) -> Callable[[Candidate], ModelScore]:
    return lambda _candidate: ModelScore(value, {})


def _fails_for_the_second() -> Callable[[Candidate], ModelScore]:
    return lambda one: ModelScore(0.9 if one.offer.id == "loan" else float("nan"), {})


@pytest.mark.parametrize(
    "verdicts", [_failing(), _wrong(float("nan")), _wrong(1.5), _wrong(-0.1), _fails_for_the_second()]
)
def test_a_model_that_fails_is_bypassed_for_all_candidates_that_depend_on_it(verdicts: CandidateScorer):
    scorers = {"m": Scorer(learns=False, begin=lambda _context, _random: verdicts)}
    run = run_of(candidate("loan", weight=50, fit=0.5), "card", "fund", scorers=scorers, propensities={"fund": 0.9})
    scores = score(run, method="propensity", modelKey="m", levers={"loan": 2.0})
    assert scores == {"loan": 0.5 * 0.5 * 0.5 * 2, "card": 0.5, "fund": 0.9}
    assert run.failed_models == {"m"}
    assert "model m of node n was left out" in run.recorder.problems[0]


def test_a_model_that_fails_to_start_is_bypassed():
    def begin(_context: Context, _random: Random) -> CandidateScorer:
        raise KeyError("weights")

    run = run_of("loan", scorers={"m": Scorer(learns=False, begin=begin)})
    assert score(run, method="propensity", modelKey="m") == {"loan": 0.5}
    assert run.failed_models == {"m"}


@pytest.mark.parametrize(("key", "circuits"), [("m", frozenset({"m"})), ("gone", frozenset())])
def test_a_model_that_is_missing_or_has_an_open_circuit_is_not_called(key: str, circuits: frozenset[str]):
    run = run_of("loan", ready=catalogue([constant("m", 0.9)]), open_circuits=circuits)
    assert score(run, method="propensity", modelKey=key) == {"loan": 0.5}
    assert run.failed_models == {key}


def test_a_failed_model_that_no_candidate_depends_on_has_no_effect():
    evidence = {("offer", "loan"): Evidence(20, 80)}
    run = run_of("loan", open_circuits=frozenset({"m"}), tenant=TenantFacts(evidence=evidence))
    assert score(run, method="propensity", modelKey="m") == {"loan": 0.2}
    assert not run.failed_models


MODELS = [constant("champ", 0.2), constant("one", 0.4), constant("two", 0.6)]
PLENTY = TenantFacts(evidence={("offer", "loan"): Evidence(90, 10)})


def _scores(split: dict[str, Any], **experiment: Any) -> list[tuple[float, str]]:
    """Return the score and variant of each of 400 customers."""
    experiments = (
        [Experiment(id="e", name="e", key="e", champion_model_id="id-champ", **experiment)] if experiment else []
    )
    ready, found = catalogue(MODELS, experiments), []
    for index in range(400):
        run = run_of(candidate(offer("loan", priority=70)), ready=ready, tenant=PLENTY, customer_id=f"c{index}")
        value = score(run, method="propensity", modelKey="one", championChallenger=split)["loan"]
        found.append((value, record_of(run, "loan").explanation["variant"]))
        assert len(run.assignments) == len(experiments)
    return found


def test_an_experiment_assigns_models_and_its_holdout_gets_none():
    found = _scores(
        {"experimentId": "e"},
        traffic_split=TrafficSplit(champion_pct=50),
        challengers=[Challenger(model_id="id-one", traffic_pct=30), Challenger(model_id="id-two", traffic_pct=20)],
        holdout_percent=10,
    )
    assert set(found) == {(0.2, "__champion__"), (0.4, "id-one"), (0.6, "id-two"), (0.7, "__holdout__")}


def test_weights_of_the_node_assign_models():
    found = _scores(
        {"champion": {"modelKey": "champ", "weight": 60}, "challengers": [{"modelKey": "two", "weight": 20}]}
    )
    assert set(found) == {(0.2, "__champion__"), (0.6, "two")}
    assert 250 < sum(1 for value, _ in found if value == 0.2) < 350


@pytest.mark.parametrize("split", [{"enabled": False, "experimentId": "e"}, {"experimentId": "gone"}])
def test_without_a_running_experiment_the_nodes_model_scores(split: dict[str, Any]):
    run = run_of("loan", ready=catalogue(MODELS))
    assert score(run, method="propensity", modelKey="one", championChallenger=split) == {"loan": 0.4}


def test_shadow_models_are_recorded_and_change_nothing_else():
    ready = catalogue([*MODELS, model("bandit", "thompson_bandit"), model("shade", "thompson_bandit")])
    scorers = {"broken": Scorer(learns=False, begin=lambda _context, _random: _failing())}
    runs = [run_of("loan", "card", ready=ready, scorers=scorers) for _ in range(2)]
    shadows = ["two", "shade", "broken"]
    watched = score(runs[0], method="propensity", modelKey="bandit", shadowModelKeys=shadows)
    assert watched == score(runs[1], method="propensity", modelKey="bandit")
    assert runs[0].random.random() == runs[1].random.random()
    recorded = record_of(runs[0], "loan").explanation["shadowScores"]
    assert recorded["two"] == 0.6
    assert set(recorded) == {"two", "shade"}
    assert not runs[0].failed_models


@pytest.mark.parametrize("by", ["tenant", "experiment"])
def test_the_holdout_is_scored_by_priority_and_weight_alone(by: str):
    everybody = Experiment(id="e", name="e", key="e", champion_model_id="id-champ", holdout_percent=100)
    run = run_of(
        candidate(offer("loan", priority=80), weight=50, fit=0.5),
        ready=catalogue(MODELS, [everybody]),
        levers={"loan": 3.0},
    )
    run.is_fallback = by == "tenant"
    split = {"experimentId": "e", "enabled": by == "experiment"}
    assert score(run, method="propensity", floor=0.9, championChallenger=split) == {"loan": 0.4}
    assert record_of(run, "loan").explanation["method"] == "priority_weighted"
    assert run.candidates[0].share == 1


ANYTHING = st.builds(
    lambda number, fields, weight, fit: candidate(offer(f"o{number}", **fields), weight=weight, fit=fit),
    st.integers(0, 10_000),
    st.fixed_dictionaries(
        {"priority": st.integers(0, 100)},
        optional={
            "margin": st.floats(-100, 100),
            "revenue_value": st.floats(-100, 100),
            "business_value": st.floats(0, 1),
            "category_id": st.sampled_from(["a", "b"]),
        },
    ),
    st.floats(0, 100),
    st.floats(0.1, 1),
)


@given(st.lists(ANYTHING, min_size=3, max_size=6, unique_by=lambda one: one.offer.id), st.data())
def test_scores_do_not_depend_on_competing_offers(candidates: list[Candidate], data: st.DataObject):
    shown = {one.offer.id: data.draw(st.integers(0, 10**6)) for one in candidates}
    tenant = TenantFacts(shown=shown, mean_shown=1 + sum(shown.values()) / len(shown))
    weights = dict.fromkeys(OBJECTIVES, 0.1)
    all_formula = score(run_of(*candidates, tenant=tenant), method="formula")
    all_weighed = optimize(run_of(*candidates, tenant=tenant), weights=weights)
    some = data.draw(st.lists(st.sampled_from(candidates), min_size=1, unique_by=lambda one: one.offer.id))
    names = {one.offer.id for one in some}
    few_formula = score(run_of(*some, tenant=tenant), method="formula")
    assert few_formula == {name: value for name, value in all_formula.items() if name in names}
    few_weighed = optimize(run_of(*some, tenant=tenant), weights=weights)
    assert few_weighed == {name: value for name, value in all_weighed.items() if name in names}


CONFIGS = st.fixed_dictionaries(
    {"method": st.sampled_from(["priority_weighted", "propensity", "formula"])},
    optional={"modelKey": st.sampled_from(["two", "bandit", "greedy", "gone"])},
)
EVERY_MODEL = catalogue([*MODELS, model("bandit", "thompson_bandit"), model("greedy", "epsilon_greedy", epsilon=0.5)])


@given(st.lists(ANYTHING, max_size=8, unique_by=lambda one: one.offer.id), CONFIGS, st.integers(0, 9), st.data())
def test_scores_are_bounded_reproducible_and_monotonic_in_the_fit(
    candidates: list[Candidate], config: dict[str, Any], seed: int, data: st.DataObject
):
    first = score(run_of(*candidates, ready=EVERY_MODEL, seed=seed), **config)
    assert all(0 <= value <= 1 for value in first.values())
    assert first == score(run_of(*candidates, ready=EVERY_MODEL, seed=seed), **config)
    for one in candidates:
        one.fit *= data.draw(st.floats(0.1, 1))
    worse = run_of(*candidates, ready=EVERY_MODEL, seed=seed)
    assert all(value <= first[key] for key, value in score(worse, **config).items())
    optimize(worse, weights={"propensity": 0.5, "impact": 0.2, "fatigue": 0.1, "recency": 0.2, "revenue": 0.1})
    assert all(0 <= value <= 1 + 1e-9 for value in scores_of(worse).values())

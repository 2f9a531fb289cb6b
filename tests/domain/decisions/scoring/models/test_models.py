from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.domain.catalogue.strategy import Model
from rapport.domain.configs import ConfigError
from rapport.domain.decisions.facts import CustomerFacts, Evidence, TenantFacts
from rapport.domain.decisions.model import ModelScore
from rapport.domain.decisions.scoring.models.compile import compile_model
from rapport.domain.decisions.valuation import BetaPosterior, EpsilonShare
from tests.domain.decisions.scoring.scoring_runs import candidate, model, offer
from tests.domain.decisions.small_catalogue import context

FIXTURE = {
    "name": "Credit first",
    "baseScore": 50,
    "minScore": 0,
    "maxScore": 100,
    "rules": [
        {"id": "income", "field": "customer.income", "operator": "gte", "value": 50_000, "points": 15},
        {"id": "tenure", "field": "tenure", "operator": "gt", "value": 2, "points": 10},
        {"id": "city", "field": "attributes.city", "operator": "in", "value": ["Berlin", "Bonn"], "points": 5},
        {"id": "credit", "field": "offer.categoryId", "operator": "eq", "value": "credit", "points": 10},
        {"id": "young", "field": "customer.age", "operator": "lt", "value": 30, "points": -20},
    ],
}
ANN = CustomerFacts(attributes={"income": 60_000, "tenure": 5, "age": 40})


def ask(config: dict[str, Any], model_type: str = "scorecard", of: str = "credit", **options: Any) -> ModelScore:
    run = context(options.pop("customer", ANN), options.pop("tenant", None), attributes={"city": "Bonn"})
    scorer = compile_model(model("m", model_type, **config))
    return scorer.score(candidate(offer("loan", category_id=of)), run, Random(options.pop("seed", 1)))


def test_a_scorecard_gives_the_documented_score_and_explains_each_rule():
    scored = ask(FIXTURE)
    assert scored.score == pytest.approx(0.917, abs=5e-4)
    assert scored.explanation["rawScore"] == 90
    explained = {one["id"]: (one["matched"], one["points"]) for one in scored.explanation["explanations"]}
    assert explained == {
        "income": (True, 15),
        "tenure": (True, 10),
        "city": (True, 5),
        "credit": (True, 10),
        "young": (False, 0),
    }


@pytest.mark.parametrize(
    ("base", "normalization", "score"),
    [
        (50, "sigmoid", 0.5),
        (0, "sigmoid", 1 / (1 + np.exp(3))),
        (1e9, "sigmoid", 1.0),
        (-1e9, "sigmoid", 0.0),
        (90, "linear", 0.9),
        (-5, "linear", 0.0),
        (130, "linear", 1.0),
    ],
)
def test_a_raw_score_is_scaled_to_0_to_1(base: float, normalization: str, score: float):
    assert ask({"baseScore": base, "normalization": normalization}).score == pytest.approx(score)


def test_scorecard_rules_about_the_candidate_are_evaluated_for_each():
    verdicts = compile_model(model("m", **FIXTURE)).begin(context(ANN), Random(1))
    loan, fund = (verdicts(candidate(offer(one, category_id=one))) for one in ("credit", "funds"))
    assert loan.explanation["rawScore"] - fund.explanation["rawScore"] == 10


@pytest.mark.parametrize("operator", ["neq", "not_in", "eq", "gte"])
def test_a_field_without_a_value_fulfils_no_rule_of_a_scorecard(operator: str):
    rule = {"id": "r", "field": "customer.unknown", "operator": operator, "value": ["x"] * (operator == "not_in") or 1}
    assert ask({"rules": [{**rule, "points": 20}]}).explanation["rawScore"] == 50


@pytest.mark.parametrize(
    ("model_type", "config", "faults"),
    [
        (
            "scorecard",
            {
                "minScore": 5,
                "maxScore": 5,
                "rules": [
                    {"id": "a", "field": "x", "operator": "regex", "value": "x", "points": 1},
                    {"id": "b", "field": "x", "operator": "in", "value": "x", "points": 1},
                    {"id": "c", "field": "x", "operator": "eq", "value": "x", "points": 1},
                    {"id": "c", "field": "x", "operator": "eq", "value": "x", "points": "many"},
                    {"id": "c", "field": "x", "operator": "eq", "value": "x", "points": 1},
                ],
            },
            {"maxScore", "rules[0]", "rules[1]", "rules[3]", "rules[4].id"},
        ),
        ("scorecard", {"normalization": "tanh", "base": 1}, {"base", "normalization"}),
        ("logistic_regression", {}, {"weights"}),
        (
            "logistic_regression",
            {"weights": {"a": 1}, "categories": {"a": {"x": 1}}},
            {"categories.a"},
        ),
        ("logistic_regression", {"bias": "x", "weights": {"a": "b"}}, {"bias", "weights"}),
        ("thompson_bandit", {"prior": {"alpha": 0}}, {"prior"}),
        ("epsilon_greedy", {"epsilon": 1.5, "arms": {"a": {"alpha": -1}}}, {"epsilon", "arms"}),
    ],
)
def test_a_faulty_model_config_reports_every_fault(model_type: str, config: dict[str, Any], faults: set[str]):
    with pytest.raises(ConfigError) as caught:
        compile_model(model("m", model_type, **config))
    assert {fault.field for fault in caught.value.faults} == faults


@given(
    st.floats(-5, 5),
    st.lists(st.tuples(st.floats(-3, 3), st.floats(-1e3, 1e3)), min_size=1, max_size=6),
    st.sampled_from(["gold", "silver", "none"]),
)
def test_logistic_regression_agrees_with_numpy(bias: float, terms: list[tuple[float, float]], tier: str):
    weights = {f"customer.x{index}": weight for index, (weight, _) in enumerate(terms)}
    customer = CustomerFacts(attributes={"tier": tier, **{f"x{i}": value for i, (_, value) in enumerate(terms)}})
    one_hot = {"gold": 1.5, "silver": -0.5}
    config = {"bias": bias, "weights": weights, "categories": {"tier": one_hot}}
    scored = ask(config, "logistic_regression", customer=customer)
    z = bias + np.dot(*np.array(terms).T) + one_hot.get(tier, 0.0)
    with np.errstate(over="ignore"):
        assert scored.score == pytest.approx(1 / (1 + np.exp(-z)), abs=1e-12)
    contributions = [abs(part["contribution"]) for part in scored.explanation["explanations"]]
    assert contributions == sorted(contributions, reverse=True)


def test_true_counts_as_1_and_a_missing_value_or_a_text_as_0():
    weights = {"customer.vip": 2.0, "customer.age": 1.0, "customer.name": 1.0}
    customer = CustomerFacts(attributes={"vip": True, "name": "Ann"})
    assert ask({"weights": weights}, "logistic_regression", customer=customer).explanation["z"] == 2


def test_a_bandits_score_is_the_expected_rate_of_an_offer():
    tenant = TenantFacts(evidence={("offer", "loan"): Evidence(30, 69)})
    for model_type in ("thompson_bandit", "epsilon_greedy"):
        assert ask({}, model_type, tenant=tenant).score == pytest.approx(31 / 101)
    assert ask({}, "thompson_bandit", tenant=tenant).exploration == BetaPosterior(31, 70)
    assert ask({"epsilon": 0.3}, "epsilon_greedy", tenant=tenant).exploration == EpsilonShare(0.3)
    assert ask({"epsilon": 0}, "epsilon_greedy", tenant=tenant).exploration is None


def test_arms_replace_the_prior_and_evidence_is_added():
    tenant = TenantFacts(evidence={("offer", "loan"): Evidence(3, 7)})
    prior = {"prior": {"alpha": 2, "beta": 2}}
    assert ask(prior, "thompson_bandit", tenant=tenant).explanation["alpha"] == 5
    arms = {**prior, "arms": {"loan": {"alpha": 10, "beta": 20}}}
    explanation = ask(arms, "thompson_bandit", tenant=tenant).explanation
    assert (explanation["alpha"], explanation["beta"]) == (13, 27)


def test_the_documented_configs_are_read():
    text = (Path(__file__).parents[5] / "docs" / "scoring.md").read_text("utf-8")
    examples = dict(re.findall(r"```json (\w+)\n(.*?)```", text, re.DOTALL))
    assert set(examples) == set(get_args(get_type_hints(Model)["model_type"]))
    for model_type, example in examples.items():
        compile_model(model("m", model_type, **json.loads(example)))
    assert ask(json.loads(examples["scorecard"])).score == pytest.approx(0.917, abs=5e-4)
